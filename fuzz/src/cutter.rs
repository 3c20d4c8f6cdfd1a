//! The relay's cutter of events and its scanner: nothing is lost, held back or read otherwise for where the bytes were cut.

use bytes::Bytes;
use peerway::dialect::openai::Event;
use peerway::relay::EventCutter;

/// The size of pieces, then the stream.
pub(crate) fn run(input: &[u8]) {
    let Some((&cut, stream)) = input.split_first() else { return };
    let whole = events([stream]);
    let pieces = events(stream.chunks(usize::from(cut).max(1)));
    // An LF that belongs to the CR of the last event may still be held.
    assert_eq!(whole.concat().trim_ascii_end(), pieces.concat().trim_ascii_end(), "bytes of whole events");
    assert_eq!(said(&whole), said(&pieces));
}

/// The whole events of a stream, in order.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Bytes> {
    let (mut cutter, mut events, mut length) = (EventCutter::new(1 << 20), Vec::new(), 0);
    for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece));
        length += piece.len();
        while let Some(event) = cutter.next_event().expect("short enough") {
            assert!(event.ends_with(b"\n") || event.ends_with(b"\r"));
            length -= event.len();
            events.push(event);
        }
    }
    assert!(length > 0 || cutter.rest().is_empty(), "a rest of nothing");
    events
}

/// What the events say; an LF that was cut off from its CR is an event of nothing.
fn said(events: &[Bytes]) -> Vec<Event> {
    events.iter().map(|event| Event::read(event)).filter(|event| *event != Event::Comment).collect()
}
