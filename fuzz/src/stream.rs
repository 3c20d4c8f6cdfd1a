//! Providers' streams: the same events however the bytes are cut, one end, and a well-formed stream for every client.

use peerway::dialect::{Decoder, Encoder, Manner};
use peerway_dialect::Dialect;
use peerway_dialect::canonical::{Failure, StreamEvent};

use crate::{bedrock, dialect};

/// The dialect, the size of pieces, then the stream. Binary messages are made of the input, for no mutation guesses a
/// checksum.
pub(crate) fn run(input: &[u8]) {
    let [which, cut, stream @ ..] = input else { return };
    let provider = dialect(*which);
    if provider == Dialect::OpenAiCompletions {
        return;
    }
    let made;
    let stream = if provider == Dialect::Bedrock {
        made = bedrock::messages(stream);
        made.as_slice()
    } else {
        stream
    };
    let events = decode(provider, [stream]);
    let cut = usize::from(*cut).max(1);
    assert_eq!(decode(provider, stream.chunks(cut)), events, "{provider} cut every {cut} bytes");
    let (head, tail) = stream.split_at(stream.len().min(cut));
    assert_eq!(decode(provider, [head, tail]), events, "{provider} cut at {cut}");
    is_proper(provider, &events);
    for client in Dialect::ALL {
        told(client, &events);
    }
}

fn decode<'a>(dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (Decoder::new(dialect), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut events);
    }
    decoder.end(&mut events);
    // A decoder that is over says nothing more.
    let length = events.len();
    decoder.push(b"data: {}\n\n", &mut events);
    decoder.end(&mut events);
    assert_eq!(events.len(), length);
    events
}

/// `Start` first, one end last, calls and texts only of choices that have not finished.
fn is_proper(dialect: Dialect, events: &[StreamEvent]) {
    let mut finished = Vec::new();
    let mut calls = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let last = at + 1 == events.len();
        assert_eq!(matches!(event, StreamEvent::Done | StreamEvent::Error(_)), last, "{dialect}: {events:?}");
        let is_start = matches!(event, StreamEvent::Start { .. });
        assert!(is_start == (at == 0) || (at == 0 && last), "{dialect}: {events:?}");
        match event {
            StreamEvent::Finish { choice, .. } => {
                assert!(!finished.contains(choice), "{dialect}: {events:?}");
                finished.push(*choice);
            }
            StreamEvent::ToolCallStart { choice, index, id, .. } => {
                let before = calls.iter().filter(|(of, _)| of == choice).count();
                assert_eq!(before, *index as usize, "{dialect}: {events:?}");
                assert!(dialect != Dialect::OpenAiChat || !id.is_empty());
                calls.push((*choice, *index));
            }
            StreamEvent::ToolCallDelta { choice, index, .. } => {
                assert!(calls.contains(&(*choice, *index)), "{dialect}: {events:?}");
            }
            _ => {}
        }
    }
}

/// What a client reads of its stream ends as the provider's ended.
fn told(client: Dialect, events: &[StreamEvent]) {
    let (mut encoder, mut bytes) = (Encoder::new(client, Manner::default()), Vec::new());
    for event in events {
        encoder.push(event, &mut bytes);
    }
    // Nothing more comes: where the end was told, this says nothing.
    encoder.push(&StreamEvent::Error(Failure::cut()), &mut bytes);
    if client == Dialect::OpenAiCompletions {
        return;
    }
    let read = decode(client, [bytes.as_slice()]);
    is_proper(client, &read);
    let whole = events.last() == Some(&StreamEvent::Done);
    let read_whole = read.last() == Some(&StreamEvent::Done);
    assert!(!read_whole || whole, "{client} takes a broken stream for whole: {events:?}");
}
