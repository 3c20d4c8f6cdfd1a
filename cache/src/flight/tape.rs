//! The events of one stream while it runs, within the size of an entry.

use bytes::{Bytes, BytesMut};

use crate::entry::{Recorded, RecordedEvent};

/// Collects events. Over its limit it gives up and frees what it had.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    limit: usize,
    last_us: u64,
    bytes: BytesMut,
    marks: Vec<Mark>,
    is_full: bool,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    delay_us: u32,
    /// Where the event ends.
    end: u32,
}

impl Tape {
    /// A tape of at most `limit` bytes, its own bookkeeping included.
    pub(crate) fn new(limit: usize) -> Tape {
        let limit = limit.min(u32::MAX as usize);
        Tape { limit, last_us: 0, bytes: BytesMut::new(), marks: Vec::new(), is_full: false }
    }

    /// One whole event, blank line included, that came `at_us` microseconds after the request was sent.
    ///
    /// The bytes are copied: a slice would keep the whole network buffer alive that it is part of.
    pub(crate) fn push(&mut self, at_us: u64, event: &[u8]) {
        let delay_us = u32::try_from(at_us.saturating_sub(self.last_us)).unwrap_or(u32::MAX);
        self.last_us = self.last_us.max(at_us);
        self.append(delay_us, event);
    }

    /// One event, so long after the one before it.
    pub(crate) fn append(&mut self, delay_us: u32, event: &[u8]) {
        let needed = self.bytes.len() + event.len() + (self.marks.len() + 1) * size_of::<RecordedEvent>();
        if self.is_full || needed > self.limit {
            *self = Tape { is_full: true, ..Tape::new(0) };
            return;
        }
        self.bytes.extend_from_slice(event);
        // Fits by the limit.
        self.marks.push(Mark { delay_us, end: self.bytes.len() as u32 });
    }

    /// Whether the stream was too large.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether the answer begins with all that is here.
    pub(crate) fn is_begin_of(&self, recorded: &Recorded) -> bool {
        match recorded {
            _ if self.marks.is_empty() => true,
            Recorded::Plain { .. } | Recorded::Compressed(_) => false,
            Recorded::Stream { events } => {
                let mut rest = &self.bytes[..];
                let mut begins =
                    |event: &RecordedEvent| rest.strip_prefix(event.bytes.as_ref()).map(|after| rest = after).is_some();
                events.len() >= self.marks.len()
                    && events.iter().take(self.marks.len()).all(&mut begins)
                    && rest.is_empty()
            }
        }
    }

    /// The events from this one on, of at most so many bytes, but at least one if there is one.
    pub(crate) fn since(&self, seen: usize, most: usize) -> Vec<RecordedEvent> {
        let marks = self.marks.get(seen..).unwrap_or_default();
        let start = seen.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(0, |mark| mark.end as usize);
        let fits = |mark: &&Mark| mark.end as usize - start <= most;
        let count = marks.iter().take_while(fits).count().max(usize::from(!marks.is_empty()));
        let end = count.checked_sub(1).map_or(start, |last| marks[last].end as usize);
        // One piece of memory for all of them.
        split(Bytes::copy_from_slice(&self.bytes[start..end]), start, &marks[..count])
    }

    /// The stream, if all of it was kept. Whether it had come to its end is the caller's to know.
    pub(crate) fn finish(self) -> Option<Recorded> {
        if self.is_full || self.marks.is_empty() {
            return None;
        }
        // An exact copy: the buffer grew by doubling, and an entry lives long.
        Some(Recorded::Stream { events: split(Bytes::copy_from_slice(&self.bytes), 0, &self.marks) })
    }
}

fn split(mut bytes: Bytes, mut start: usize, marks: &[Mark]) -> Vec<RecordedEvent> {
    let event = |mark: &Mark| {
        let len = mark.end as usize - std::mem::replace(&mut start, mark.end as usize);
        RecordedEvent { delay_us: mark.delay_us, bytes: bytes.split_to(len) }
    };
    marks.iter().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(events: &[RecordedEvent]) -> Vec<(u32, &[u8])> {
        events.iter().map(|event| (event.delay_us, event.bytes.as_ref())).collect()
    }

    fn tape() -> Tape {
        let mut tape = Tape::new(1000);
        tape.push(1_500, b"data: a\n\n");
        tape.push(4_000, b"data: bc\n\n");
        tape.push(3_000, b"data: [DONE]\n\n");
        tape
    }

    #[test]
    fn keeps_events_whole_with_their_pauses() {
        let Some(Recorded::Stream { events }) = tape().finish() else { panic!("nothing recorded") };
        assert_eq!(texts(&events), [(1_500, &b"data: a\n\n"[..]), (2_500, b"data: bc\n\n"), (0, b"data: [DONE]\n\n")]);
    }

    #[test]
    fn is_read_from_any_event_on_and_in_parts() {
        let tape = tape();
        assert_eq!(texts(&tape.since(1, 1000)), [(2_500, &b"data: bc\n\n"[..]), (0, b"data: [DONE]\n\n")]);
        assert_eq!(texts(&tape.since(0, 19)), [(1_500, &b"data: a\n\n"[..]), (2_500, b"data: bc\n\n")]);
        // However small the part, it gets on.
        assert_eq!(texts(&tape.since(2, 1)), [(0, &b"data: [DONE]\n\n"[..])]);
        assert_eq!((tape.since(3, 1000).len(), tape.since(4, 1000).len()), (0, 0));
    }

    #[test]
    fn knows_the_answer_that_it_is_the_begin_of() {
        let whole = tape().finish().unwrap();
        let mut begin = Tape::new(1000);
        assert!(begin.is_begin_of(&whole) && begin.is_begin_of(&Recorded::Plain { body: Bytes::new() }));
        begin.push(9, b"data: a\n\n");
        assert!(begin.is_begin_of(&whole) && tape().is_begin_of(&whole));
        assert!(!begin.is_begin_of(&Recorded::Plain { body: Bytes::new() }));
        begin.push(9, b"data: x\n\n");
        assert!(!begin.is_begin_of(&whole) && !tape().is_begin_of(&begin.finish().unwrap()));
    }

    #[test]
    fn gives_up_over_the_limit_and_frees_the_memory() {
        let mut tape = Tape::new(200);
        for _ in 0..100 {
            tape.push(0, &[b'x'; 20]);
            assert!(tape.bytes.capacity() <= 400 && tape.marks.len() <= 5);
        }
        assert!(tape.is_full() && tape.bytes.capacity() == 0);
        assert_eq!(tape.finish(), None);
    }

    #[test]
    fn nothing_is_no_stream() {
        assert_eq!(Tape::new(100).finish(), None);
    }
}
