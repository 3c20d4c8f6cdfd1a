//! Strings of the canonical form: decoded, and with their length before them.

use super::IdentityError;

pub(super) const TAG: u8 = b'"';
/// What stands before the decoded bytes: the tag and the length.
pub(super) const PREFIX: usize = 5;

/// Appends bytes that are decoded already.
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = begin(out);
    out.extend_from_slice(bytes);
    finish(out, start);
}

fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[TAG, 0, 0, 0, 0]);
    out.len()
}

// The body is shorter than 4 GiB (see `canonical`), and a decoded string is not longer than its spelling.
fn finish(out: &mut [u8], start: usize) {
    let len = (out.len() - start) as u32;
    out[start - 4..start].copy_from_slice(&len.to_le_bytes());
}

/// Appends the string that begins at `at` (the quote) in `body`; gives the place after it.
pub(super) fn scan(body: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, IdentityError> {
    let start = begin(out);
    let mut at = at + 1;
    loop {
        let run = plain_run(&body[at..]);
        out.extend_from_slice(&body[at..at + run]);
        at += run;
        match body.get(at) {
            Some(b'"') => {
                finish(out, start);
                return Ok(at + 1);
            }
            Some(b'\\') => at = escape(body, at, out)?,
            _ => return Err(IdentityError::Syntax { at, expected: "the end of a string" }),
        }
    }
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes stand for themselves. By blocks first: the loop without an early exit becomes vector instructions.
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    for block in bytes.chunks_exact(32) {
        if block.iter().fold(false, |found, &byte| found | is_special(byte)) {
            break;
        }
        run += 32;
    }
    run + bytes[run..].iter().position(|&byte| is_special(byte)).unwrap_or(bytes.len() - run)
}

fn escape(body: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, IdentityError> {
    let plain = match body.get(at + 1) {
        Some(&same @ (b'"' | b'\\' | b'/')) => same,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return unicode(body, at, out),
        _ => return Err(IdentityError::Syntax { at, expected: "an escape" }),
    };
    out.push(plain);
    Ok(at + 2)
}

fn unicode(body: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, IdentityError> {
    let bad = IdentityError::Syntax { at, expected: "a unicode escape of a whole character" };
    let first = unit(body, at).ok_or(bad.clone())?;
    let (code, end) = match first {
        0xd800..=0xdbff => {
            let second = unit(body, at + 6).filter(|low| (0xdc00..=0xdfff).contains(low)).ok_or(bad.clone())?;
            (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), at + 12)
        }
        _ => (first, at + 6),
    };
    let character = char::from_u32(code).ok_or(bad)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(end)
}

/// The number in the `\uXXXX` at this place.
fn unit(body: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = body.get(at..at + 6)? else { return None };
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + (digit as char).to_digit(16)?))
}
