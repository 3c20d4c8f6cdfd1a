//! The header of every journal file, and the tag by which a journal knows its actor.
//!
//! The header has this shape in all versions, so that an older peerway can tell a newer file from a damaged one.

use crate::identity::Identity;

pub(super) const HEADER_LEN: usize = 40;
const MAGIC: [u8; 8] = *b"peerwayJ";
const CHECKED: usize = HEADER_LEN - 4;

/// Sequences beyond this are no sequences; it keeps all sums of them clear of overflow.
pub(super) const MAX_SEQUENCE: u64 = u64::MAX / 2;

/// Whose journal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag([u8; 16]);

impl Tag {
    /// The tag of an actor: cluster, node and incarnation, whatever its generation.
    pub fn of(identity: &Identity) -> Tag {
        let mut hasher = blake3::Hasher::new_derive_key("peerway 2026 journal tag");
        for name in [identity.cluster.as_str(), identity.node_id.as_str()] {
            // Names have no NUL, so it parts them.
            hasher.update(name.as_bytes()).update(&[0]);
        }
        hasher.update(&identity.incarnation.0.to_be_bytes());
        let mut tag = [0; 16];
        hasher.finalize_xof().fill(&mut tag);
        Tag(tag)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Segment = 1,
    Snapshot = 2,
}

/// Why a header is not the one that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// No header, or a damaged one.
    Bad(&'static str),
    /// A whole header of another actor.
    Foreign,
    /// A whole header of a format that is not known here.
    Version(u16),
}

pub(super) fn encode(version: u16, kind: FileKind, tag: Tag, sequence: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&version.to_be_bytes());
    header[10..12].copy_from_slice(&(kind as u16).to_be_bytes());
    header[12..28].copy_from_slice(&tag.0);
    header[28..CHECKED].copy_from_slice(&sequence.to_be_bytes());
    let crc = crc32c::crc32c(&header[..CHECKED]);
    header[CHECKED..].copy_from_slice(&crc.to_be_bytes());
    header
}

/// Checks that `bytes` begin with the header of this file, in this version, of this actor.
pub(super) fn check(bytes: &[u8], version: u16, kind: FileKind, tag: Tag, sequence: u64) -> Result<(), HeaderFault> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(HeaderFault::Bad("the file is shorter than its header"))?;
    let crc = crc32c::crc32c(&header[..CHECKED]);
    if header[CHECKED..] != crc.to_be_bytes() || header[..8] != MAGIC {
        return Err(HeaderFault::Bad("its header is not whole"));
    }
    let found = u16::from_be_bytes([header[8], header[9]]);
    if found != version {
        return Err(HeaderFault::Version(found));
    }
    if header[12..28] != tag.0 {
        return Err(HeaderFault::Foreign);
    }
    if *header != encode(version, kind, tag, sequence) {
        return Err(HeaderFault::Bad("its header is that of another file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Generation, Incarnation};

    fn identity(cluster: &str, node: &str, incarnation: u64, generation: u64) -> Identity {
        Identity {
            cluster: cluster.parse().unwrap(),
            node_id: node.parse().unwrap(),
            incarnation: Incarnation(incarnation),
            generation: Generation(generation),
        }
    }

    #[test]
    fn a_tag_is_of_one_actor_in_all_its_lives() {
        let tag = Tag::of(&identity("ab", "c", 1, 1));
        assert_eq!(tag, Tag::of(&identity("ab", "c", 1, 2)));
        for other in [identity("a", "bc", 1, 1), identity("ab", "d", 1, 1), identity("ab", "c", 2, 1)] {
            assert_ne!(tag, Tag::of(&other));
        }
    }

    #[test]
    fn a_header_tells_damage_from_a_stranger_and_from_the_future() {
        let (ours, other) = (Tag([1; 16]), Tag([2; 16]));
        let check = |bytes: &[u8]| check(bytes, 1, FileKind::Segment, ours, 7);
        assert_eq!(check(&encode(1, FileKind::Segment, ours, 7)), Ok(()));
        assert_eq!(check(&encode(1, FileKind::Segment, other, 7)), Err(HeaderFault::Foreign));
        assert_eq!(check(&encode(2, FileKind::Segment, ours, 7)), Err(HeaderFault::Version(2)));
        assert!(matches!(check(&encode(1, FileKind::Snapshot, ours, 7)), Err(HeaderFault::Bad(_))));
        assert!(matches!(check(&encode(1, FileKind::Segment, ours, 8)), Err(HeaderFault::Bad(_))));
        for place in 0..HEADER_LEN {
            let mut header = encode(1, FileKind::Segment, ours, 7);
            header[place] ^= 1;
            assert!(matches!(check(&header), Err(HeaderFault::Bad(_))), "byte {place}");
            assert!(matches!(check(&header[..place]), Err(HeaderFault::Bad(_))), "{place} bytes");
        }
    }
}
