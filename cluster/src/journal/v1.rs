//! Format 1: how records and snapshots are laid out behind the header.
//!
//! Never changed once released: a change is a `v2` beside it, and this one stays readable.

use super::header::{self, FileKind, HEADER_LEN, HeaderFault, Tag};

/// No payload of a record is longer than this.
pub const MAX_RECORD: usize = 1024 * 1024;

const VERSION: u16 = 1;
/// `len u32 | sequence u64 | crc32c u32`
pub(super) const FRAME_LEN: usize = 16;
/// `len u64 | crc32c u32`
const SNAPSHOT_FRAME_LEN: usize = 12;

pub(super) fn header(kind: FileKind, tag: Tag, sequence: u64) -> [u8; HEADER_LEN] {
    header::encode(VERSION, kind, tag, sequence)
}

pub(super) fn check_header(bytes: &[u8], kind: FileKind, tag: Tag, sequence: u64) -> Result<(), HeaderFault> {
    header::check(bytes, VERSION, kind, tag, sequence)
}

/// Appends one record; `payload` is at most [`MAX_RECORD`] long.
pub(super) fn put_record(out: &mut Vec<u8>, sequence: u64, payload: &[u8]) {
    let len = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&len);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&checksum(&len, sequence, payload).to_be_bytes());
    out.extend_from_slice(payload);
}

fn checksum(len: &[u8], sequence: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(len), &sequence.to_be_bytes());
    crc32c::crc32c_append(crc, payload)
}

/// What stands at an offset if it is a record: framed within the file, not yet checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framed<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    pub(super) end: usize,
    crc: u32,
}

impl Framed<'_> {
    fn is_whole(&self) -> bool {
        // The frame was read from the file with this length, so that it fits in u32.
        checksum(&(self.payload.len() as u32).to_be_bytes(), self.sequence, self.payload) == self.crc
    }
}

pub(super) fn frame_at(bytes: &[u8], offset: usize) -> Option<Framed<'_>> {
    let rest = bytes.get(offset..)?;
    let (len, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let len = u32::from_be_bytes(*len) as usize;
    if len > MAX_RECORD {
        return None;
    }
    Some(Framed {
        sequence: u64::from_be_bytes(*sequence),
        payload: rest.get(..len)?,
        end: offset + FRAME_LEN + len,
        crc: u32::from_be_bytes(*crc),
    })
}

/// How far the records of a segment are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// The offset behind the last whole record.
    pub(super) end: usize,
    /// The sequence that should come there.
    pub(super) next: u64,
}

/// Walks over the records `first`, `first + 1`, ... up to the first bad one, the end, or `stop_before`.
pub(super) fn walk(bytes: &[u8], first: u64, stop_before: Option<u64>) -> Walk {
    let mut walk = Walk { end: HEADER_LEN, next: first };
    while Some(walk.next) != stop_before {
        match frame_at(bytes, walk.end) {
            Some(record) if record.sequence == walk.next && record.is_whole() => {
                walk = Walk { end: record.end, next: walk.next + 1 };
            }
            _ => break,
        }
    }
    walk
}

/// What lies behind a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// No record: a torn tail.
    Nothing,
    /// Whole records, from this sequence to that one.
    Records { first: u64, last: u64 },
    /// So much that looks like records without being whole that it was not all checked.
    Unclear,
}

/// Looks for whole records from `walk.end` on, at any offset, whose sequence is at least `floor`.
pub(super) fn look_behind(bytes: &[u8], walk: Walk, floor: u64) -> Behind {
    let plausible = floor..=walk.next + (bytes.len() / FRAME_LEN) as u64;
    // Payloads made to look like records would cost the square of the length.
    let mut budget = bytes.len().saturating_mul(8) + MAX_RECORD;
    let mut behind = Behind::Nothing;
    let mut offset = walk.end;
    while offset < bytes.len() {
        match frame_at(bytes, offset).filter(|record| plausible.contains(&record.sequence)) {
            Some(record) if record.is_whole() => {
                let first = if let Behind::Records { first, .. } = behind { first } else { record.sequence };
                behind = Behind::Records { first, last: record.sequence };
                offset = record.end;
                continue;
            }
            Some(record) => match budget.checked_sub(record.payload.len() + FRAME_LEN) {
                Some(left) => budget = left,
                None if behind == Behind::Nothing => return Behind::Unclear,
                None => return behind,
            },
            None => {}
        }
        offset += 1;
    }
    behind
}

/// The frame that stands between header and payload of a snapshot.
pub(super) fn snapshot_frame(sequence: u64, payload: &[u8]) -> [u8; SNAPSHOT_FRAME_LEN] {
    let len = (payload.len() as u64).to_be_bytes();
    let mut frame = [0; SNAPSHOT_FRAME_LEN];
    frame[..8].copy_from_slice(&len);
    frame[8..].copy_from_slice(&checksum(&len, sequence, payload).to_be_bytes());
    frame
}

/// Takes the payload out of a snapshot file whose header was checked.
pub(super) fn snapshot_payload(mut bytes: Vec<u8>, sequence: u64) -> Option<Vec<u8>> {
    let payload = bytes.split_off(bytes.len().min(HEADER_LEN + SNAPSHOT_FRAME_LEN));
    (bytes.get(HEADER_LEN..)? == snapshot_frame(sequence, &payload)).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: u64, payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        for (sequence, payload) in (first..).zip(payloads) {
            put_record(&mut bytes, sequence, payload);
        }
        bytes
    }

    #[test]
    fn a_walk_ends_at_the_first_record_that_is_not_the_next_one() {
        let bytes = segment(5, &[b"a", b"", b"ccc"]);
        assert_eq!(walk(&bytes, 5, None), Walk { end: bytes.len(), next: 8 });
        assert_eq!(walk(&bytes, 5, Some(6)), Walk { end: HEADER_LEN + FRAME_LEN + 1, next: 6 });
        assert_eq!(walk(&bytes, 4, None), Walk { end: HEADER_LEN, next: 4 });
    }

    #[test]
    fn records_behind_a_bad_one_are_found_at_any_offset() {
        let mut bytes = segment(1, &[b"first", b"second", b"third"]);
        bytes[HEADER_LEN + 3] ^= 0x40;
        let bad = walk(&bytes, 1, None);
        assert_eq!(bad.next, 1);
        assert_eq!(look_behind(&bytes, bad, 1), Behind::Records { first: 2, last: 3 });
        assert_eq!(look_behind(&bytes, bad, 3), Behind::Records { first: 3, last: 3 });
        assert_eq!(look_behind(&bytes, bad, 4), Behind::Nothing);
    }

    #[test]
    fn a_tail_full_of_false_records_is_called_unclear_in_bounded_time() {
        let mut bytes = segment(1, &[]);
        // Every frame claims all that remains up to the limit, none is whole.
        let frames = 4 * MAX_RECORD / FRAME_LEN;
        for _ in 0..frames {
            bytes.extend_from_slice(&(MAX_RECORD as u32).to_be_bytes());
            bytes.extend_from_slice(&2_u64.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        assert_eq!(look_behind(&bytes, Walk { end: HEADER_LEN, next: 1 }, 1), Behind::Unclear);
    }
}
