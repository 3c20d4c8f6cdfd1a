//! Watches a stream of server-sent events go by: counts events, notices the first
//! output, an error event, the final `data: [DONE]`, and when the provider let an event go, if it says so.

use memchr::{memchr, memmem};

/// A line longer than this is no longer kept whole; only its beginning is judged.
const LINE_LIMIT: usize = 256 * 1024;

/// What was seen of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamWatch {
    partial: Vec<u8>,
    pub(crate) events: u64,
    pub(crate) output: bool,
    pub(crate) done: bool,
    pub(crate) error: bool,
    /// What the events since the last look say of when they were sent: microseconds since 1970.
    pub(crate) sent_us: Vec<u64>,
}

impl StreamWatch {
    /// Takes the next bytes of the body, cut anywhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                keep(&mut whole, line);
                self.line(&whole);
                whole.clear();
                self.partial = whole;
            }
            bytes = rest;
        }
        keep(&mut self.partial, bytes);
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if let Some(data) = line.strip_prefix(b"data:") {
            self.events += 1;
            self.data(data.trim_ascii_start());
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.error |= name.trim_ascii() == b"error";
        }
    }

    fn data(&mut self, data: &[u8]) {
        // Anything behind [DONE] means that it was not the end.
        self.done = data == b"[DONE]";
        if self.done {
            return;
        }
        self.sent_us.extend(sent_us(data));
        self.output |= carries_output(data);
        self.error |= data.starts_with(b"{\"error\"")
            || (memmem::find(data, b"\"error\"").is_some() && memmem::find(data, b"\"choices\"").is_none());
    }
}

fn keep(partial: &mut Vec<u8>, bytes: &[u8]) {
    let room = LINE_LIMIT.saturating_sub(partial.len());
    partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// The stamp of a simulated provider that was told to stamp its events.
fn sent_us(data: &[u8]) -> Option<u64> {
    const STAMP: &[u8] = b"\"sent_us\":";
    let digits = &data[memmem::find(data, STAMP)? + STAMP.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Whether a chunk has a `content` that is neither empty nor null (the first chunk often names only the role).
fn carries_output(data: &[u8]) -> bool {
    const CONTENT: &[u8] = b"\"content\":";
    memmem::find_iter(data, CONTENT).any(|at| {
        let value = data[at + CONTENT.len()..].trim_ascii_start();
        value.starts_with(b"\"") && !value.starts_with(b"\"\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        ": hello\n\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"the word \\\"error\\\"\"}}]}\r\n\r\n",
        "data: [DONE]\n\n"
    );

    #[test]
    fn sees_the_same_wherever_the_bytes_are_cut() {
        for cut in 1..STREAM.len() {
            let mut watch = StreamWatch::default();
            for part in STREAM.as_bytes().chunks(cut) {
                watch.feed(part);
            }
            assert_eq!((watch.events, watch.output, watch.done, watch.error), (3, true, true, false), "cut {cut}");
        }
    }

    #[test]
    fn the_first_output_is_not_the_role() {
        let mut watch = StreamWatch::default();
        let (role, rest) = STREAM.split_at(STREAM.find("data: {\"choices\":[{\"delta\":{\"content").unwrap());
        watch.feed(role.as_bytes());
        assert!(!watch.output);
        watch.feed(rest.as_bytes());
        assert!(watch.output);
    }

    #[test]
    fn stamps_are_read() {
        let mut watch = StreamWatch::default();
        watch.feed(b"data: {\"sent_us\":1763740800123456,\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n");
        watch.feed(b"data: {\"choices\":[],\"sent_us\":7}\n\n");
        assert_eq!(watch.sent_us, [1_763_740_800_123_456, 7]);
    }

    #[test]
    fn an_error_event_and_a_missing_end_are_seen() {
        for bad in [
            "event: error\ndata: {\"type\":\"error\"}\n\n",
            "data: {\"error\":{\"message\":\"x\"}}\n\n",
            "data: {\"id\":1,\"error\":{}}\n\n",
        ] {
            let mut watch = StreamWatch::default();
            watch.feed(bad.as_bytes());
            assert!(watch.error && !watch.done, "{bad}");
        }
        let mut watch = StreamWatch::default();
        watch.feed(b"data: [DONE]\n\ndata: {\"choices\":[]}\n\n");
        assert!(!watch.done);
    }
}
