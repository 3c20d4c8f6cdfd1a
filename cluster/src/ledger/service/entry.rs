//! One record of the ledger's journal: of counters, or of who counts whom.
//!
//! ```text
//! record   = version u8 | tag u8 | fields; numbers big endian, a name is its length u8 and its bytes
//! snapshot = version u8 | count u32 | (length u32 | record)*
//! ```
//!
//! A tag is never given again. A record that this version does not know is an error, never skipped: it may be what keeps
//! a unit from being spent twice.

use std::collections::BTreeSet;

use crate::actor::Actor;
use crate::identity::{Incarnation, NodeId};
use crate::ledger::allowance::{AllowanceId, CounterId};
use crate::ledger::record::Record;
use crate::ledger::statement::{self, MAX_ACTORS, Statement, WindowFrom};

const VERSION: u8 = 1;

const SLICE_OPENED: u8 = 1;
const SETTLED: u8 = 2;
const GIVEN: u8 = 3;
const RECEIVED: u8 = 4;
const PRUNED: u8 = 5;
const STATED: u8 = 32;
const ACTIVE: u8 = 33;
const LEAVES: u8 = 34;
const FORGOTTEN: u8 = 35;
const GONE: u8 = 36;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Of the counters.
    Ledger(Record),
    /// Of the counting rules.
    Counting(statement::Record),
}

/// Why a journal is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Of another format.
    #[error("a ledger record has format {0}, this version reads {VERSION}: use a newer peerway")]
    Version(u8),
    /// Of a kind that a later version writes.
    #[error("a ledger record has the unknown tag {0}: use a newer peerway")]
    Tag(u8),
    /// The bytes are no record, though the journal's own sum of them is right.
    #[error("a ledger record of {len} bytes with tag {tag} is malformed: {reason}")]
    Malformed {
        /// Its tag.
        tag: u8,
        /// How long it is.
        len: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Entry {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(VERSION);
        match self {
            Entry::Ledger(Record::SliceOpened { counter, up_to }) => {
                put_counter(&mut out, SLICE_OPENED, counter);
                out.extend(up_to.to_be_bytes());
            }
            Entry::Ledger(Record::Settled { counter, up_to }) => {
                put_counter(&mut out, SETTLED, counter);
                out.extend(up_to.to_be_bytes());
            }
            Entry::Ledger(Record::Given { counter, to, total, up_to }) => {
                put_counter(&mut out, GIVEN, counter);
                put_actor(&mut out, to);
                out.extend(total.to_be_bytes());
                out.extend(up_to.to_be_bytes());
            }
            Entry::Ledger(Record::Received { counter, from, total }) => {
                put_counter(&mut out, RECEIVED, counter);
                put_actor(&mut out, from);
                out.extend(total.to_be_bytes());
            }
            Entry::Ledger(Record::Pruned { allowance, until }) => {
                out.push(PRUNED);
                out.extend(allowance.as_bytes());
                out.extend(until.to_be_bytes());
            }
            Entry::Counting(statement::Record::Stated(statement)) => {
                out.push(STATED);
                put_from(&mut out, statement.from);
                out.extend((statement.counted.len() as u32).to_be_bytes());
                statement.counted.iter().for_each(|actor| put_actor(&mut out, actor));
            }
            Entry::Counting(statement::Record::Active(from)) => {
                out.push(ACTIVE);
                put_from(&mut out, *from);
            }
            Entry::Counting(statement::Record::Leaves(from)) => {
                out.push(LEAVES);
                out.extend(from.to_be_bytes());
            }
            Entry::Counting(statement::Record::Forgotten(actor, from)) => {
                out.push(FORGOTTEN);
                put_actor(&mut out, actor);
                out.extend(from.to_be_bytes());
            }
            Entry::Counting(statement::Record::Gone(actor, from)) => {
                out.push(GONE);
                put_actor(&mut out, actor);
                out.extend(from.to_be_bytes());
            }
        }
        out
    }

    /// The record in these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
        let malformed = |tag, reason| EntryError::Malformed { tag, len: bytes.len(), reason };
        let (version, tag, fields) = match bytes {
            [version, tag, fields @ ..] => (*version, *tag, fields),
            _ => return Err(malformed(0, "it is shorter than its head")),
        };
        if version != VERSION {
            return Err(EntryError::Version(version));
        }
        let mut fields = Fields(fields);
        let entry = fields.entry(tag).map_err(|fault| match fault {
            Fault::Tag => EntryError::Tag(tag),
            Fault::Reason(reason) => malformed(tag, reason),
        })?;
        if fields.0.is_empty() { Ok(entry) } else { Err(malformed(tag, "bytes are left over")) }
    }
}

/// The bytes of a snapshot.
pub fn encode_snapshot(entries: &[Entry]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend((entries.len() as u32).to_be_bytes());
    for entry in entries {
        let record = entry.encode();
        out.extend((record.len() as u32).to_be_bytes());
        out.extend(record);
    }
    out
}

/// The records in a snapshot.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Vec<Entry>, EntryError> {
    let malformed = |reason| EntryError::Malformed { tag: 0, len: bytes.len(), reason };
    let cut = |_| malformed("the snapshot is cut");
    let mut rest = Fields(bytes);
    let [version] = rest.array().map_err(cut)?;
    if version != VERSION {
        return Err(EntryError::Version(version));
    }
    let count = u32::from_be_bytes(rest.array().map_err(cut)?);
    let mut entries = Vec::new();
    for _ in 0..count {
        let length = u32::from_be_bytes(rest.array().map_err(cut)?);
        entries.push(Entry::decode(rest.take(length as usize).map_err(cut)?)?);
    }
    if rest.0.is_empty() { Ok(entries) } else { Err(malformed("bytes are left over behind the snapshot")) }
}

fn put_counter(out: &mut Vec<u8>, tag: u8, counter: &CounterId) {
    out.push(tag);
    out.extend(counter.allowance.as_bytes());
    out.extend(counter.window_start.to_be_bytes());
}

fn put_actor(out: &mut Vec<u8>, actor: &Actor) {
    let name = actor.node.as_str();
    // A name has at most 63 bytes.
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
    out.extend(actor.incarnation.0.to_be_bytes());
}

fn put_from(out: &mut Vec<u8>, from: WindowFrom) {
    match from {
        WindowFrom::Beginning => out.push(0),
        WindowFrom::Second(second) => {
            out.push(1);
            out.extend(second.to_be_bytes());
        }
    }
}

enum Fault {
    Tag,
    Reason(&'static str),
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn entry(&mut self, tag: u8) -> Result<Entry, Fault> {
        Ok(match tag {
            SLICE_OPENED => Entry::Ledger(Record::SliceOpened { counter: self.counter()?, up_to: self.number()? }),
            SETTLED => Entry::Ledger(Record::Settled { counter: self.counter()?, up_to: self.number()? }),
            GIVEN => {
                let (counter, to) = (self.counter()?, self.actor()?);
                Entry::Ledger(Record::Given { counter, to, total: self.number()?, up_to: self.number()? })
            }
            RECEIVED => {
                let (counter, from) = (self.counter()?, self.actor()?);
                Entry::Ledger(Record::Received { counter, from, total: self.number()? })
            }
            PRUNED => Entry::Ledger(Record::Pruned { allowance: self.allowance()?, until: self.second()? }),
            STATED => Entry::Counting(statement::Record::Stated(self.statement()?)),
            ACTIVE => Entry::Counting(statement::Record::Active(self.from()?)),
            LEAVES => Entry::Counting(statement::Record::Leaves(self.second()?)),
            FORGOTTEN => Entry::Counting(statement::Record::Forgotten(self.actor()?, self.second()?)),
            GONE => Entry::Counting(statement::Record::Gone(self.actor()?, self.second()?)),
            _ => return Err(Fault::Tag),
        })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Fault::Reason("it is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Fault::Reason("it is cut"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    fn second(&mut self) -> Result<i64, Fault> {
        self.array().map(i64::from_be_bytes)
    }

    fn allowance(&mut self) -> Result<AllowanceId, Fault> {
        self.array().map(AllowanceId::from_bytes)
    }

    fn counter(&mut self) -> Result<CounterId, Fault> {
        Ok(CounterId { allowance: self.allowance()?, window_start: self.second()? })
    }

    fn actor(&mut self) -> Result<Actor, Fault> {
        let [length] = self.array()?;
        let name =
            std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| Fault::Reason("a name is no text"))?;
        let node: NodeId = name.parse().map_err(|_| Fault::Reason("a name is not a node id"))?;
        Ok(Actor { node, incarnation: Incarnation(self.number()?) })
    }

    fn from(&mut self) -> Result<WindowFrom, Fault> {
        match self.array()? {
            [0] => Ok(WindowFrom::Beginning),
            [1] => self.second().map(WindowFrom::Second),
            _ => Err(Fault::Reason("a window start is neither the beginning nor a second")),
        }
    }

    fn statement(&mut self) -> Result<Statement, Fault> {
        let from = self.from()?;
        let count = u32::from_be_bytes(self.array()?) as usize;
        if count > MAX_ACTORS {
            return Err(Fault::Reason("it counts more actors than a cluster may have"));
        }
        let mut counted = BTreeSet::new();
        for _ in 0..count {
            let actor = self.actor()?;
            if counted.last().is_some_and(|last| *last >= actor) {
                return Err(Fault::Reason("its actors are not in order"));
            }
            counted.insert(actor);
        }
        Ok(Statement { from, counted })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::messages::tests::{actor, counter, hex};
    use super::*;
    use crate::journal::MAX_RECORD;

    fn all() -> Vec<(Entry, String)> {
        let place = "ab".repeat(16) + "000000000000003c";
        let (a, b) = ("01610000000000000007", "01620000000000000007");
        let (five, nine) = ("0000000000000005", "0000000000000009");
        let counted = [actor("a"), actor("b")].into();
        let ledger = [
            (Record::SliceOpened { counter: counter(), up_to: 5 }, format!("0101{place}{five}")),
            (Record::Settled { counter: counter(), up_to: 5 }, format!("0102{place}{five}")),
            (
                Record::Given { counter: counter(), to: actor("a"), total: 5, up_to: 9 },
                format!("0103{place}{a}{five}{nine}"),
            ),
            (Record::Received { counter: counter(), from: actor("b"), total: 9 }, format!("0104{place}{b}{nine}")),
            (
                Record::Pruned { allowance: counter().allowance, until: -1 },
                format!("0105{}ffffffffffffffff", "ab".repeat(16)),
            ),
        ];
        let counting = [
            (
                statement::Record::Stated(Statement { from: WindowFrom::Beginning, counted }),
                format!("01200000000002{a}{b}"),
            ),
            (statement::Record::Active(WindowFrom::Second(5)), format!("012101{five}")),
            (statement::Record::Leaves(5), format!("0122{five}")),
            (statement::Record::Forgotten(actor("a"), 5), format!("0123{a}{five}")),
            (statement::Record::Gone(actor("b"), 9), format!("0124{b}{nine}")),
        ];
        let ledger = ledger.into_iter().map(|(record, bytes)| (Entry::Ledger(record), bytes));
        ledger.chain(counting.into_iter().map(|(record, bytes)| (Entry::Counting(record), bytes))).collect()
    }

    #[test]
    fn the_bytes_of_records_never_change() {
        for (entry, bytes) in all() {
            assert_eq!(hex(&entry.encode()), bytes, "{entry:?}");
            assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
        let two: Vec<Entry> = all().into_iter().map(|(entry, _)| entry).take(2).collect();
        let snapshot = encode_snapshot(&two);
        let record = format!("00000022{}", all()[0].1);
        assert_eq!(hex(&snapshot[..5 + 4 + 34]), format!("0100000002{record}"));
        assert_eq!(decode_snapshot(&snapshot), Ok(two));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_reason() {
        assert_eq!(Entry::decode(&[1, 99]), Err(EntryError::Tag(99)));
        assert_eq!(Entry::decode(&[2, 1]), Err(EntryError::Version(2)));
        assert!(Entry::decode(&[1, 99]).unwrap_err().to_string().contains("unknown tag 99"));
        for (entry, _) in all() {
            let bytes = entry.encode();
            for length in 0..bytes.len() {
                assert!(Entry::decode(&bytes[..length]).is_err(), "{entry:?} cut to {length}");
            }
            assert!(Entry::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        }
        let snapshot = encode_snapshot(&[all()[0].0.clone()]);
        for length in 0..snapshot.len() {
            assert!(decode_snapshot(&snapshot[..length]).is_err());
        }
    }

    #[test]
    fn the_largest_record_fits_the_journal() {
        let counted = (0..MAX_ACTORS as u64)
            .map(|n| Actor { node: format!("{n:063}").parse().unwrap(), incarnation: Incarnation(n) })
            .collect();
        let stated = statement::Record::Stated(Statement { from: WindowFrom::Second(i64::MAX), counted });
        assert!(Entry::Counting(stated).encode().len() <= MAX_RECORD);
    }

    proptest! {
        /// Whatever it is, it is refused, or written again as the same bytes: one record has one form.
        #[test]
        fn any_bytes_are_a_record_or_an_error(tag in 0_u8..40, rest in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = [vec![VERSION, tag], rest].concat();
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
