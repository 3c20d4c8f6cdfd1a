//! Streams cut into events, objects and messages: the same however the bytes arrive.

use peerway_dialect::gemini::frames::{BadFrame, Frames};
use peerway_dialect::sse::{SseEvent, SseSplitter, write_event};

use crate::bedrock;

/// Which splitter, the size of pieces, then the bytes.
pub(crate) fn run(input: &[u8]) {
    let [which, cut, bytes @ ..] = input else { return };
    let cut = usize::from(*cut).max(1);
    match which % 4 {
        0 | 1 => events(cut, bytes),
        2 => objects(cut, bytes),
        _ => bedrock::framing(cut, bytes),
    }
}

fn events(cut: usize, bytes: &[u8]) {
    let whole = split([bytes]);
    assert_eq!(split(bytes.chunks(cut)), whole);
    // What is written is read: line ends in it become the space that JSON takes them for.
    let mut written = Vec::new();
    for event in &whole {
        write_event(Some(&event.name), &event.data, &mut written);
    }
    let spaced = |event: &SseEvent| {
        let data = event.data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        SseEvent { name: event.name.clone(), data }
    };
    let expected: Vec<SseEvent> = whole.iter().map(spaced).collect();
    assert_eq!(split([written.as_slice()]), expected);
}

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<SseEvent> {
    let (mut splitter, mut events) = (SseSplitter::new(), Vec::new());
    for piece in pieces {
        splitter.push(piece, |event| events.push(event)).expect("short enough");
    }
    events
}

fn objects(cut: usize, bytes: &[u8]) {
    let whole = frames([bytes]);
    assert_eq!(frames(bytes.chunks(cut)), whole);
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Result<(), BadFrame>) {
    let (mut splitter, mut frames) = (Frames::new(), Vec::new());
    for piece in pieces {
        if let Err(bad) = splitter.push(piece, |frame| frames.push(frame.to_vec())) {
            return (frames, Err(bad));
        }
    }
    (frames, Ok(()))
}
