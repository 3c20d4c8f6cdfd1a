//! Which of a Redis Cluster's keys fail together: its servers hold ranges of 16,384 slots, and a key's slot is a checksum of
//! it (the Redis Cluster specification, "Key distribution model").

use super::super::PARTS;

const SLOTS: usize = 16_384;

/// Neighbouring slots are one part: a server that holds a third of them is a third of the parts.
pub(super) fn part(key: &[u8]) -> usize {
    slot(key) * PARTS / SLOTS
}

/// Of a key without braces, by which keys can choose their slot; none of ours has any.
fn slot(key: &[u8]) -> usize {
    usize::from(crc16(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            let shifted = sum << 1;
            if sum & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((slot(b"foo"), slot(b"bar")), (12_182, 5_061));
        assert_eq!((part(b"foo"), part(b"bar")), (12_182 / 256, 5_061 / 256));
    }
}
