//! What spaces, entries and collections are called in a database.

use crate::identity::{EntryId, NamespaceId};
use crate::vector::Space;

/// The fields beside a vector.
pub(super) const NAMESPACE: &str = "namespace";
pub(super) const CONTEXT: &str = "context";
pub(super) const TEXT: &str = "text";
pub(super) const GENERATION: &str = "generation";
pub(super) const EXPIRES: &str = "expires_ms";

/// Filters on numbers are made of doubles, which are exact up to here.
pub(super) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The longest name of an embedding space that a collection is called by.
const MAX_SPACE: usize = 100;

/// A space as its two fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpaceName {
    pub(super) namespace: String,
    pub(super) context: String,
}

impl SpaceName {
    pub(super) fn new(space: &Space) -> SpaceName {
        SpaceName {
            namespace: namespace(&space.namespace),
            context: blake3::Hash::from_bytes(space.context).to_hex().to_string(),
        }
    }
}

/// A namespace as its field: digests, so that the database does not learn a tenant's name.
pub(super) fn namespace(namespace: &NamespaceId) -> String {
    format!("{:032x}{:032x}", u128::from_be_bytes(namespace.scope), u128::from_be_bytes(namespace.name))
}

/// The name of the vectors of one embedder and one length: a change of either is another collection.
///
/// Letters, digits and underscores; where that loses something of the embedder's name, a digest of it is added.
pub(super) fn collection(prefix: &str, embedding: &str, dimension: usize) -> String {
    let kept = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut name: String =
        embedding.chars().take(MAX_SPACE).map(|letter| if kept(letter) { letter } else { '_' }).collect();
    if name != embedding {
        let digest = blake3::hash(embedding.as_bytes()).to_hex();
        name.push('_');
        name.push_str(&digest.as_str()[..8]);
    }
    format!("{prefix}_{name}_{dimension}")
}

/// An entry's id where only a UUID (RFC 9562, version 8) may be one. Two entries do not share it: an id is a keyed hash.
pub(super) fn uuid(id: &EntryId) -> String {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *id.as_bytes();
    let bytes = [a, b, c, d, e, f, g & 0x0f | 0x80, h, i & 0x3f | 0x80, j, k, l, m, n, o, p];
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// The start of what a server said, fit for a log.
pub(super) fn brief(text: &str) -> String {
    const MOST: usize = 300;
    let mut brief: String =
        text.chars().take(MOST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if brief.len() < text.len() {
        brief.push('…');
    }
    brief
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_of_different_embedders_or_lengths_have_different_names() {
        assert_eq!(collection("peerway", "static_1", 160), "peerway_static_1_160");
        assert_ne!(collection("peerway", "static_1", 160), collection("peerway", "static_1", 161));
        let names = ["a/b", "a b", "a_b", "a:b", "ä_b"].map(|embedding| collection("p", embedding, 3));
        for (at, name) in names.iter().enumerate() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
            assert!(!names[..at].contains(name), "{name}");
        }
        assert!(collection("p", &"x".repeat(10_000), 3).len() < 130);
    }

    #[test]
    fn an_entry_has_one_uuid_of_its_own() {
        let id = EntryId::from([0xff; 32]);
        assert_eq!(uuid(&id), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid(&EntryId::from([0; 32])), "00000000-0000-8000-8000-000000000000");
    }

    #[test]
    fn what_a_server_says_is_cut_and_stays_on_one_line() {
        assert_eq!(brief("no\nroom"), "no room");
        assert_eq!(brief(&"é".repeat(1000)).chars().count(), 301);
    }
}
