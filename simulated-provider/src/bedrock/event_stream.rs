//! AWS's binary framing of events: `application/vnd.amazon.eventstream`.

use bytes::Bytes;

/// The type of a header's value that is a text.
const TEXT: u8 = 7;

/// An event of this kind.
pub(super) fn event(kind: &str, payload: &[u8]) -> Bytes {
    frame(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// An error of the service's model, in the middle of a stream.
pub(super) fn exception(kind: &str, payload: &[u8]) -> Bytes {
    frame(&[(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")], payload)
}

/// Lengths and their checksum, headers, payload, and the checksum of it all; numbers are big-endian.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut encoded = Vec::with_capacity(128);
    for (name, value) in headers {
        encoded.push(name.len() as u8);
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(TEXT);
        encoded.extend_from_slice(&(value.len() as u16).to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let total = 12 + encoded.len() + payload.len() + 4;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(encoded.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&encoded);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Event stream encoding" of AWS's documentation: a frame without headers and payload.
    #[test]
    fn the_empty_frame_is_the_documented_one() {
        let expected = [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(frame(&[], b"")[..], expected);
    }
}
