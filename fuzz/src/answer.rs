//! Providers' answers and errors: refused, or written for every client; what a dialect wrote itself it reads back the same.

use peerway_dialect::canonical::{ChatAnswer, ChatRequest, Collector, replay};
use peerway_dialect::{AnyStreamDecoder, Dialect, Reply};

use crate::{dialect, is_json};

/// The dialect, two bytes of a status, then the body.
pub(crate) fn run(input: &[u8]) {
    let [which, high, low, body @ ..] = input else { return };
    let provider = dialect(*which);
    error(provider, u16::from_be_bytes([*high, *low]), body);
    let Ok(answer) = provider.decode_answer(body) else { return };
    for client in Dialect::ALL {
        let reply = Reply::to(client, &ChatRequest { include_usage: true, ..ChatRequest::default() });
        let bytes = reply.encode_answer(&answer);
        assert!(is_json(&bytes), "{provider} to {client}: {}", String::from_utf8_lossy(&bytes));
        settles(client, &reply, &bytes);
        replays(client, &reply, &answer);
    }
}

fn error(provider: Dialect, status: u16, body: &[u8]) {
    let failure = provider.decode_error(status, body);
    for client in Dialect::ALL {
        let bytes = client.encode_error(&failure);
        assert!(is_json(&bytes), "{provider} to {client}: {}", String::from_utf8_lossy(&bytes));
        let read = client.decode_error(failure.kind.status(), &bytes);
        assert!(failure.message.is_empty() || !read.message.is_empty(), "{client} loses {:?}", failure.message);
    }
}

fn settles(client: Dialect, reply: &Reply, bytes: &[u8]) {
    if client == Dialect::OpenAiCompletions {
        return;
    }
    let read = |bytes: &[u8]| match client.decode_answer(bytes) {
        Ok(answer) => Some(answer),
        Err(error) if error.to_string().contains("nest") => None,
        Err(error) => panic!("{client} cannot read its own: {error}: {}", String::from_utf8_lossy(bytes)),
    };
    let Some(first) = read(bytes) else { return };
    let again = reply.encode_answer(&first);
    let Some(second) = read(&again) else { return };
    let third = reply.encode_answer(&second);
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&third), "{client}");
}

/// A client that wants a stream can be given a whole answer.
fn replays(client: Dialect, reply: &Reply, answer: &ChatAnswer) {
    let (mut encoder, mut bytes) = (reply.stream_encoder(), Vec::new());
    let events = replay(answer);
    for event in &events {
        encoder.push(event, &mut bytes);
    }
    encoder.end(&mut bytes);
    let Some(mut decoder) = AnyStreamDecoder::new(client) else { return };
    let mut read = Vec::new();
    decoder.push(&bytes, &mut read);
    decoder.end(&mut read);
    let mut collector = Collector::new();
    read.iter().for_each(|event| collector.push(event));
    // An answer that did not end, or has no choice, is no success in a stream either.
    let _ = collector.finish();
}
