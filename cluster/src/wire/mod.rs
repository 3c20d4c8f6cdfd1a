//! The bytes of a message, and the one door to the codec.
//!
//! A frame is `magic u16 | version u8 | flags u8 | kind u16 | len u32 | payload`, big endian ([`frame`]); a payload is
//! a [`Message`] in bincode. Message structs live in the room that speaks them; their numbers and limits stand in one
//! table ([`kind`]). A kind never changes once released: a change is a new kind. Nothing else in the product names
//! bincode, so that it can be replaced here.

mod frame;
mod kind;

use bincode::config::{self, Configuration, Limit};
use bytes::Bytes;

pub use frame::{Decoder, Envelope, Flags, Frame, HEADER_LEN, Header, MAGIC, VERSION};
pub use kind::Kind;

/// No payload of any kind is longer than this.
pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// A struct that travels between nodes.
pub trait Message: bincode::Encode + bincode::Decode<()> + Send + Sync + 'static {
    /// Its number.
    const KIND: Kind;
    /// The longest payload that a peer may send, from the table of kinds.
    const MAX_LEN: usize = Self::KIND.max_len();
}

/// A message that a peer answers.
pub trait Request: Message {
    /// The answer; its kind must be the one that the table of kinds names.
    type Response: Message;
}

/// Why bytes are not a message, or a message has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than a header has.
    #[error("a frame header has {HEADER_LEN} bytes, only {0} came")]
    Short(usize),
    /// Not our protocol.
    #[error("bad magic {0:#06x}: this is not a peerway frame")]
    Magic(u16),
    /// A framing that we do not speak.
    #[error("frame version {0} is not supported (this node speaks {VERSION})")]
    Version(u8),
    /// Flag bits without meaning.
    #[error("unknown frame flags {0:#010b}")]
    Flags(u8),
    /// A number that is not in the table of kinds.
    #[error("unknown message kind {0:#06x}")]
    Kind(u16),
    /// A kind that has no place where it came.
    #[error("message kind {0} is out of place here")]
    Misplaced(Kind),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
    /// Bytes after the one frame that a stream may carry.
    #[error("more bytes than one frame of {0} on its stream")]
    Trailing(Kind),
    /// Longer than its kind may be.
    #[error("{kind} of {len} bytes is over its limit of {max} bytes")]
    TooLong {
        /// The kind.
        kind: Kind,
        /// The stated or needed length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The codec does not understand the payload.
    #[error("the payload is not a {kind}: {reason}")]
    Payload {
        /// The kind that the header named.
        kind: Kind,
        /// What the codec found.
        reason: String,
    },
}

impl WireError {
    /// True when the peer announced more than it may send, as opposed to bytes that make no sense.
    pub fn is_oversized(&self) -> bool {
        matches!(self, WireError::TooLong { .. })
    }
}

// The limit makes the codec refuse a length prefix that claims more memory than its message may take, before it
// allocates. In memory a value takes more than on the wire, hence the factors.
const SMALL: usize = 4 * 1024;
const MEDIUM: usize = 256 * 1024;
const SMALL_MEMORY: usize = 64 * SMALL;
const MEDIUM_MEMORY: usize = 16 * MEDIUM;
const LARGE_MEMORY: usize = 4 * MAX_PAYLOAD;

type Codec<const LIMIT: usize> = Configuration<config::LittleEndian, config::Varint, Limit<LIMIT>>;

fn codec<const LIMIT: usize>() -> Codec<LIMIT> {
    config::standard().with_limit::<LIMIT>()
}

/// The payload of a message.
pub fn encode<M: Message>(message: &M) -> Result<Bytes, WireError> {
    let payload = bincode::encode_to_vec(message, codec::<LARGE_MEMORY>())
        .map_err(|error| WireError::Payload { kind: M::KIND, reason: error.to_string() })?;
    fits::<M>(payload.len())?;
    Ok(payload.into())
}

/// The message in a payload, which must hold nothing else.
pub fn decode<M: Message>(payload: &[u8]) -> Result<M, WireError> {
    fits::<M>(payload.len())?;
    let decoded = if payload.len() <= SMALL {
        bincode::decode_from_slice(payload, codec::<SMALL_MEMORY>())
    } else if payload.len() <= MEDIUM {
        bincode::decode_from_slice(payload, codec::<MEDIUM_MEMORY>())
    } else {
        bincode::decode_from_slice(payload, codec::<LARGE_MEMORY>())
    };
    let (message, used) = decoded.map_err(|error| WireError::Payload { kind: M::KIND, reason: error.to_string() })?;
    if used == payload.len() {
        Ok(message)
    } else {
        let reason = format!("{} bytes too many", payload.len() - used);
        Err(WireError::Payload { kind: M::KIND, reason })
    }
}

fn fits<M: Message>(len: usize) -> Result<(), WireError> {
    if len > M::MAX_LEN { Err(WireError::TooLong { kind: M::KIND, len, max: M::MAX_LEN }) } else { Ok(()) }
}
