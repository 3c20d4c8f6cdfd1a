//! What nodes say to one another about their registries. Three questions, each with its answer.
//!
//! The types inside are those of this room; golden bytes below hold them to what was released. A changed type is a new
//! kind of message.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::clock::{Actor, Time};
use super::digest::{Buckets, Digest};
use super::page::Cursor;
use super::record::{Record, RecordId};
use super::versions::{MAX_ACTORS, Versions};
use crate::wire::{Kind, Message, Request};

/// Which of the sender's own writes a push carries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Interval {
    /// By whom; believed only of the sender itself.
    pub actor: Actor,
    /// After this time ...
    pub since: Time,
    /// ... and up to this one, all of its writes are in, but for what was overwritten.
    pub upto: Time,
}

/// New records, told at once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Push {
    /// Revocations first.
    pub records: Vec<Record>,
    /// `None` when records are passed on, or sent ahead of their turn.
    pub interval: Option<Interval>,
}

/// A push has been merged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pushed {
    /// The end of its interval.
    pub upto: Option<Time>,
}

/// What one node holds and has seen; asks for the same of the other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// What it has seen.
    pub versions: Versions,
    /// What it holds.
    pub digest: Digest,
}

/// What the other holds and has seen.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Summary {
    /// What it has seen.
    pub versions: Versions,
    /// What it holds.
    pub digest: Digest,
}

/// Asks for the records that the asker lacks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    /// By which the asker knows the answer.
    pub session: u64,
    /// Only records in these.
    pub buckets: Buckets,
    /// Only records that the asker has not seen.
    pub seen: Versions,
    /// From here on.
    pub after: Option<Cursor>,
}

/// Some of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Records {
    /// Of the question.
    pub session: u64,
    /// Of the question.
    pub after: Option<Cursor>,
    /// Revocations first.
    pub records: Vec<Record>,
    /// Where to go on; `None` when these were the last.
    pub next: Option<Cursor>,
}

macro_rules! kinds {
    ($($message:ident is $kind:ident),+) => {
        $(impl Message for $message {
            const KIND: Kind = Kind::$kind;
        })+
    };
}

kinds!(
    Push is RegistryPush, Pushed is RegistryPushed, Hello is RegistryHello,
    Summary is RegistrySummary, Want is RegistryWant, Records is RegistryRecords
);

impl Request for Push {
    type Response = Pushed;
}

impl Request for Hello {
    type Response = Summary;
}

impl Request for Want {
    type Response = Records;
}

// Names and vectors are checked while they are read: what is not one never becomes a value.

impl Encode for RecordId {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_str().encode(encoder)
    }
}

impl<C> Decode<C> for RecordId {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        String::decode(decoder)?.parse().map_err(malformed)
    }
}

impl Encode for Versions {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let pairs: Vec<(&Actor, Time)> = self.iter().collect();
        pairs.encode(encoder)
    }
}

impl<C> Decode<C> for Versions {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let pairs: Vec<(Actor, Time)> = Vec::decode(decoder)?;
        if pairs.len() > MAX_ACTORS {
            return Err(DecodeError::OtherString(format!("{} actors, {MAX_ACTORS} are allowed", pairs.len())));
        }
        Ok(pairs.into_iter().collect())
    }
}

bincode::impl_borrow_decode!(RecordId);
bincode::impl_borrow_decode!(Versions);

fn malformed(error: impl std::error::Error) -> DecodeError {
    DecodeError::OtherString(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Incarnation;
    use crate::registry::clock::Stamp;
    use crate::registry::record::{Content, RecordKey, RecordKind};
    use crate::wire;

    fn actor() -> Actor {
        Actor { node: "node-1".parse().unwrap(), incarnation: Incarnation(7) }
    }

    fn time(ms: u64) -> Time {
        Time { ms, counter: 2 }
    }

    fn key(id: &str) -> RecordKey {
        RecordKey::new(RecordKind::KEY, id).unwrap()
    }

    fn record(id: &str, content: Content) -> Record {
        Record { key: key(id), stamp: Stamp { time: time(1_795_219_200_000), actor: actor() }, content }
    }

    fn versions() -> Versions {
        [(actor(), time(9))].into_iter().collect()
    }

    fn digest() -> Digest {
        let mut digest = Digest::default();
        digest.add(1, u128::MAX);
        digest
    }

    #[track_caller]
    fn golden<M: Message + PartialEq + std::fmt::Debug>(message: &M, expected: &str) {
        let bytes = wire::encode(message).unwrap();
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
        assert_eq!(wire::decode::<M>(&bytes).unwrap(), *message);
    }

    #[test]
    fn the_bytes_of_messages_never_change() {
        let records = vec![record("gone", Content::Removed), record("k", Content::Value(b"{}"[..].into()))];
        let interval = Some(Interval { actor: actor(), since: time(1), upto: time(3) });
        let rows = "020104676f6e65fd001867fba101000002066e6f64652d310701".to_owned()
            + "01016bfd001867fba101000002066e6f64652d310700027b7d";
        golden(&Push { records: records.clone(), interval }, &(rows.clone() + "01066e6f64652d310701020302"));
        golden(&Push { records: vec![], interval: None }, "0000");
        golden(&Pushed { upto: Some(time(3)) }, "010302");
        golden(&Pushed { upto: None }, "00");
        let sums = "00".to_owned() + "feffffffffffffffffffffffffffffffff" + &"00".repeat(62);
        golden(&Hello { versions: versions(), digest: digest() }, &("01066e6f64652d31070902".to_owned() + &sums));
        golden(&Summary { versions: versions(), digest: digest() }, &("01066e6f64652d31070902".to_owned() + &sums));
        let want = Want { session: 5, buckets: Buckets(3), seen: versions(), after: Some(Cursor::Rest(key("k"))) };
        golden(&want, "050301066e6f64652d31070902010101016b");
        let next = Some(Cursor::Revocations(key("gone")));
        golden(&Records { session: 5, after: None, records, next }, &("0500".to_owned() + &rows + "01000104676f6e65"));
    }

    #[test]
    fn the_fingerprints_of_records_never_change() {
        // Nodes of two versions compare their digests.
        let prints = [Content::Value(b"{}"[..].into()), Content::Removed].map(|it| record("k", it).fingerprint());
        let buckets = ["a", "b", "c"].map(|id| key(id).bucket());
        assert_eq!(
            (prints, buckets),
            ([57421754328494215489940178144500310174, 4249419504634319640803068290346851374], [0, 49, 35])
        );
    }

    #[test]
    fn a_vector_of_too_many_actors_is_refused() {
        let hello = |actors: u16| {
            let pairs = b"\x06node-1\x07\x01\x02".repeat(usize::from(actors));
            [&[0xfb], &actors.to_le_bytes()[..], &pairs, &[0; 64]].concat()
        };
        assert!(wire::decode::<Hello>(&hello(1024)).is_ok());
        let refused = wire::decode::<Hello>(&hello(1025)).unwrap_err().to_string();
        assert!(refused.contains("1025 actors, 1024 are allowed"), "{refused}");
        let largest: Versions = (0..MAX_ACTORS as u64)
            .map(|n| {
                (
                    Actor { node: "x".repeat(63).parse().unwrap(), incarnation: Incarnation(u64::MAX - n) },
                    time(u64::MAX),
                )
            })
            .collect();
        wire::encode(&Hello { versions: largest, digest: Digest([u128::MAX; 64]) }).unwrap();
    }
}
