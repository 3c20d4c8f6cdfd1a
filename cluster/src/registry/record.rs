//! A record: one named thing of the shared configuration, who wrote it last, and what.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bincode::{Decode, Encode};

use super::clock::Stamp;
use super::digest::BUCKETS;

/// The longest value.
pub const MAX_VALUE: usize = 64 * 1024;
/// The longest id.
pub const MAX_ID: usize = 512;

/// What a record is about. A number, so that a node keeps and hands on what only newer ones understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RecordKind(pub u16);

impl RecordKind {
    /// A virtual key. Its removal is a revocation, which goes before everything else.
    pub const KEY: RecordKind = RecordKind(1);
    /// A team.
    pub const TEAM: RecordKind = RecordKind(2);
    /// A customer.
    pub const CUSTOMER: RecordKind = RecordKind(3);
    /// A budget.
    pub const BUDGET: RecordKind = RecordKind(4);
    /// A limit of requests or tokens.
    pub const LIMIT: RecordKind = RecordKind(5);
    /// A route.
    pub const ROUTE: RecordKind = RecordKind(6);
    /// The settings of a provider.
    pub const PROVIDER: RecordKind = RecordKind(7);
    /// One addition of a member to a set; see [`super::members`].
    pub const MEMBER: RecordKind = RecordKind(8);
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            RecordKind::KEY => "key",
            RecordKind::TEAM => "team",
            RecordKind::CUSTOMER => "customer",
            RecordKind::BUDGET => "budget",
            RecordKind::LIMIT => "limit",
            RecordKind::ROUTE => "route",
            RecordKind::PROVIDER => "provider",
            RecordKind::MEMBER => "member",
            RecordKind(number) => return write!(f, "kind-{number}"),
        })
    }
}

/// The id of a record among those of its kind: 1 to [`MAX_ID`] bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Arc<str>);

/// A text that cannot be the id of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record id ({} bytes): use 1 to {MAX_ID} bytes without control characters", .0.len())]
pub struct NotAnId(pub String);

impl RecordId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<RecordId, NotAnId> {
        let fits = (1..=MAX_ID).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(RecordId(text.into())) } else { Err(NotAnId(text.to_owned())) }
    }
}

impl Borrow<str> for RecordId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The name of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RecordKey {
    /// What it is about.
    pub kind: RecordKind,
    /// Which one.
    pub id: RecordId,
}

impl RecordKey {
    /// The name of a record, checked.
    pub fn new(kind: RecordKind, id: &str) -> Result<RecordKey, NotAnId> {
        Ok(RecordKey { kind, id: id.parse()? })
    }

    /// Comes before every name of its kind, and is none.
    pub(super) fn before_all(kind: RecordKind) -> RecordKey {
        RecordKey { kind, id: RecordId("".into()) }
    }

    /// Which part of a digest it is in.
    pub(super) fn bucket(&self) -> usize {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.kind.0.to_le_bytes());
        hasher.update(self.id.as_str().as_bytes());
        usize::from(hasher.finalize().as_bytes()[0]) % BUCKETS
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind, self.id.as_str())
    }
}

/// What is written in a record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Content {
    /// The configuration itself; the registry does not look inside.
    Value(Arc<[u8]>),
    /// It was removed: the mark stays, so that older writes do not bring it back.
    Removed,
}

impl Content {
    /// The bytes, when it was not removed.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Content::Value(bytes) => Some(bytes),
            Content::Removed => None,
        }
    }
}

/// A record as one node hands it to another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Its name.
    pub key: RecordKey,
    /// Who wrote it last, and when.
    pub stamp: Stamp,
    /// What was written.
    pub content: Content,
}

impl Record {
    /// True for the removal of a virtual key.
    pub fn is_revocation(&self) -> bool {
        self.key.kind == RecordKind::KEY && self.content == Content::Removed
    }

    /// About how much memory and traffic it costs.
    pub fn size(&self) -> usize {
        const REST: usize = 64;
        let value = self.content.value().map_or(0, <[u8]>::len);
        REST + self.key.id.as_str().len() + self.stamp.actor.node.as_str().len() + value
    }

    /// A hash of all of it.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut hasher = blake3::Hasher::new_derive_key("peerway registry record v1");
        let mut text = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        text(&self.key.kind.0.to_le_bytes());
        text(self.key.id.as_str().as_bytes());
        text(&self.stamp.time.ms.to_le_bytes());
        text(&self.stamp.time.counter.to_le_bytes());
        text(self.stamp.actor.node.as_str().as_bytes());
        text(&self.stamp.actor.incarnation.0.to_le_bytes());
        match &self.content {
            Content::Value(bytes) => text(bytes),
            Content::Removed => {}
        }
        let mut short = [0; 16];
        hasher.finalize_xof().fill(&mut short);
        u128::from_le_bytes(short)
    }
}
