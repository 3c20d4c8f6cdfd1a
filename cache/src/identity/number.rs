//! Numbers of the canonical form: exact decimals, so that `1`, `1.0` and `10e-1` are one and no digit is lost.

use super::IdentityError;

pub(super) const TAG: u8 = b'#';
const END: u8 = b';';
/// Exponents with more digits are no numbers that a request means.
const MAX_EXPONENT_DIGITS: usize = 9;

/// Appends the number that begins at `at`; gives the place after it.
pub(super) fn scan(body: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, IdentityError> {
    let negative = body.get(at) == Some(&b'-');
    let whole = at + usize::from(negative);
    let whole_end = digits_end(body, whole);
    let leading_zero = body.get(whole) == Some(&b'0') && whole_end - whole > 1;
    if whole_end == whole || leading_zero {
        return Err(IdentityError::Syntax { at, expected: "a number" });
    }
    let mut end = whole_end;
    let mut fraction = &body[..0];
    if body.get(end) == Some(&b'.') {
        let fraction_end = digits_end(body, end + 1);
        fraction = &body[end + 1..fraction_end];
        if fraction.is_empty() {
            return Err(IdentityError::Syntax { at: fraction_end, expected: "a digit" });
        }
        end = fraction_end;
    }
    let mut exponent = 0;
    if matches!(body.get(end), Some(b'e' | b'E')) {
        (exponent, end) = exponent_at(body, end + 1)?;
    }
    append(out, negative, &body[whole..whole_end], fraction, exponent);
    Ok(end)
}

fn digits_end(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

fn exponent_at(body: &[u8], at: usize) -> Result<(i64, usize), IdentityError> {
    let negative = body.get(at) == Some(&b'-');
    let start = at + usize::from(matches!(body.get(at), Some(b'-' | b'+')));
    let end = digits_end(body, start);
    let zeros = body.get(start..end).unwrap_or_default().iter().take_while(|&&digit| digit == b'0').count();
    if end == start || end - start - zeros > MAX_EXPONENT_DIGITS {
        return Err(IdentityError::Syntax { at, expected: "an exponent" });
    }
    let value = body[start..end].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Ok((if negative { -value } else { value }, end))
}

fn append(out: &mut Vec<u8>, negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) {
    out.push(TAG);
    let sign = out.len();
    if negative {
        out.push(b'-');
    }
    let start = out.len();
    let significant = |&&digit: &&u8| digit != b'0';
    out.extend(whole.iter().chain(fraction).skip_while(|digit| !significant(digit)));
    let written = out.len();
    while out.len() > start && out.last() == Some(&b'0') {
        out.pop();
    }
    if out.len() == start {
        // Zero has no sign and no exponent.
        out.truncate(sign);
        out.push(b'0');
    } else {
        let exponent = exponent - fraction.len() as i64 + (written - out.len()) as i64;
        if exponent != 0 {
            out.push(b'e');
            out.extend_from_slice(exponent.to_string().as_bytes());
        }
    }
    out.push(END);
}
