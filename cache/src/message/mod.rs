//! What the caches of two nodes say to each other.

mod finite;
mod similar;

use std::sync::Arc;

use bincode::{Decode, Encode};
use peerway_cluster::wire::{Kind, Message, Request};

use crate::entry::{Entry, Recorded};
use crate::flight::Origin;
use crate::generations::Target;
use crate::identity::{EntryId, NamespaceId};

pub use finite::{Components, Finite};
pub use similar::{
    Forget, Forgotten, Learn, Learned, MAX_CANDIDATES, MAX_DIMENSION, MAX_FORGOTTEN, Part, Partitions, Pull, Pulled,
    Search, Searched,
};

/// Asks for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Get {
    /// Which one.
    pub id: EntryId,
    /// On whose behalf.
    pub namespace: NamespaceId,
    /// Whether the entry may be large, because this call does not share a lane with small ones.
    pub bulk: bool,
    /// On a miss the asker wants to ask the provider, under this number of its own, or to follow who does: for the
    /// owner to decide.
    pub board: Option<u64>,
}

/// The answer to [`Get`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Got {
    /// The entry.
    Hit(Arc<Entry>),
    /// There is one, but it is large: ask in bulk.
    Large,
    /// There is none.
    Miss {
        /// The node has not been there for long: another may have the entry from before.
        young: bool,
    },
    /// There is none yet, but somebody asks the provider for it: [`Follow`] it here.
    UnderWay,
}

/// Asks for what is on the tape of a flight; answered when there is more, or after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Follow {
    /// Which flight.
    pub id: EntryId,
    /// On whose behalf.
    pub namespace: NamespaceId,
    /// How many events are known.
    pub seen: u32,
}

/// The answer to [`Follow`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Followed {
    /// Nothing yet.
    Nothing,
    /// These events come next.
    Events {
        /// Who answers.
        origin: Origin,
        /// A stream, in part.
        events: Recorded,
    },
    /// The flight came to this entry.
    Kept(Arc<Entry>),
    /// It has ended, and nothing is kept.
    Over,
    /// There is no such flight any more.
    Lost,
}

/// Tells the owner that a flight of this node's has ended without an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Landed {
    /// Which flight.
    pub id: EntryId,
    /// The number under which it was begun.
    pub number: u64,
    /// The answer has ended; else the flight was given up.
    pub over: bool,
}

/// The answer to [`Landed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LandedTaken;

/// Gives an entry to a node that is to hold it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Put {
    /// The entry.
    pub entry: Arc<Entry>,
}

/// The answer to [`Put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PutDone {
    /// False when the entry had expired, was purged or is too large for the node.
    pub kept: bool,
}

/// Removes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PurgeCall(pub(crate) Order);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Order {
    Id(EntryId),
    Generation { target: Target, generation: u64 },
}

/// The answer to [`PurgeCall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Purged {
    /// Whether the node held the entry (for a purge by id).
    pub held: bool,
}

macro_rules! message {
    ($($message:ident is $kind:ident $(answered by $response:ident)?;)+) => {
        $(
            impl Message for $message {
                const KIND: Kind = Kind::$kind;
            }
            $(impl Request for $message {
                type Response = $response;
            })?
        )+
    };
}

message! {
    Get is CacheGet answered by Got;
    Got is CacheGot;
    Put is CachePut answered by PutDone;
    PutDone is CachePutDone;
    PurgeCall is CachePurge answered by Purged;
    Purged is CachePurged;
    Follow is CacheFollow answered by Followed;
    Followed is CacheFollowed;
    Landed is CacheLanded answered by LandedTaken;
    LandedTaken is CacheLandedTaken;
    Search is CacheSearch answered by Searched;
    Searched is CacheSearched;
    Learn is CacheLearn answered by Learned;
    Learned is CacheLearned;
    Forget is CacheForget answered by Forgotten;
    Forgotten is CacheForgotten;
    Pull is CachePull answered by Pulled;
    Pulled is CachePulled;
}

#[cfg(test)]
mod tests;
