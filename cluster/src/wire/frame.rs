//! Frames: the ten bytes before every payload, and cutting a stream of bytes into frames.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::{Kind, WireError};

/// The first two bytes of every frame, "Pw".
pub const MAGIC: u16 = 0x5077;
/// The version of the framing itself; messages are versioned by their kinds.
pub const VERSION: u8 = 1;
/// The length of a header.
pub const HEADER_LEN: usize = 10;

/// What a frame is on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// A payload and nothing else.
    Plain,
    /// A call on the lane: request id (u64) and remaining deadline in milliseconds (u32) stand before the payload.
    LaneRequest,
    /// Its answer: the request id (u64) stands before the payload.
    LaneResponse,
}

impl Flags {
    const fn bits(self) -> u8 {
        match self {
            Flags::Plain => 0,
            Flags::LaneRequest => 1,
            Flags::LaneResponse => 2,
        }
    }

    const fn from_bits(bits: u8) -> Option<Flags> {
        match bits {
            0 => Some(Flags::Plain),
            1 => Some(Flags::LaneRequest),
            2 => Some(Flags::LaneResponse),
            _ => None,
        }
    }

    /// How many bytes stand between the header and the payload.
    pub const fn prefix_len(self) -> usize {
        match self {
            Flags::Plain => 0,
            Flags::LaneRequest => 12,
            Flags::LaneResponse => 8,
        }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is on its stream.
    pub flags: Flags,
    /// What the payload is.
    pub kind: Kind,
    /// The length of the payload, without the prefix that the flags call for.
    pub len: u32,
}

impl Header {
    /// The header of a payload; the length must be within the limit of the kind.
    pub fn new(flags: Flags, kind: Kind, len: usize) -> Result<Header, WireError> {
        match u32::try_from(len) {
            Ok(short) if len <= kind.max_len() => Ok(Header { flags, kind, len: short }),
            _ => Err(WireError::TooLong { kind, len, max: kind.max_len() }),
        }
    }

    /// The bytes of this header.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..2].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[2] = VERSION;
        bytes[3] = self.flags.bits();
        bytes[4..6].copy_from_slice(&self.kind.number().to_be_bytes());
        bytes[6..10].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    /// Reads a header and checks all of it, so that nothing is allocated for a frame that may not come.
    pub fn parse(bytes: &[u8]) -> Result<Header, WireError> {
        let Some(&[m0, m1, version, flags, k0, k1, l0, l1, l2, l3]) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(WireError::Short(bytes.len()));
        };
        let magic = u16::from_be_bytes([m0, m1]);
        if magic != MAGIC {
            return Err(WireError::Magic(magic));
        }
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let flags = Flags::from_bits(flags).ok_or(WireError::Flags(flags))?;
        let number = u16::from_be_bytes([k0, k1]);
        let kind = Kind::from_number(number).ok_or(WireError::Kind(number))?;
        Header::new(flags, kind, u32::from_be_bytes([l0, l1, l2, l3]) as usize)
    }

    /// True when nothing stands between the header and the payload.
    pub fn is_plain(self) -> bool {
        self.flags == Flags::Plain
    }

    /// The length of the payload.
    pub fn payload_len(self) -> usize {
        self.len as usize
    }
}

/// What stands around a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing.
    Plain,
    /// A call on the lane.
    Request {
        /// By which its answer is known; unique on its lane.
        id: u64,
        /// How long the caller will wait.
        deadline_ms: u32,
    },
    /// An answer on the lane.
    Response {
        /// Of which call.
        id: u64,
    },
}

impl Envelope {
    /// The flags that announce it.
    pub const fn flags(self) -> Flags {
        match self {
            Envelope::Plain => Flags::Plain,
            Envelope::Request { .. } => Flags::LaneRequest,
            Envelope::Response { .. } => Flags::LaneResponse,
        }
    }
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What stands around the payload.
    pub envelope: Envelope,
    /// What the payload is.
    pub kind: Kind,
    /// The payload.
    pub payload: Bytes,
}

impl Frame {
    /// The bytes of a frame, in one piece.
    pub fn encode(envelope: Envelope, kind: Kind, payload: &[u8]) -> Result<Bytes, WireError> {
        let header = Header::new(envelope.flags(), kind, payload.len())?;
        let mut bytes = BytesMut::with_capacity(HEADER_LEN + header.flags.prefix_len() + payload.len());
        bytes.put_slice(&header.to_bytes());
        match envelope {
            Envelope::Plain => {}
            Envelope::Request { id, deadline_ms } => {
                bytes.put_u64(id);
                bytes.put_u32(deadline_ms);
            }
            Envelope::Response { id } => bytes.put_u64(id),
        }
        bytes.put_slice(payload);
        Ok(bytes.freeze())
    }
}

/// Cuts the bytes of a stream into frames. It holds at most one unfinished frame and what was fed since.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    max_payload: usize,
}

impl Decoder {
    /// A decoder for a stream on which no payload may be longer than `max_payload`, whatever its kind allows.
    pub fn new(max_payload: usize) -> Decoder {
        Decoder { buffer: BytesMut::new(), max_payload }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, when all of it was fed. After an error the stream is of no more use.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        if self.buffer.len() < HEADER_LEN {
            return Ok(None);
        }
        let header = Header::parse(&self.buffer)?;
        let len = header.payload_len();
        if len > self.max_payload {
            return Err(WireError::TooLong { kind: header.kind, len, max: self.max_payload });
        }
        let rest = header.flags.prefix_len() + len;
        if self.buffer.len() < HEADER_LEN + rest {
            return Ok(None);
        }
        self.buffer.advance(HEADER_LEN);
        let mut frame = self.buffer.split_to(rest).freeze();
        let envelope = match header.flags {
            Flags::Plain => Envelope::Plain,
            Flags::LaneRequest => Envelope::Request { id: frame.get_u64(), deadline_ms: frame.get_u32() },
            Flags::LaneResponse => Envelope::Response { id: frame.get_u64() },
        };
        Ok(Some(Frame { envelope, kind: header.kind, payload: frame }))
    }

    /// True when the stream may end here.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}
