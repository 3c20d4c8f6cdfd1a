//! Providers' answers and errors: refused, or written for every client; what a dialect wrote itself it reads back the same.

use http::HeaderMap;
use peerway::dialect::{Decoder, Encoder, Manner, codec};
use peerway_dialect::Dialect;
use peerway_dialect::canonical::{ChatAnswer, Collector, replay};

use crate::{dialect, is_json};

/// The dialect, two bytes of a status, then the body.
pub(crate) fn run(input: &[u8]) {
    let [which, high, low, body @ ..] = input else { return };
    let provider = dialect(*which);
    error(provider, u16::from_be_bytes([*high, *low]), body);
    let Ok(answer) = codec::decode_answer(provider, body) else { return };
    for client in Dialect::ALL {
        let bytes = codec::encode_answer(client, &answer, &Manner::default());
        assert!(is_json(&bytes), "{provider} to {client}: {}", String::from_utf8_lossy(&bytes));
        settles(client, &bytes);
        replays(client, &answer);
    }
}

fn error(provider: Dialect, status: u16, body: &[u8]) {
    let failure = codec::decode_error(provider, status, &HeaderMap::new(), body);
    for client in Dialect::ALL {
        let bytes = codec::encode_error(client, &failure);
        assert!(is_json(&bytes), "{provider} to {client}: {}", String::from_utf8_lossy(&bytes));
        let read = codec::decode_error(client, failure.kind.status(), &HeaderMap::new(), &bytes);
        assert!(failure.message.is_empty() || !read.message.is_empty(), "{client} loses {:?}", failure.message);
    }
}

fn settles(client: Dialect, bytes: &[u8]) {
    if client == Dialect::OpenAiCompletions {
        return;
    }
    let read = |bytes: &[u8]| match codec::decode_answer(client, bytes) {
        Ok(answer) => Some(answer),
        Err(error) if error.to_string().contains("nest") => None,
        Err(error) => panic!("{client} cannot read its own: {error}: {}", String::from_utf8_lossy(bytes)),
    };
    let Some(first) = read(bytes) else { return };
    let again = codec::encode_answer(client, &first, &Manner::default());
    let Some(second) = read(&again) else { return };
    let third = codec::encode_answer(client, &second, &Manner::default());
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&third), "{client}");
}

/// A client that wants a stream can be given a whole answer.
fn replays(client: Dialect, answer: &ChatAnswer) {
    let (mut encoder, mut bytes) = (Encoder::new(client, Manner::default()), Vec::new());
    let events = replay(answer);
    for event in &events {
        encoder.push(event, &mut bytes);
    }
    if client == Dialect::OpenAiCompletions {
        return;
    }
    let (mut decoder, mut read) = (Decoder::new(client), Vec::new());
    decoder.push(&bytes, &mut read);
    decoder.end(&mut read);
    let mut collector = Collector::new();
    read.iter().for_each(|event| collector.push(event));
    // An answer that did not end, or has no choice, is no success in a stream either.
    let _ = collector.finish();
}
