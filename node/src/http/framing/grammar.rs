//! The lines of HTTP/1 (RFC 9110 and 9112), each read in the one way that is taken here.

use super::Refusal;

/// Whether a request line can begin like this. The library looks at less than a line, and its answers say nothing.
pub(super) fn may_begin_a_request(text: &[u8]) -> bool {
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

/// Name and value of a header line, without the white space around the value.
pub(super) fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
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

pub(super) fn is_framing(name: &[u8]) -> bool {
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

pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| TOKEN[usize::from(*byte)])
}

pub(super) fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%' | b'~')
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Hexadecimal digits, and an extension that nobody here understands.
pub(super) fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
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
