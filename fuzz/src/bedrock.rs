//! Bedrock's binary messages.

use peerway_dialect::bedrock::framing::{Frame, FrameSplitter, FramingError, write_frame};

/// Messages of lines: an event's name in front of its payload; `!` makes it an exception and `?` an error.
pub(crate) fn messages(lines: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b'{').unwrap_or(line.len());
        let (name, payload) = line.split_at(at);
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        let headers = match name.chars().next() {
            Some('!') => [(":message-type", "exception"), (":exception-type", &name[1..])],
            Some('?') => [(":message-type", "error"), (":error-code", &name[1..])],
            _ => [(":message-type", "event"), (":event-type", name)],
        };
        write_frame(&headers, payload, &mut stream);
    }
    stream
}

/// Any bytes: the same messages however they are cut; and what is written is read.
pub(crate) fn framing(cut: usize, bytes: &[u8]) {
    let whole = split([bytes]);
    assert_eq!(split(bytes.chunks(cut.max(1))), whole);
    let mut written = Vec::new();
    for frame in &whole.0 {
        let headers: Vec<(&str, &str)> = frame.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        write_frame(&headers, &frame.payload, &mut written);
    }
    assert_eq!(split([written.as_slice()]), (whole.0, Ok(()), false));
}

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<(), FramingError>, bool) {
    let (mut splitter, mut frames, mut result) = (FrameSplitter::new(), Vec::new(), Ok(()));
    for piece in pieces {
        result = splitter.push(piece, |frame| frames.push(frame));
    }
    (frames, result, splitter.is_midway())
}
