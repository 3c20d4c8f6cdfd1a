//! A stream's bytes cut into JSON objects, in whichever of the two forms it comes.
//!
//! With `alt=sse` a stream is server-sent events. Without it, one JSON array that grows. In either an error may stand
//! as a plain object at the beginning of a line, which is how Google's front ends report one.

use crate::decoder::Cutter;
use crate::sse::{SseSplitter, TooLong};

/// As for an event of any other stream.
const MAX_OBJECT: usize = 32 * 1024 * 1024;

/// Bytes that are no stream of this dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    #[error(transparent)]
    Event(#[from] TooLong),
    #[error("an object of the stream is longer than {MAX_OBJECT} bytes")]
    Object,
    #[error("byte {0:#04x} stands between the objects of the stream's array")]
    Between(u8),
}

/// Cuts bytes into objects, any cut being alike.
#[derive(Debug, Default)]
pub struct Frames {
    form: Form,
    sse: SseSplitter,
    /// The plain object that is being read.
    object: Option<Object>,
    /// Within a line of an event stream.
    in_line: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Form {
    #[default]
    Unknown,
    Events,
    Array,
    ClosedArray,
}

#[derive(Debug, Default)]
struct Object {
    bytes: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Frames {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `frame` with each object that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut frame: impl FnMut(&[u8])) -> Result<(), BadFrame> {
        while !bytes.is_empty() {
            if let Some(object) = &mut self.object {
                let (taken, whole) = object.take(bytes)?;
                bytes = &bytes[taken..];
                if whole {
                    frame(&object.bytes);
                    self.object = None;
                }
                continue;
            }
            bytes = match self.form {
                Form::Unknown => self.begin(bytes),
                Form::Events => self.line(bytes, &mut frame)?,
                Form::Array | Form::ClosedArray => self.between(bytes)?,
            };
        }
        Ok(())
    }

    /// Whether the stream has stopped where a whole one cannot.
    pub fn is_midway(&self) -> bool {
        self.object.is_some() || self.form == Form::Array || self.sse.is_midway()
    }

    fn begin<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes[0] {
            byte if byte.is_ascii_whitespace() => return &bytes[1..],
            b'[' => {
                self.form = Form::Array;
                return &bytes[1..];
            }
            _ => self.form = Form::Events,
        }
        bytes
    }

    fn line<'a>(&mut self, bytes: &'a [u8], frame: &mut impl FnMut(&[u8])) -> Result<&'a [u8], BadFrame> {
        if !self.in_line && bytes[0] == b'{' {
            self.object = Some(Object::default());
            return Ok(bytes);
        }
        let end = memchr::memchr2(b'\n', b'\r', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.in_line = end.is_none();
        self.sse.push(line, |event| frame(&event.data))?;
        Ok(rest)
    }

    fn between<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadFrame> {
        match bytes[0] {
            byte if byte.is_ascii_whitespace() => {}
            b',' if self.form == Form::Array => {}
            b']' if self.form == Form::Array => self.form = Form::ClosedArray,
            b'{' if self.form == Form::Array => {
                self.object = Some(Object::default());
                return Ok(bytes);
            }
            byte => return Err(BadFrame::Between(byte)),
        }
        Ok(&bytes[1..])
    }
}

impl Cutter for Frames {
    type Piece = Vec<u8>;
    type Error = BadFrame;

    fn push(&mut self, bytes: &[u8], mut piece: impl FnMut(Vec<u8>)) -> Result<(), BadFrame> {
        Self::push(self, bytes, |frame| piece(frame.to_vec()))
    }

    fn is_midway(&self) -> bool {
        Self::is_midway(self)
    }
}

impl Object {
    /// Takes what belongs to it: how many bytes, and whether they complete it.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), BadFrame> {
        let end = bytes.iter().position(|byte| self.closes(*byte));
        let taken = end.map_or(bytes.len(), |end| end + 1);
        if self.bytes.len() + taken > MAX_OBJECT {
            return Err(BadFrame::Object);
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok((taken, end.is_some()))
    }

    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' => self.depth += 1,
            b'}' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> (Vec<String>, Result<(), BadFrame>, bool) {
        let (mut frames, mut found) = (Frames::new(), Vec::new());
        for piece in pieces {
            let told = frames.push(piece, |frame| found.push(String::from_utf8_lossy(frame).into_owned()));
            if told.is_err() {
                return (found, told, frames.is_midway());
            }
        }
        (found, Ok(()), frames.is_midway())
    }

    const EVENTS: &str = "\u{feff}data: {\"a\":1}\r\n\r\ndata: {\"b\":\r\ndata: 2}\r\n\r\n";
    const ARRAY: &str = "[{\n  \"a\": \"}{\\\"[\\\\\"\n}\n,\r\n{\"b\":{\"c\":[{}]}}]\n";
    const FAILED: &str = "data: {\"a\":1}\n\n{\n \"error\": {\"message\": \"}\"}\n}\n";

    #[test]
    fn both_forms_and_plain_errors_at_any_cut() {
        for (stream, expected) in [
            (EVENTS, vec!["{\"a\":1}", "{\"b\":\n2}"]),
            (ARRAY, vec!["{\n  \"a\": \"}{\\\"[\\\\\"\n}", "{\"b\":{\"c\":[{}]}}"]),
            (FAILED, vec!["{\"a\":1}", "{\n \"error\": {\"message\": \"}\"}\n}"]),
            ("[]", vec![]),
            ("", vec![]),
        ] {
            for at in 0..=stream.len() {
                let (head, tail) = stream.as_bytes().split_at(at);
                let (found, told, midway) = split(&[head, tail]);
                assert_eq!((found, told, midway), (expected.iter().map(ToString::to_string).collect(), Ok(()), false));
            }
        }
    }

    #[test]
    fn an_array_is_whole_when_it_is_closed() {
        let whole = ARRAY.trim_end();
        for at in 1..whole.len() {
            let (_, told, midway) = split(&[&whole.as_bytes()[..at]]);
            assert!(told.is_ok() && midway, "{at}");
        }
        assert_eq!(split(&[b"[{}] x"]).1, Err(BadFrame::Between(b'x')));
        assert_eq!(split(&[b"[1]"]).1, Err(BadFrame::Between(b'1')));
    }

    #[test]
    fn refuses_to_hold_an_endless_object() {
        let mut frames = Frames::new();
        frames.push(b"[{\"", |_| ()).unwrap();
        let block = vec![b'x'; 1024 * 1024];
        assert_eq!((0..64).take_while(|_| frames.push(&block, |_| ()).is_ok()).count(), 31);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn pieces_do_not_matter(stream in r#"(data: ?|[\[\]{}",\\a]|\n|\r|\{\}){0,40}"#, at in 0_usize..80) {
            let (head, tail) = stream.as_bytes().split_at(at.min(stream.len()));
            prop_assert_eq!(split(&[head, tail]), split(&[stream.as_bytes()]));
        }
    }
}
