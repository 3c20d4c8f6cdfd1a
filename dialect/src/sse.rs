//! Server-sent events: a splitter that takes any cut, and a writer.
//!
//! As the HTML standard has them: lines end in CR, LF or CRLF, a blank line ends an event, `data` lines are joined by
//! LF, lines that begin with a colon are comments. An event that the stream's end cuts short is not an event.

use crate::decoder::Cutter;

/// A line or an event beyond this is not a chat stream; images in answers stay below.
const MAX_EVENT: usize = 32 * 1024 * 1024;

/// One event, its name empty where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub name: String,
    pub data: Vec<u8>,
}

/// An event that grew beyond what is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT} bytes")]
pub struct TooLong;

/// Cuts bytes into events.
#[derive(Debug, Default)]
pub struct SseSplitter {
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    /// Whether the event has a `data` line, which may be empty.
    has_data: bool,
    /// The last byte was a CR: an LF right after it belongs to it.
    after_cr: bool,
    /// Whether the stream's first bytes, where a byte order mark may stand, are past.
    started: bool,
    too_long: bool,
}

impl SseSplitter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `event` for each event that they complete. After [`TooLong`] nothing more comes.
    pub fn push(&mut self, mut bytes: &[u8], mut event: impl FnMut(SseEvent)) -> Result<(), TooLong> {
        while !bytes.is_empty() && !self.too_long {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.hold(bytes);
                break;
            };
            self.hold(&bytes[..end]);
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if !self.too_long {
                self.end_line(&mut event);
            }
        }
        if self.too_long { Err(TooLong) } else { Ok(()) }
    }

    /// Whether bytes of an unfinished event are held.
    pub fn is_midway(&self) -> bool {
        !self.line.is_empty() || self.has_data
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.line.len() + self.data.len() + bytes.len() > MAX_EVENT {
            self.too_long = true;
            (self.line, self.data) = (Vec::new(), Vec::new());
            return;
        }
        self.line.extend_from_slice(bytes);
    }

    fn end_line(&mut self, event: &mut impl FnMut(SseEvent)) {
        let mut line = self.line.as_slice();
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            let name = String::from_utf8_lossy(&self.name).into_owned();
            let data = std::mem::take(&mut self.data);
            self.name.clear();
            if std::mem::take(&mut self.has_data) {
                event(SseEvent { name, data });
            }
        } else if let Some(value) = field(line, b"data") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
        } else if let Some(value) = field(line, b"event") {
            self.name.clear();
            self.name.extend_from_slice(value);
        }
        self.line.clear();
    }
}

impl Cutter for SseSplitter {
    type Piece = SseEvent;
    type Error = TooLong;

    fn push(&mut self, bytes: &[u8], piece: impl FnMut(SseEvent)) -> Result<(), TooLong> {
        Self::push(self, bytes, piece)
    }

    fn is_midway(&self) -> bool {
        Self::is_midway(self)
    }
}

/// The value of a line `name: value`, without the one space that may follow the colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    let Some(value) = rest.strip_prefix(b":") else { return rest.is_empty().then_some(rest) };
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Appends an event with one `data` line. `json` is JSON: line breaks in it can only be space between its tokens.
pub fn write_event(name: Option<&str>, json: &[u8], out: &mut Vec<u8>) {
    out.reserve(json.len() + 16);
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let from = out.len();
    out.extend_from_slice(json);
    if memchr::memchr2(b'\n', b'\r', json).is_some() {
        for byte in &mut out[from..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let (mut splitter, mut events) = (SseSplitter::new(), Vec::new());
        for piece in pieces {
            splitter.push(piece, |event| events.push(event)).unwrap();
        }
        events
    }

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent { name: name.to_owned(), data: data.as_bytes().to_vec() }
    }

    const STREAM: &str = "\u{feff}: hello\r\n\r\nevent: ping\rdata:{}\r\rdata: a\ndata\ndata:  b\r\n\nid: 7\n\n\
        event: lost\n\ndata: {\"x\":\"é\"}\nretry: 1\n\ndata: cut";

    #[test]
    fn splits_what_the_standard_allows() {
        let expected = [event("ping", "{}"), event("", "a\n\n b"), event("", "{\"x\":\"é\"}")];
        assert_eq!(split(&[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn one_line_end_is_not_two() {
        assert_eq!(split(&[b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n"]), [event("x", "1\n2")]);
        assert_eq!(split(&[b"event: x\r", b"\ndata: 1\r", b"\n\r", b"\n"]), [event("x", "1")]);
    }

    #[test]
    fn any_cut_gives_the_same() {
        let whole = split(&[STREAM.as_bytes()]);
        for at in 0..=STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(at);
            assert_eq!(split(&[head, tail]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(split(&bytes), whole);
    }

    #[test]
    fn refuses_to_hold_an_endless_event() {
        let mut splitter = SseSplitter::new();
        let block = vec![b'x'; 1024 * 1024];
        let taken = (0..64).take_while(|_| splitter.push(&block, |_| ()).is_ok()).count();
        assert_eq!(taken, 32);
        assert_eq!(splitter.push(b"\n\ndata: x\n\n", |_| panic!("after the error")), Err(TooLong));
    }

    #[test]
    fn writes_one_line_whatever_the_space() {
        let mut out = Vec::new();
        write_event(Some("x"), b"{\n\"a\":\r\n1}", &mut out);
        assert_eq!(out, b"event: x\ndata: { \"a\":  1}\n\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn pieces_do_not_matter(stream in r"(data: ?|event: ?|[a:]|\r|\n|\r\n){0,40}", cuts in proptest::collection::vec(0_usize..80, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push(&stream.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(split(&pieces), split(&[stream.as_bytes()]));
        }
    }
}
