//! The strict reading of HTTP/1's framing: where a message begins and ends, with one answer or a refusal.
//!
//! What two programs on a connection's way could read in two ways is refused here, before the HTTP library sees it: two
//! lengths, a length and chunks, lines that end otherwise than CR LF, folded lines, what chunks must not hold (RFC 9112,
//! sections 2.2, 5, 6 and 7). Nothing is changed or kept: the bytes that pass are the library's to parse, and it reads
//! what is left in the only way there is. Pure: bytes in, a verdict out, and cut anywhere the verdict is the same.

mod grammar;

use http::StatusCode;

use grammar::{chunk_size, decimal, header, is_framing, is_of_host, is_token, may_begin_a_request};

use super::error_form::ErrorForm;

pub(super) const MAX_HEAD: usize = 64 << 10;
pub(super) const MAX_HEADERS: usize = 100;
const MAX_TRAILERS: usize = 16 << 10;
const MAX_CHUNK_LINE: usize = 256;
/// Empty lines before a request, which old clients leave behind a body.
const MAX_EMPTY_LINES: u8 = 4;

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a line of the request does not end with CR LF")]
    LineEnd,
    #[error("the request line is not `METHOD target HTTP/1.1`")]
    RequestLine,
    #[error("a header begins with white space: folded lines are not taken")]
    Folded,
    #[error("the name of a header is not a token followed by a colon")]
    HeaderName,
    #[error("the value of a header holds a control character")]
    HeaderValue,
    #[error("`content-length` is not one plain decimal number")]
    Length,
    #[error("`content-length` is there more than once")]
    SeveralLengths,
    #[error("`content-length` and `transfer-encoding` are both there")]
    LengthAndChunks,
    #[error("`transfer-encoding` is not `chunked`, once, in HTTP/1.1")]
    TransferEncoding,
    #[error("`host` is missing, there more than once, or holds what no host has")]
    Host,
    #[error("a chunk of the body is malformed")]
    Chunk,
    #[error("a trailer names the framing of the message")]
    Trailer,
    #[error("the head of the request is larger than {MAX_HEAD} bytes or {MAX_HEADERS} headers")]
    TooLarge,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Header,
    /// So many bytes of a body with a length.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// HTTP/2, which frames itself.
    Passing,
}

/// What the head has said so far.
#[derive(Debug, Default, Clone, Copy)]
struct Head {
    is_http_11: bool,
    length: Option<u64>,
    chunked: bool,
    hosts: u8,
    headers: usize,
    bytes: usize,
}

/// Follows one connection.
#[derive(Debug)]
pub struct Framing {
    state: State,
    head: Head,
    /// A line whose end has not come.
    partial: Vec<u8>,
    empty_lines: u8,
    /// No request line has been seen.
    first: bool,
    form: ErrorForm,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            state: State::RequestLine,
            head: Head::default(),
            partial: Vec::new(),
            empty_lines: 0,
            first: true,
            form: ErrorForm::default(),
        }
    }
}

impl Framing {
    /// Whether a request's head has begun and not ended.
    pub fn is_in_head(&self) -> bool {
        match self.state {
            State::RequestLine => !self.partial.is_empty(),
            State::Header => true,
            _ => false,
        }
    }

    /// How the last request's client reads errors.
    pub fn form(&self) -> ErrorForm {
        self.form
    }

    /// Reads on.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.state {
                State::Passing => return Ok(()),
                State::Body(left) => {
                    let left = skip(&mut rest, left);
                    self.state = if left == 0 { State::RequestLine } else { State::Body(left) };
                }
                State::Chunk(left) => {
                    let left = skip(&mut rest, left);
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                }
                _ => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        self.partial.extend_from_slice(rest);
                        if self.state == State::RequestLine && !may_begin_a_request(&self.partial) {
                            return Err(Refusal::RequestLine);
                        }
                        return self.bounded(self.partial.len());
                    };
                    let (line, after) = rest.split_at(end + 1);
                    rest = after;
                    if self.partial.is_empty() {
                        self.line(line)?;
                    } else {
                        let mut whole = std::mem::take(&mut self.partial);
                        whole.extend_from_slice(line);
                        self.line(&whole)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a line of this length may be.
    fn bounded(&self, length: usize) -> Result<(), Refusal> {
        match self.state {
            State::ChunkSize | State::ChunkEnd if length > MAX_CHUNK_LINE => Err(Refusal::Chunk),
            State::Trailer if self.head.bytes + length > MAX_TRAILERS => Err(Refusal::TooLarge),
            _ if self.head.bytes + length > MAX_HEAD => Err(Refusal::TooLarge),
            _ => Ok(()),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.bounded(line.len())?;
        let line = line.strip_suffix(b"\r\n").ok_or(Refusal::LineEnd)?;
        match self.state {
            State::RequestLine => {
                if line.is_empty() {
                    self.empty_lines += 1;
                    return if self.empty_lines > MAX_EMPTY_LINES { Err(Refusal::RequestLine) } else { Ok(()) };
                }
                self.empty_lines = 0;
                self.head = Head::default();
                self.request_line(line)?;
                self.first = false;
            }
            State::Header if line.is_empty() => self.state = self.head_ended()?,
            State::Header => self.header(line)?,
            State::ChunkSize => {
                let size = chunk_size(line)?;
                self.head.bytes = 0;
                self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
            }
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return Err(Refusal::Chunk),
            State::Trailer if line.is_empty() => self.state = State::RequestLine,
            State::Trailer => {
                self.head.bytes += line.len();
                let (name, _) = header(line)?;
                if is_framing(name) {
                    return Err(Refusal::Trailer);
                }
            }
            State::Body(_) | State::Chunk(_) | State::Passing => {}
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if self.first && line == b"PRI * HTTP/2.0" {
            self.state = State::Passing;
            return Ok(());
        }
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        let target_ok = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
        if !is_token(method) || !target_ok {
            return Err(Refusal::RequestLine);
        }
        self.head.is_http_11 = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return Err(Refusal::RequestLine),
        };
        self.head.bytes = line.len();
        self.form = std::str::from_utf8(target).map(ErrorForm::of_path).unwrap_or_default();
        self.state = State::Header;
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let head = &mut self.head;
        head.headers += 1;
        head.bytes += line.len();
        if head.headers > MAX_HEADERS {
            return Err(Refusal::TooLarge);
        }
        let (name, value) = header(line)?;
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if head.chunked {
                    return Err(Refusal::LengthAndChunks);
                }
                if head.length.is_some() {
                    return Err(Refusal::SeveralLengths);
                }
                head.length = Some(decimal(value).ok_or(Refusal::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if head.length.is_some() {
                    return Err(Refusal::LengthAndChunks);
                }
                if head.chunked || !head.is_http_11 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::TransferEncoding);
                }
                head.chunked = true;
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                head.hosts += 1;
                if head.hosts > 1 || !value.iter().all(|byte| is_of_host(*byte)) {
                    return Err(Refusal::Host);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn head_ended(&mut self) -> Result<State, Refusal> {
        self.head.bytes = 0;
        if self.head.is_http_11 && self.head.hosts == 0 {
            return Err(Refusal::Host);
        }
        Ok(match self.head.length {
            _ if self.head.chunked => State::ChunkSize,
            Some(length) if length > 0 => State::Body(length),
            _ => State::RequestLine,
        })
    }
}

/// Leaves out so many bytes, or all; returns how many are left to leave out.
fn skip(rest: &mut &[u8], left: u64) -> u64 {
    let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    *rest = &rest[now..];
    left - now as u64
}

#[cfg(test)]
mod tests;
