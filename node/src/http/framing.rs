//! The strict reading of HTTP/1's framing: where a message begins and ends, with one answer or a refusal.
//!
//! What two programs on a connection's way could read in two ways is refused here, before the HTTP library sees it: two
//! lengths, a length and chunks, lines that end otherwise than CR LF, folded lines, what chunks must not hold (RFC 9112,
//! sections 2.2, 5, 6 and 7). Nothing is changed or kept: the bytes that pass are the library's to parse, and it reads
//! what is left in the only way there is. Pure: bytes in, a verdict out, and cut anywhere the verdict is the same.

use http::StatusCode;

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

/// Whether a request line can begin like this. The library looks at less than a line, and its answers say nothing.
fn may_begin_a_request(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut parts = text.split(|byte| *byte == b' ').peekable();
    let mut sound = 0;
    while let Some(part) = parts.next() {
        let is_sound = if sound == 0 { is_token(part) } else { part.iter().all(u8::is_ascii_graphic) };
        // Only what comes last may be nothing yet.
        if sound == 3 || !is_sound && !part.is_empty() || part.is_empty() && parts.peek().is_some() {
            return false;
        }
        sound += 1;
    }
    true
}

/// Leaves out so many bytes, or all; returns how many are left to leave out.
fn skip(rest: &mut &[u8], left: u64) -> u64 {
    let now = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    *rest = &rest[now..];
    left - now as u64
}

/// Name and value of a header line, without the white space around the value.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Folded);
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::HeaderName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Refusal::HeaderName);
    }
    // Without a branch a byte, so that it is done many bytes at a time.
    if value.iter().fold(false, |bad, byte| bad | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f)) {
        return Err(Refusal::HeaderValue);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(begin, |last| last + 1);
    Ok((name, &value[begin..end]))
}

fn is_framing(name: &[u8]) -> bool {
    [&b"content-length"[..], b"transfer-encoding", b"host", b"connection", b"trailer", b"te", b"upgrade"]
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
}

/// RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric()
            || matches!(c, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(c, b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| TOKEN[usize::from(*byte)])
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%' | b'~')
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Hexadecimal digits, and an extension that nobody here understands.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let (digits, extension) = match memchr::memchr(b';', line) {
        Some(at) => line.split_at(at),
        None => (line, &[][..]),
    };
    let printable = extension.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    if digits.is_empty() || digits.len() > 12 || !digits.iter().all(u8::is_ascii_hexdigit) || !printable {
        return Err(Refusal::Chunk);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Refusal::Chunk)?;
    u64::from_str_radix(digits, 16).map_err(|_| Refusal::Chunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(bytes: &[u8]) -> Result<State, Refusal> {
        let mut framing = Framing::default();
        framing.feed(bytes).map(|()| framing.state)
    }

    /// One after another on a connection, as they come from real clients.
    const SOUND: [&str; 8] = [
        "GET /v1/models HTTP/1.1\r\nHost: gateway:8080\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: x\r\nTransfer-Encoding:  Chunked \r\n\r\n5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\n\r\n",
        "\r\nPOST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: [::1]:80\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-checksum: 1\r\n\r\n",
        "GET http://gateway/v1/models HTTP/1.1\r\nhost: \r\nx-empty:\r\nx-text: \u{e9} caf\u{e9}\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    ];

    #[test]
    fn sound_requests_pass_and_leave_the_next_ones_place() {
        let all: String = SOUND.concat();
        assert_eq!(verdict(all.as_bytes()), Ok(State::RequestLine));
        let h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        assert_eq!(verdict(h2), Ok(State::Passing));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let post = |headers: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n");
        let chunked = |body: &str| post("transfer-encoding: chunked") + body;
        use Refusal::*;
        for (request, refusal) in [
            (post("content-length: 5\r\ntransfer-encoding: chunked"), LengthAndChunks),
            (post("transfer-encoding: chunked\r\ncontent-length: 5"), LengthAndChunks),
            (post("content-length: 5\r\ncontent-length: 5"), SeveralLengths),
            (post("content-length: 5\r\nContent-Length: 6"), SeveralLengths),
            (post("content-length: 5, 5"), Length),
            (post("content-length: +5"), Length),
            (post("content-length: -5"), Length),
            (post("content-length: 0x5"), Length),
            (post("content-length: 5 5"), Length),
            (post("content-length:"), Length),
            (post("content-length: 99999999999999999999"), Length),
            (post("transfer-encoding: xchunked"), TransferEncoding),
            (post("transfer-encoding: chunked, chunked"), TransferEncoding),
            (post("transfer-encoding: gzip, chunked"), TransferEncoding),
            (post("transfer-encoding: identity"), TransferEncoding),
            (post("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), TransferEncoding),
            (post("transfer-encoding: \"chunked\""), TransferEncoding),
            (post("transfer-encoding: chunked\x0b"), HeaderValue),
            ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), TransferEncoding),
            (post("transfer-encoding : chunked"), HeaderName),
            (post("content-length\t: 5"), HeaderName),
            (post(" transfer-encoding: chunked"), Folded),
            (post("x: y\r\n continued"), Folded),
            (post("x: y\r\n\tcontinued"), Folded),
            (post("x\0y: z"), HeaderName),
            (post("x: y\0z"), HeaderValue),
            (post("x: y\rz"), HeaderValue),
            (post(": y"), HeaderName),
            (post("no colon"), HeaderName),
            (post("host: y"), Host),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Host),
            ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(), Host),
            ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n".to_owned(), Host),
            ("GET / HTTP/1.1\nhost: x\r\n\r\n".to_owned(), LineEnd),
            ("GET / HTTP/1.1\r\nhost: x\n\n".to_owned(), LineEnd),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n".to_owned(), LineEnd),
            ("GET  / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("GET / HTTP/1.1 \r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("GET /\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("GET /a\tb HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("GET / HTTP/1.2\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("G@T / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), RequestLine),
            ("\r\n\r\n\r\n\r\n\r\n".to_owned(), RequestLine),
            (chunked("5\nhello\r\n"), LineEnd),
            (chunked("5\r\nhello!\r\n"), Chunk),
            (chunked("5\r\nhelloX0\r\n"), Chunk),
            (chunked("5 \r\nhello\r\n"), Chunk),
            (chunked("-5\r\nhello\r\n"), Chunk),
            (chunked("0x5\r\nhello\r\n"), Chunk),
            (chunked("ffffffffffffffff\r\n"), Chunk),
            (chunked("5;a\rb\r\nhello\r\n"), Chunk),
            (chunked(&format!("5;{}\r\nhello\r\n", "a".repeat(300))), Chunk),
            (chunked("\r\n"), Chunk),
            (chunked("0\r\ncontent-length: 5\r\n\r\n"), Trailer),
            (chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), Trailer),
            (chunked("0\r\nx: y\n\r\n"), LineEnd),
            (format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100)), TooLarge),
            (format!("GET / HTTP/1.1\r\nhost: x\r\na: {}", "b".repeat(MAX_HEAD)), TooLarge),
        ] {
            assert_eq!(verdict(request.as_bytes()), Err(refusal), "{request:?}");
        }
    }

    #[test]
    fn a_request_line_is_refused_as_soon_as_it_can_be() {
        for line in ["", "P", "POST", "POST ", "POST /", "POST / HT", "POST / HTTP/1.1\r", "\r"] {
            assert_eq!(verdict(line.as_bytes()), Ok(State::RequestLine), "{line:?}");
        }
        for line in ["POST  ", " P", "POST\t/", "POST /\t", "POST / HTTP/1.1 ", "P\0", "\rP"] {
            let refused = verdict(line.as_bytes());
            assert_eq!(refused, Err(Refusal::RequestLine), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn cut_anywhere_the_verdict_is_the_same(
            noise in prop::collection::vec(any::<u8>(), 0..40), at in 0usize..400, cuts in prop::collection::vec(1usize..64, 1..40),
        ) {
            let mut bytes = SOUND.concat().into_bytes();
            let at = at.min(bytes.len());
            bytes.splice(at..at, noise);
            let whole = verdict(&bytes);
            let mut framing = Framing::default();
            let (mut rest, mut result) = (&bytes[..], Ok(()));
            for cut in cuts.iter().cycle() {
                if rest.is_empty() || result.is_err() { break }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                result = framing.feed(piece);
                rest = after;
            }
            // What is wrong in two ways may be refused for either.
            prop_assert_eq!(result.map(|()| framing.state).map_err(|_| ()), whole.map_err(|_| ()));
        }
    }
}
