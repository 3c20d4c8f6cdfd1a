//! An upstream's stream on its way to a client, passed on or translated: the same bytes and the same facts however it is
//! cut, and a break is told once.

use bytes::Bytes;
use peerway::dialect::Manner;
use peerway::relay::{Facts, Naming, Outlet, Reader};
use peerway_dialect::Dialect;

use crate::{bedrock, dialect};

/// The provider's dialect, the client's, the size of pieces, then the stream.
pub(crate) fn run(input: &[u8]) {
    let [provider, client, cut, stream @ ..] = input else { return };
    let (provider, client) = (dialect(*provider), dialect(*client));
    if provider == Dialect::OpenAiCompletions && client != provider {
        return;
    }
    // Line ends of two bytes, cut in two, are the cutter's own target.
    let made = match provider {
        Dialect::Bedrock => bedrock::messages(stream),
        _ => stream.iter().copied().filter(|byte| *byte != b'\r').collect(),
    };
    let stream = made.as_slice();
    let whole = read(provider, client, [stream]);
    let cut = usize::from(*cut).max(1);
    let pieces = read(provider, client, stream.chunks(cut));
    assert_eq!(pieces.facts, whole.facts, "{provider} to {client} cut every {cut} bytes");
    assert_eq!(String::from_utf8_lossy(&pieces.bytes), String::from_utf8_lossy(&whole.bytes));
    assert_eq!(pieces.broken, whole.broken);
    // Not every server says `[DONE]`.
    let whole_or_broken = whole.facts.done || whole.facts.is_finished() || whole.broken;
    assert!(whole_or_broken, "a stream that has ended is whole or broken");
}

struct Told {
    bytes: Vec<u8>,
    facts: Facts,
    broken: bool,
}

fn read<'a>(provider: Dialect, client: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let manner = Manner::default();
    let naming = Naming { id: "id".to_owned(), model: "model".into(), created: 1 };
    let mut reader = match provider == client {
        true => Reader::passing(provider, manner),
        false => Reader::translating(provider, client, manner, naming),
    };
    let mut outlet = Outlet::default();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece), &mut outlet);
        if outlet.broken.as_ref().is_some_and(|broken| !broken.goes_on) {
            break;
        }
    }
    reader.end(&mut outlet);
    let mut bytes: Vec<u8> = outlet.pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    if let Some(broken) = &outlet.broken {
        bytes.extend_from_slice(&reader.tell(broken));
    }
    Told { bytes, facts: outlet.facts, broken: outlet.broken.is_some() }
}
