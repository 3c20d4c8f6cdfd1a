//! Records a stream while it is relayed, within the size of an entry.

use bytes::{Bytes, BytesMut};

use crate::entry::{Recorded, RecordedEvent};

/// Collects the events of one stream. Over its limit it gives up and frees what it had.
#[derive(Debug)]
pub struct Recorder {
    limit: usize,
    last_us: u64,
    bytes: BytesMut,
    marks: Vec<Mark>,
    gave_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    delay_us: u32,
    len: u32,
}

impl Recorder {
    /// A recorder that keeps at most `limit` bytes, its own bookkeeping included.
    pub fn new(limit: usize) -> Recorder {
        Recorder {
            limit: limit.min(u32::MAX as usize),
            last_us: 0,
            bytes: BytesMut::new(),
            marks: Vec::new(),
            gave_up: false,
        }
    }

    /// One whole event, blank line included, that came `at_us` microseconds after the request was sent.
    ///
    /// The bytes are copied: a slice would keep the whole network buffer alive that it is part of.
    pub fn push(&mut self, at_us: u64, event: &[u8]) {
        let needed = self.bytes.len() + event.len() + (self.marks.len() + 1) * size_of::<RecordedEvent>();
        if self.gave_up || needed > self.limit {
            *self = Recorder { gave_up: true, ..Recorder::new(0) };
            return;
        }
        let delay_us = u32::try_from(at_us.saturating_sub(self.last_us)).unwrap_or(u32::MAX);
        self.last_us = self.last_us.max(at_us);
        self.bytes.extend_from_slice(event);
        // Fits by the limit.
        self.marks.push(Mark { delay_us, len: event.len() as u32 });
    }

    /// Whether the stream was too large.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// The stream, if all of it was kept. Whether it had come to its end is the caller's to know.
    pub fn finish(self) -> Option<Recorded> {
        if self.gave_up || self.marks.is_empty() {
            return None;
        }
        // An exact copy: the buffer grew by doubling, and an entry lives long.
        let mut rest = Bytes::copy_from_slice(&self.bytes);
        let event = |mark: Mark| RecordedEvent { delay_us: mark.delay_us, bytes: rest.split_to(mark.len as usize) };
        Some(Recorded::Stream { events: self.marks.into_iter().map(event).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_events_whole_with_their_pauses() {
        let mut recorder = Recorder::new(1000);
        recorder.push(1_500, b"data: a\n\n");
        recorder.push(4_000, b"data: bc\n\n");
        recorder.push(3_000, b"data: [DONE]\n\n");
        let Some(Recorded::Stream { events }) = recorder.finish() else { panic!("nothing recorded") };
        let seen: Vec<_> = events.iter().map(|event| (event.delay_us, event.bytes.as_ref())).collect();
        assert_eq!(seen, [(1_500, &b"data: a\n\n"[..]), (2_500, b"data: bc\n\n"), (0, b"data: [DONE]\n\n")]);
    }

    #[test]
    fn gives_up_over_the_limit_and_frees_the_memory() {
        let mut recorder = Recorder::new(200);
        for _ in 0..100 {
            recorder.push(0, &[b'x'; 20]);
            assert!(recorder.bytes.capacity() <= 400 && recorder.marks.len() <= 5);
        }
        assert!(recorder.gave_up() && recorder.bytes.capacity() == 0);
        assert_eq!(recorder.finish(), None);
    }

    #[test]
    fn nothing_is_no_stream() {
        assert_eq!(Recorder::new(100).finish(), None);
    }
}
