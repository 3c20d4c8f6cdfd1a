//! `application/vnd.amazon.eventstream`: binary messages, each with its length, its headers and two checksums.
//!
//! ```text
//! total length u32 | headers length u32 | crc of these eight bytes u32 | headers | payload | crc of all before u32
//! ```
//!
//! Numbers are big-endian, checksums CRC-32 as in gzip. A header is a name (one byte of length), a type and a value.

use std::ops::Range;

use crate::decoder::Cutter;

const PRELUDE: usize = 12;
const TRAILER: usize = 4;
/// What AWS allows: 128 KiB of headers, 24 MiB of payload.
const MAX_HEADERS: usize = 128 * 1024;
const MAX_MESSAGE: usize = 24 * 1024 * 1024 + MAX_HEADERS + PRELUDE + TRAILER;

/// Why bytes are no message. The stream cannot be read on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a message of {0} bytes with {1} bytes of headers cannot be")]
    Length(usize, usize),
    #[error("the checksum of a message's {0} does not match")]
    Checksum(&'static str),
    #[error("a message's headers are malformed")]
    Headers,
}

/// A message. Of the headers those that are text are kept: no other kind has a meaning here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    pub headers: Vec<(String, String)>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Cuts bytes into messages, whatever the pieces they come in.
#[derive(Debug, Default)]
pub struct FrameSplitter {
    held: Vec<u8>,
    failed: Option<FramingError>,
}

impl FrameSplitter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `frame` for each message that they complete. After an error nothing more comes.
    pub fn push(&mut self, bytes: &[u8], mut frame: impl FnMut(Frame)) -> Result<(), FramingError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        let result = loop {
            match next(&self.held[from..]) {
                Ok(Some((read, length))) => {
                    frame(read);
                    from += length;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.held.drain(..from);
        if let Err(error) = result {
            self.failed = Some(error);
            self.held = Vec::new();
        }
        result
    }

    /// Whether bytes of an unfinished message are held.
    pub fn is_midway(&self) -> bool {
        !self.held.is_empty()
    }
}

impl Cutter for FrameSplitter {
    type Piece = Frame;
    type Error = FramingError;

    fn push(&mut self, bytes: &[u8], piece: impl FnMut(Frame)) -> Result<(), FramingError> {
        Self::push(self, bytes, piece)
    }

    fn is_midway(&self) -> bool {
        Self::is_midway(self)
    }
}

/// The message at the front and its length, once it is whole. Its lengths are believed only after their checksum, so that
/// no garbage makes us wait for megabytes.
fn next(bytes: &[u8]) -> Result<Option<(Frame, usize)>, FramingError> {
    let (Some(total), Some(headers), Some(crc)) = (number(bytes, 0), number(bytes, 4), number(bytes, 8)) else {
        return Ok(None);
    };
    if crc32fast::hash(&bytes[..8]) != crc {
        return Err(FramingError::Checksum("lengths"));
    }
    let (total, headers) = (total as usize, headers as usize);
    if headers > MAX_HEADERS || total > MAX_MESSAGE || total < PRELUDE + headers + TRAILER {
        return Err(FramingError::Length(total, headers));
    }
    let Some(message) = bytes.get(..total) else { return Ok(None) };
    let end = total - TRAILER;
    if number(message, end) != Some(crc32fast::hash(&message[..end])) {
        return Err(FramingError::Checksum("content"));
    }
    let headers_end = PRELUDE + headers;
    let headers = read_headers(&message[PRELUDE..headers_end]).ok_or(FramingError::Headers)?;
    Ok(Some((Frame { headers, payload: message[headers_end..end].to_vec() }, total)))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn read_headers(mut rest: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some((&name_length, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(usize::from(name_length))?;
        let (&kind, after) = after.split_first()?;
        let (value, after) = match kind {
            0 | 1 => (&after[..0], after),
            2 => after.split_at_checked(1)?,
            3 => after.split_at_checked(2)?,
            4 => after.split_at_checked(4)?,
            5 | 8 => after.split_at_checked(8)?,
            9 => after.split_at_checked(16)?,
            6 | 7 => {
                let (length, after) = after.split_first_chunk()?;
                after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?
            }
            _ => return None,
        };
        if kind == 7 {
            headers.push((String::from_utf8(name.to_vec()).ok()?, String::from_utf8(value.to_vec()).ok()?));
        }
        rest = after;
    }
    Some(headers)
}

/// Appends a message whose headers are text. A header too long for its length field is left out, which none of ours is.
pub fn write_frame(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in headers {
        let (Ok(name_length), Ok(length)) = (u8::try_from(name.len()), u16::try_from(value.len())) else { continue };
        out.push(name_length);
        out.extend_from_slice(name.as_bytes());
        out.push(7);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let headers_length = out.len() - from - PRELUDE;
    out.extend_from_slice(payload);
    let total = out.len() - from + TRAILER;
    put(out, from..from + 4, total);
    put(out, from + 4..from + 8, headers_length);
    let crc = crc32fast::hash(&out[from..from + 8]);
    out[from + 8..from + PRELUDE].copy_from_slice(&crc.to_be_bytes());
    let crc = crc32fast::hash(&out[from..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

/// Lengths are of what is in memory and was bounded before: far below 4 GiB.
fn put(out: &mut [u8], at: Range<usize>, number: usize) {
    out[at].copy_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// A message as AWS's encoders write it: headers of every type, of which the text is kept.
    const PUBLISHED: &str =
        "0000003d 00000020 07fd8396 0c 636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e
        7b27666f6f273a27626172277d 8d9c08b1";

    fn split(pieces: &[&[u8]]) -> (Vec<Frame>, Result<(), FramingError>) {
        let (mut splitter, mut frames) = (FrameSplitter::new(), Vec::new());
        for piece in pieces {
            if let Err(error) = splitter.push(piece, |frame| frames.push(frame)) {
                return (frames, Err(error));
            }
        }
        (frames, Ok(()))
    }

    #[test]
    fn reads_and_writes_the_published_message() {
        let bytes = hex(PUBLISHED);
        let (frames, result) = split(&[&bytes]);
        assert_eq!(result, Ok(()));
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].header("content-type"), Some("application/json"));
        assert_eq!(frames[0].payload, b"{'foo':'bar'}");
        let mut written = Vec::new();
        write_frame(&[("content-type", "application/json")], b"{'foo':'bar'}", &mut written);
        assert_eq!(written, bytes);
    }

    #[test]
    fn headers_of_other_types_are_stepped_over() {
        let mut headers = vec![1, b'a', 0, 1, b'b', 1, 1, b'c', 2, 7, 1, b'd', 3, 0, 7, 1, b'e', 4, 0, 0, 0, 7];
        headers.extend_from_slice(&[1, b'f', 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, b'g', 6, 0, 2, 1, 2]);
        headers.extend_from_slice(&[1, b'h', 8, 0, 0, 0, 0, 0, 0, 0, 7, 1, b'i', 9]);
        headers.extend_from_slice(&[9; 16]);
        headers.extend_from_slice(&[1, b'j', 7, 0, 1, b'x']);
        assert_eq!(read_headers(&headers).unwrap(), [("j".to_owned(), "x".to_owned())]);
        for cut in 1..headers.len() {
            let _ = read_headers(&headers[..cut]);
        }
        assert_eq!(read_headers(&[1, b'a', 10]), None);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = hex(PUBLISHED);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (frames, result) = split(&[&damaged]);
            assert!(frames.is_empty() && result.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_is_refused_at_once() {
        for (total, headers) in [(u32::MAX, 0), (16, 1), (15, 0), (1 << 20, 1 << 19)] {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&total.to_be_bytes());
            bytes.extend_from_slice(&u32::to_be_bytes(headers));
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            let (_, result) = split(&[&bytes]);
            assert_eq!(result, Err(FramingError::Length(total as usize, headers as usize)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn pieces_do_not_matter(
            messages in proptest::collection::vec((proptest::collection::vec(("[a-z:-]{1,12}", ".{0,20}"), 0..3), proptest::collection::vec(any::<u8>(), 0..40)), 0..4),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut bytes = Vec::new();
            for (headers, payload) in &messages {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                write_frame(&headers, payload, &mut bytes);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            let (frames, result) = split(&pieces);
            prop_assert_eq!(result, Ok(()));
            let expected: Vec<Frame> = messages.into_iter().map(|(headers, payload)| Frame { headers, payload }).collect();
            prop_assert_eq!(frames, expected);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&[&bytes]);
        }
    }
}
