use super::*;
use crate::vector::{Chunk, VectorError};

fn over_the_wire(chunk: &Chunk) -> Chunk {
    let bytes = bincode::encode_to_vec(chunk, bincode::config::standard()).unwrap();
    bincode::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0
}

#[test]
fn a_copy_answers_as_the_original_and_comes_in_bounded_chunks() {
    let original = filled(0..300, 16);
    for number in 100..150 {
        original.delete(&id(number));
    }
    original.insert(id(500), &clustered(500, 16), NOW + 10, NOW).unwrap();
    let later = NOW + 10;
    let (copy, mut export, mut chunks) = (Index::new(16, 1_000_000), original.export(), 0);
    while let Some(chunk) = export.next_chunk(2_000, later) {
        let chunk = over_the_wire(&chunk);
        assert!(!chunk.is_empty() && chunk.len() <= 2_000 / 80, "{}", chunk.len());
        assert_eq!(copy.import(&chunk, later), Ok(chunk.len()));
        chunks += 1;
    }
    assert!(chunks >= 10);
    assert_eq!(copy.stats().vectors, 250, "neither deleted nor expired ones");
    for number in 0..300 {
        let ask = |index: &Index| index.search(&clustered(number + 1_000, 16), 5, -1.0, later).unwrap();
        assert_eq!(ask(&original), ask(&copy));
    }
    assert_eq!(export.next_chunk(2_000, later), None);
}

#[test]
fn an_export_goes_on_while_the_index_changes() {
    let index = filled(0..200, 8);
    let mut export = index.export();
    let first = export.next_chunk(1, NOW).unwrap();
    assert_eq!(first.len(), 1, "at least one");
    for number in 200..400 {
        index.insert(id(number), &clustered(number, 8), NOW + 3_600_000, NOW).unwrap();
    }
    index.purge();
    let copy = Index::new(8, 1_000);
    copy.import(&first, NOW).unwrap();
    while let Some(chunk) = export.next_chunk(10_000, NOW) {
        copy.import(&chunk, NOW).unwrap();
    }
    assert!(copy.stats().vectors >= 200);
}

#[test]
fn a_chunk_that_is_not_one_is_refused() {
    let chunk = filled(0..3, 8).export().next_chunk(1_000, NOW).unwrap();
    let index = Index::new(8, 1_000);
    let wrong = VectorError::Dimension { expected: 16, found: 8 };
    assert_eq!(Index::new(16, 1_000).import(&chunk, NOW), Err(wrong));
    let bytes = bincode::encode_to_vec(&chunk, bincode::config::standard()).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let limited = bincode::config::standard().with_limit::<100_000>();
            if let Ok((chunk, _)) = bincode::decode_from_slice::<Chunk, _>(&bytes, limited) {
                // Taken or refused: either without harm.
                let _ = index.import(&chunk, NOW);
                index.search(&clustered(1, 8), 3, -1.0, NOW).unwrap();
            }
        }
    }
    let mut bytes = bytes;
    bytes[0] = 2;
    let (chunk, _) = bincode::decode_from_slice::<Chunk, _>(&bytes, bincode::config::standard()).unwrap();
    assert_eq!(index.import(&chunk, NOW), Err(VectorError::Version { expected: 1, found: 2 }));
}
