//! The habits of the many servers that are like OpenAI, as they come over the wire: each decodes right, and what has no
//! place is named. `golden/habits/<name>.sse` is a stream, `<name>.txt` what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::fmt::Write as _;

use peerway_dialect::canonical::{Collector, Content, StreamEvent};
use peerway_dialect::openai::chat::StreamDecoder;
use support::{golden, matches_golden};

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<StreamEvent>, StreamDecoder) {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut events);
    }
    decoder.end(&mut events);
    (events, decoder)
}

/// What a stream says, one line a thing.
fn said(stream: &[u8]) -> String {
    let (events, decoder) = decode([stream]);
    assert_eq!(decode(stream.chunks(1)).0, events, "byte by byte");
    let mut text = String::new();
    if let Some(StreamEvent::Start { id, model, .. }) = events.first() {
        writeln!(text, "answer {id} of {model}").unwrap();
    }
    if let Some(StreamEvent::Error(failure)) = events.last() {
        writeln!(text, "failure {:?}: {}", failure.kind, failure.message).unwrap();
    } else {
        let mut collector = Collector::new();
        events.iter().for_each(|event| collector.push(event));
        let answer = collector.finish().unwrap();
        for choice in &answer.choices {
            for part in &choice.parts {
                let signed =
                    part.signature.as_ref().map_or(String::new(), |signature| format!(" signed {}", signature.data));
                match &part.content {
                    Content::Text(words) => writeln!(text, "text {words:?}{signed}"),
                    Content::Thinking { text: words } => writeln!(text, "thinking {words:?}{signed}"),
                    Content::ToolCall { id, name, arguments } => {
                        writeln!(text, "call {id} {name}({arguments}){signed}")
                    }
                    other => panic!("{other:?}"),
                }
                .unwrap();
            }
            writeln!(text, "finish {:?}", choice.finish.as_ref().unwrap()).unwrap();
        }
        if let Some(usage) = &answer.usage {
            writeln!(
                text,
                "usage {} in ({} cached), {} out ({} thoughts)",
                usage.input, usage.cached_input, usage.output, usage.reasoning
            )
            .unwrap();
        }
    }
    if let Some(unread) = decoder.unread().header_value() {
        writeln!(text, "unread {unread}").unwrap();
    }
    text
}

#[test]
fn every_habit_decodes_right() {
    let mut names: Vec<String> = std::fs::read_dir(golden().join("habits"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".sse").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let stream = std::fs::read(golden().join(format!("habits/{name}.sse"))).unwrap();
        matches_golden(&format!("habits/{name}.txt"), &said(&stream));
    }
}

/// Ids and names of calls that come once, and then as null or empty: wherever the network cuts the stream, the same calls.
#[test]
fn calls_come_whole_wherever_their_stream_is_cut() {
    let stream = std::fs::read(golden().join("habits/openrouter-tools.sse")).unwrap();
    let (whole, _) = decode([stream.as_slice()]);
    for at in 0..stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(decode([head, tail]).0, whole, "cut at {at}");
    }
}

/// What has finished says so once, behind all that was said.
#[test]
fn the_finish_comes_last_and_once() {
    let (events, _) = decode([std::fs::read(golden().join("habits/finish-twice.sse")).unwrap().as_slice()]);
    let ends: Vec<&StreamEvent> =
        events.iter().skip_while(|event| !matches!(event, StreamEvent::Finish { .. })).collect();
    assert!(matches!(ends[..], [_, StreamEvent::Usage(_), StreamEvent::Done]), "{events:?}");
}
