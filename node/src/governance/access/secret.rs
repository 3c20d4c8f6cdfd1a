//! Virtual keys as secrets: how they are made, and the hash that stands for one everywhere but at its client.
//!
//! A key that is made here has 256 random bits, so a fast hash is enough; it is keyed only so that the same value has
//! another hash in another cluster and for another purpose.

use std::fmt;
use std::str::FromStr;

use crate::config::Secret;

const CONTEXT: &str = "peerway 2026-11 virtual key hashes v1";
const PREFIX: &str = "sk-pw-";
/// A value that a person has chosen for a key at run time must be at least this long.
pub const MIN_CHOSEN: usize = 20;

/// What is kept of a virtual key's value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

/// Hashes keys as all nodes of one cluster do.
#[derive(Clone, Copy)]
pub struct KeyHasher([u8; 32]);

impl KeyHasher {
    pub fn of_cluster(name: &str) -> Self {
        Self(blake3::derive_key(CONTEXT, name.as_bytes()))
    }

    pub fn hash(&self, value: &[u8]) -> KeyHash {
        KeyHash(*blake3::keyed_hash(&self.0, value).as_bytes())
    }
}

/// A key that nobody can guess.
pub fn generate() -> Secret {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random: [u8; 32] = rand::random();
    let mut text = String::from(PREFIX);
    // Base64url without padding: six bits a digit, the last one filled up with zeros.
    for group in random.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    Secret::new(text)
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart.
        write!(f, "KeyHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the hash of a key: 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for KeyHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(NotAHash);
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(NotAHash)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_has_all_its_bits_and_no_two_are_alike() {
        let (one, other) = (generate(), generate());
        assert_eq!((one.expose().len(), one.expose().starts_with("sk-pw-")), (6 + 43, true));
        assert_ne!(one, other);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }

    #[test]
    fn a_hash_is_of_one_cluster_and_reads_back() {
        let hash = |cluster: &str, value: &str| KeyHasher::of_cluster(cluster).hash(value.as_bytes());
        let mine = hash("prod", "sk-pw-one");
        assert_ne!(mine, hash("stage", "sk-pw-one"));
        assert_ne!(mine, hash("prod", "sk-pw-two"));
        assert_eq!(mine.to_string().parse(), Ok(mine));
        for bad in ["", "ab", &"g".repeat(64), &"a".repeat(65), &"é".repeat(32)] {
            assert!(bad.parse::<KeyHash>().is_err(), "{bad}");
        }
        // Nodes of two versions must agree, and so must exported configurations.
        assert_eq!(mine.to_string(), "90cfe55ea4681af24cf7896e6e26f735558c0798e8a5fe44fc9eb7995b18a416");
    }
}
