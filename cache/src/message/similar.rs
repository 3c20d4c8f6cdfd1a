//! Look-ups by meaning: vectors and questions between the one who asks, the owner of a space and its replica.

use std::sync::Arc;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use peerway_cluster::ring::{PARTITIONS, Partition};

use super::{Components, Finite};
use crate::identity::EntryId;
use crate::vector::{Chunk, Space};
use crate::vector_store::{Near, Stored};

/// The most components that a vector has.
pub const MAX_DIMENSION: usize = 4096;
/// The most candidates that are asked for.
pub const MAX_CANDIDATES: usize = 16;
/// The most entries in a [`Forget`].
pub const MAX_FORGOTTEN: usize = 64;

/// Asks for the entries that are nearest to a vector.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Search {
    /// Where.
    pub space: Space,
    /// The vector.
    pub vector: Components,
    /// How many at most.
    pub k: u8,
    /// The least cosine.
    pub floor: Finite,
}

/// The answer to [`Search`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Searched {
    /// The nearest first.
    pub near: Vec<Near>,
    /// Into how many shards the space is split.
    pub shards: u32,
    /// False when the node has not yet taken over what others held of this space.
    pub complete: bool,
}

/// Makes an entry findable by its vector.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Learn {
    /// Where.
    pub space: Space,
    /// Which entry, and the question that it answers.
    pub stored: Stored,
    /// The question's vector.
    pub vector: Components,
}

/// The answer to [`Learn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Learned {
    /// False when the entry had expired or was purged, or the text or the vector is not one.
    pub kept: bool,
}

/// Tells of entries that are found and are not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Forget {
    /// Where.
    pub space: Space,
    /// Which; at most [`MAX_FORGOTTEN`].
    pub ids: Vec<EntryId>,
}

/// The answer to [`Forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Forgotten;

/// Asks for vectors, a part at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pull {
    /// From the beginning, those of these partitions; none: what comes next.
    pub wanted: Option<Partitions>,
}

/// The answer to [`Pull`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Pulled {
    /// The vectors.
    pub parts: Vec<Part>,
    /// Whether more of them come next.
    pub more: bool,
}

/// Vectors of one space.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Part {
    /// Which one.
    pub space: Space,
    /// The vectors.
    pub chunk: Chunk,
    /// The questions that they stand for. A vector without one is of no use.
    pub stored: Vec<Stored>,
}

/// A set of the ring's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Partitions([u64; PARTITIONS / 64]);

impl Default for Partitions {
    fn default() -> Partitions {
        Partitions([0; PARTITIONS / 64])
    }
}

impl Partitions {
    /// Those for which this holds.
    pub fn which(is_meant: impl Fn(Partition) -> bool) -> Partitions {
        let mut set = Partitions::default();
        for partition in Partition::all().filter(|partition| is_meant(*partition)) {
            set.0[partition.index() / 64] |= 1 << (partition.index() % 64);
        }
        set
    }

    /// Whether this one is among them.
    pub fn contains(&self, partition: Partition) -> bool {
        self.0[partition.index() / 64] >> (partition.index() % 64) & 1 == 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

// Both are what a vector database gives and takes as well, and know nothing of the wire.

impl Encode for Near {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.id.encode(encoder)?;
        Finite(self.cosine).encode(encoder)?;
        self.text.encode(encoder)?;
        self.generation.encode(encoder)
    }
}

impl<C> Decode<C> for Near {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Near {
            id: EntryId::decode(decoder)?,
            cosine: Finite::decode(decoder)?.0,
            text: Arc::<str>::decode(decoder)?,
            generation: u64::decode(decoder)?,
        })
    }
}

bincode::impl_borrow_decode!(Near);

impl Encode for Stored {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.id.encode(encoder)?;
        self.text.encode(encoder)?;
        self.generation.encode(encoder)?;
        self.expires_ms.encode(encoder)
    }
}

impl<C> Decode<C> for Stored {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Stored {
            id: EntryId::decode(decoder)?,
            text: Arc::<str>::decode(decoder)?,
            generation: u64::decode(decoder)?,
            expires_ms: u64::decode(decoder)?,
        })
    }
}

bincode::impl_borrow_decode!(Stored);
