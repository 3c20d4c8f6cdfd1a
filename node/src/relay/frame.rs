//! Cuts the binary event stream of AWS into its messages without reading them: each begins with its length.

use bytes::{Bytes, BytesMut};

use super::EventTooLarge;

/// A message is no shorter than its prelude and its checksum.
const LEAST: usize = 16;

/// Holds the incomplete tail of a stream until its message is whole.
#[derive(Debug)]
pub(super) struct FrameCutter {
    held: BytesMut,
    limit: usize,
}

impl FrameCutter {
    pub(super) fn new(limit: usize) -> Self {
        Self { held: BytesMut::new(), limit }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next whole message, or `None` until more has arrived. What cannot be a message is told as one of its own, so
    /// that whoever reads it says what is wrong.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, EventTooLarge> {
        let Some(length) = self.held.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) else {
            return Ok(None);
        };
        if length > self.limit {
            return Err(EventTooLarge { limit: self.limit });
        }
        let length = length.max(LEAST);
        Ok((self.held.len() >= length).then(|| self.held.split_to(length).freeze()))
    }

    /// Bytes that belong to no whole message.
    pub(super) fn has_rest(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerway_dialect::bedrock::framing::write_frame;

    #[test]
    fn any_cut_gives_the_same_messages() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write_frame(&[(":event-type", "messageStart")], b"{\"role\":\"assistant\"}", &mut one);
        write_frame(&[], b"", &mut two);
        let whole = [one.clone(), two.clone()].concat();
        for at in 0..=whole.len() {
            let mut cutter = FrameCutter::new(1 << 20);
            let mut found = Vec::new();
            for piece in [&whole[..at], &whole[at..]] {
                cutter.push(piece);
                while let Some(frame) = cutter.next_frame().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, [one.clone(), two.clone()], "cut at {at}");
            assert!(!cutter.has_rest());
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let mut cutter = FrameCutter::new(1 << 20);
        cutter.push(&[0xff; 16]);
        assert_eq!(cutter.next_frame(), Err(EventTooLarge { limit: 1 << 20 }));
    }
}
