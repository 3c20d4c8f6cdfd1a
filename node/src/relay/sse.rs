//! Cuts a byte stream into server-sent events without copying what arrives whole.
//!
//! Source: WHATWG HTML, "Server-sent events": an event ends with a blank line; lines end with LF, CRLF or CR.

use bytes::{Bytes, BytesMut};

/// An event longer than the relay is willing to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct EventTooLarge {
    pub limit: usize,
}

/// Holds the incomplete tail of a stream until its event is whole.
#[derive(Debug)]
pub struct EventCutter {
    /// The piece that arrived last, while no event is split.
    piece: Bytes,
    /// An event that began in an earlier piece, and what came behind it.
    split: BytesMut,
    /// How much of `split` is known to hold no event end, so that an event that drips in byte by byte is not
    /// searched again from its beginning.
    searched: usize,
    limit: usize,
}

impl EventCutter {
    pub fn new(limit: usize) -> Self {
        Self { piece: Bytes::new(), split: BytesMut::new(), searched: 0, limit }
    }

    /// Takes the next piece of the body; call [`Self::next_event`] until it gives `None` before the next push.
    /// Pieces that hold whole events are sliced, not copied; only an event that is split over two pieces is put
    /// together in a buffer of its own.
    pub fn push(&mut self, piece: Bytes) {
        debug_assert!(self.piece.is_empty(), "events of the last piece were left behind");
        if self.split.is_empty() {
            self.piece = piece;
        } else {
            self.split.extend_from_slice(&piece);
        }
    }

    /// The next whole event with its blank line, or `None` until more has arrived.
    pub fn next_event(&mut self) -> Result<Option<Bytes>, EventTooLarge> {
        if self.split.is_empty() {
            match event_end(&self.piece, 0) {
                Some(end) if end <= self.limit => return Ok(Some(self.piece.split_to(end))),
                Some(_) => return Err(EventTooLarge { limit: self.limit }),
                None => {
                    self.split.extend_from_slice(&self.piece);
                    self.piece.clear();
                    self.searched = self.split.len();
                }
            }
        } else {
            // A blank line is at most four bytes long, so it may have begun in the last three.
            match event_end(&self.split, self.searched.saturating_sub(3)) {
                Some(end) if end <= self.limit => {
                    self.searched = 0;
                    return Ok(Some(self.split.split_to(end).freeze()));
                }
                Some(_) => return Err(EventTooLarge { limit: self.limit }),
                None => self.searched = self.split.len(),
            }
        }
        if self.split.len() > self.limit { Err(EventTooLarge { limit: self.limit }) } else { Ok(None) }
    }

    /// Bytes that belong to no whole event.
    pub fn rest(&self) -> &[u8] {
        self.split.trim_ascii()
    }
}

/// Offset behind the first blank line after `from`. A CR at the very end is taken for a whole line end; should an LF
/// follow in the next piece, it reads as one more empty line, which is harmless.
fn event_end(bytes: &[u8], mut from: usize) -> Option<usize> {
    while let Some(step) = memchr::memchr2(b'\n', b'\r', &bytes[from..]) {
        let at = from + step;
        let after = line_end(bytes, at);
        match bytes.get(after) {
            Some(b'\n' | b'\r') => return Some(line_end(bytes, after)),
            Some(_) => from = after,
            None => return None,
        }
    }
    None
}

/// Offset behind the line end that starts at `at`.
fn line_end(bytes: &[u8], at: usize) -> usize {
    if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Bytes> {
        let mut cutter = EventCutter::new(1 << 20);
        let mut events = Vec::new();
        for piece in pieces {
            cutter.push(Bytes::copy_from_slice(piece));
            while let Some(event) = cutter.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn an_event_is_handed_on_as_soon_as_it_is_whole() {
        let mut cutter = EventCutter::new(100);
        let piece = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
        cutter.push(piece.clone());
        let first = cutter.next_event().unwrap().unwrap();
        assert_eq!(first.as_ptr(), piece.as_ptr(), "sliced, not copied");
        assert_eq!(cutter.next_event().unwrap().unwrap(), "data: b\n\n");
        assert_eq!(cutter.next_event().unwrap(), None);
        assert!(!cutter.rest().is_empty());
    }

    #[test]
    fn every_kind_of_line_end() {
        assert_eq!(cut(&[b"a\r\n\r\nb\r\rc\n\n"]), ["a\r\n\r\n", "b\r\r", "c\n\n"]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut cutter = EventCutter::new(10);
        cutter.push(Bytes::from_static(b"data: 12345"));
        assert_eq!(cutter.next_event(), Err(EventTooLarge { limit: 10 }));
    }

    proptest! {
        #[test]
        fn cuts_the_same_however_the_bytes_arrive(
            text in proptest::collection::vec(prop_oneof![Just("\n\n"), Just("data: x"), Just("\n"), Just(": c")], 0..40),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10),
        ) {
            let whole = text.concat().into_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
            places.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for place in places {
                pieces.push(&whole[from..place]);
                from = place;
            }
            pieces.push(&whole[from..]);
            prop_assert_eq!(cut(&pieces), cut(&[&whole]));
        }
    }
}
