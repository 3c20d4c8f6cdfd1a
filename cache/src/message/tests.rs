//! The bytes of every message of the cache. A kind that was released never changes: a change is a new kind.

use bytes::Bytes;
use peerway_cluster::wire::{decode, encode};
use proptest::prelude::*;

use super::*;
use crate::entry::{Content, Recorded, RecordedEvent, Usage};
use crate::identity::TenantScope;
use crate::semantic::guard::LONGEST_PROMPT;
use crate::vector::{Index, Space};
use crate::vector_store::{Near, Stored};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn namespace() -> NamespaceId {
    NamespaceId::new(&[0; 32], &TenantScope::key("demo"), "faq")
}

fn entry(recorded: Recorded) -> Arc<Entry> {
    Arc::new(Entry {
        id: [0xab; 32].into(),
        namespace: namespace(),
        generation: 3,
        created_ms: 1_700_000_000_000,
        expires_ms: 1_700_000_300_000,
        content: Content {
            provider: "openai".to_owned(),
            model: "gpt".to_owned(),
            usage: Some(Usage { prompt_tokens: 7, completion_tokens: 300 }),
            recorded,
        },
    })
}

fn stream() -> Recorded {
    let event = |delay_us, text: &'static str| RecordedEvent { delay_us, bytes: Bytes::from_static(text.as_bytes()) };
    Recorded::Stream { events: vec![event(1_000, "data: a\n\n"), event(5, "data: [DONE]\n\n")] }
}

#[track_caller]
fn golden<M: Message + PartialEq + std::fmt::Debug>(message: &M, expected: &str) {
    assert_eq!(hex(&encode(message).unwrap()), expected);
    assert_eq!(decode::<M>(&bytes(expected)).unwrap(), *message);
}

#[test]
fn golden_get() {
    golden(
        &Get { id: [0xab; 32].into(), namespace: namespace(), bulk: true, board: Some(9) },
        "ababababababababababababababababababababababababababababababababfeb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765010109",
    );
}

#[test]
fn golden_got() {
    golden(
        &Got::Hit(entry(Recorded::Plain { body: Bytes::from_static(b"{}") })),
        "00ababababababababababababababababababababababababababababababababfeb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada76503fd0068e5cf8b010000fde0fbe9cf8b010000066f70656e6169036770740107fb2c0100027b7d",
    );
    golden(&Got::Large, "01");
    golden(&Got::Miss { young: true }, "0201");
    golden(&Got::UnderWay, "03");
}

#[test]
fn golden_follow() {
    golden(
        &Follow { id: [0xab; 32].into(), namespace: namespace(), seen: 300 },
        "ababababababababababababababababababababababababababababababababfeb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765fb2c01",
    );
    let origin = Origin { provider: "openai".to_owned(), model: "gpt".to_owned() };
    golden(&Followed::Nothing, "00");
    golden(
        &Followed::Events { origin, events: stream() },
        "01066f70656e6169036770740102fbe80309050e646174613a20610a0a646174613a205b444f4e455d0a0a",
    );
    golden(&Followed::Over, "03");
    golden(&Followed::Lost, "04");
    golden(
        &Landed { id: [0xab; 32].into(), number: 9, over: true },
        "abababababababababababababababababababababababababababababababab0901",
    );
}

#[test]
fn golden_put() {
    golden(
        &Put { entry: entry(stream()) },
        "ababababababababababababababababababababababababababababababababfeb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada76503fd0068e5cf8b010000fde0fbe9cf8b010000066f70656e6169036770740107fb2c010102fbe80309050e646174613a20610a0a646174613a205b444f4e455d0a0a",
    );
}

/// How it is compressed may change; what was compressed before is read for ever.
#[test]
fn golden_compressed() {
    let golden = "ababababababababababababababababababababababababababababababababfeb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada76503fd0068e5cf8b010000fde0fbe9cf8b010000066f70656e6169036770740107fb2c010200fb1027331f780100ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1d60787878787878";
    let put = decode::<Put>(&bytes(golden)).unwrap();
    assert_eq!(hex(&encode(&put).unwrap()), golden);
    assert_eq!(put.entry.opened().unwrap(), entry(Recorded::Plain { body: vec![b'x'; 10_000].into() }));
    // The length that it says to have, in a message that claims more than those bytes can stand for.
    let length = "fb1027";
    assert_eq!(golden.matches(length).count(), 1);
    for claimed in ["fbffff", "fcffffffff", "fdffffffffffffffff"] {
        assert!(decode::<Put>(&bytes(&golden.replace(length, claimed))).is_err(), "{claimed}");
    }
}

#[test]
fn golden_answers() {
    golden(&PutDone { kept: true }, "01");
    golden(&Purged { held: true }, "01");
}

#[test]
fn golden_purges() {
    let raised = |target| PurgeCall(Order::Generation { target, generation: 1_700_000_000_000 });
    golden(
        &PurgeCall(Order::Id([0xab; 32].into())),
        "00abababababababababababababababababababababababababababababababab",
    );
    golden(&raised(Target::All), "0100fd0068e5cf8b010000");
    golden(&raised(Target::Scope([1; 16])), "010101010101010101010101010101010101fd0068e5cf8b010000");
    golden(&raised(Target::Name([2; 16])), "010202020202020202020202020202020202fd0068e5cf8b010000");
    golden(
        &raised(Target::Namespace(namespace())),
        "0103feb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765fd0068e5cf8b010000",
    );
}

#[test]
fn a_stream_whose_lengths_do_not_fit_its_bytes_is_refused() {
    let whole = encode(&Put { entry: entry(stream()) }).unwrap();
    assert!(decode::<Put>(&whole[..whole.len() - 1]).is_err());
    let mut longer = whole.to_vec();
    longer.push(0);
    assert!(decode::<Put>(&longer).is_err());
    // The length of the first event (9) claims far more than there is.
    let at = whole.windows(4).position(|window| window == [0xfb, 0xe8, 0x03, 9]).unwrap() + 3;
    let mut huge = whole[..at].to_vec();
    huge.push(0xfd);
    // No sum of lengths overflows, but no memory is that large.
    huge.extend_from_slice(&(1_u64 << 63).to_le_bytes());
    huge.extend_from_slice(&whole[at + 1..]);
    assert!(decode::<Put>(&huge).is_err());
}

fn space() -> Space {
    Space { namespace: namespace(), context: [0xcd; 32] }
}

fn stored() -> Stored {
    Stored { id: [0xab; 32].into(), text: "how?".into(), generation: 3, expires_ms: 1_700_000_300_000 }
}

fn vector() -> Components {
    Components(vec![0.6, -0.8].into())
}

#[test]
fn golden_search() {
    golden(
        &Search { space: space(), vector: vector(), k: 4, floor: Finite(0.5) },
        "feb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd029a99193fcdcc4cbf040000003f",
    );
    let near = Near { id: [0xab; 32].into(), cosine: 0.75, text: "how?".into(), generation: 3 };
    golden(
        &Searched { near: vec![near], shards: 2, complete: true },
        "01abababababababababababababababababababababababababababababababab0000403f04686f773f030201",
    );
}

#[test]
fn golden_learn_and_forget() {
    golden(
        &Learn { space: space(), stored: stored(), vector: vector() },
        "feb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdabababababababababababababababababababababababababababababababab04686f773f03fde0fbe9cf8b010000029a99193fcdcc4cbf",
    );
    golden(&Learned { kept: true }, "01");
    golden(
        &Forget { space: space(), ids: vec![[0xab; 32].into()] },
        "feb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd01abababababababababababababababababababababababababababababababab",
    );
}

#[test]
fn golden_pull() {
    let wanted = Partitions::which(|partition| [0, 65, 1023].contains(&partition.index()));
    golden(&Pull { wanted: Some(wanted) }, "01010200000000000000000000000000fd0000000000000080");
    golden(&Pull { wanted: None }, "00");
    let index = Index::new(2, 10);
    index.insert([0xab; 32].into(), &[0.6, -0.8], 1_700_000_300_000, 1_700_000_000_000).unwrap();
    let chunk = index.export().next_chunk(1_000, 1_700_000_000_000).unwrap();
    golden(
        &Pulled { parts: vec![Part { space: space(), chunk, stored: vec![stored()] }], more: true },
        "01feb27957b0db776e394189a33cb3b5c47684c829cd0f55734b41fda6d3ada765cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd010201ababababababababababababababababababababababababababababababababfde0fbe9cf8b010000fca069ce3b025f8102400001abababababababababababababababababababababababababababababababab04686f773f03fde0fbe9cf8b01000001",
    );
}

#[test]
fn a_number_that_is_none_makes_no_message() {
    let search = |floor| Search { space: space(), vector: vector(), k: 4, floor: Finite(floor) };
    assert!(decode::<Search>(&encode(&search(0.5)).unwrap()).is_ok());
    for floor in [f32::NAN, f32::INFINITY] {
        assert!(decode::<Search>(&encode(&search(floor)).unwrap()).is_err());
        let vector = Components(vec![0.5, floor].into());
        assert!(decode::<Search>(&encode(&Search { vector, ..search(0.5) }).unwrap()).is_err());
    }
}

#[test]
fn the_longest_of_each_fits_its_kind() {
    let text: Arc<str> = "x".repeat(LONGEST_PROMPT).into();
    let vector = Components(vec![1.0; MAX_DIMENSION].into());
    let near = Near { id: [0xab; 32].into(), cosine: 1.0, text: text.clone(), generation: u64::MAX };
    let searched = Searched { near: vec![near; MAX_CANDIDATES], shards: u32::MAX, complete: true };
    assert!(encode(&searched).is_ok());
    let search = Search { space: space(), vector: vector.clone(), k: u8::MAX, floor: Finite(1.0) };
    assert!(encode(&search).is_ok());
    let stored = Stored { text, generation: u64::MAX, expires_ms: u64::MAX, ..stored() };
    assert!(encode(&Learn { space: space(), stored, vector }).is_ok());
    assert!(encode(&Forget { space: space(), ids: vec![[0xab; 32].into(); MAX_FORGOTTEN] }).is_ok());
}

proptest! {
    #[test]
    fn any_stream_comes_back_as_it_went(
        events in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
    ) {
        let events = events.into_iter().map(|(delay_us, bytes)| RecordedEvent { delay_us, bytes: bytes.into() }).collect();
        let put = Put { entry: entry(Recorded::Stream { events }) };
        prop_assert_eq!(decode::<Put>(&encode(&put).unwrap()).unwrap(), put);
    }

    #[test]
    fn any_bytes_are_decoded_without_harm(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode::<Get>(&payload), decode::<Got>(&payload), decode::<Put>(&payload), decode::<PurgeCall>(&payload));
        let _ = (decode::<Search>(&payload), decode::<Searched>(&payload), decode::<Learn>(&payload));
        let _ = (decode::<Forget>(&payload), decode::<Pull>(&payload), decode::<Pulled>(&payload));
        let _ = (decode::<Follow>(&payload), decode::<Followed>(&payload), decode::<Landed>(&payload));
    }
}
