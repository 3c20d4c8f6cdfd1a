//! The application error codes by which a connection is closed or a stream is cut.

use quinn::{Connection, VarInt};

use super::RefusalReason;

/// Why a connection is closed. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum CloseCode {
    Shutdown = 0,
    Duplicate = 1,
    Replaced = 2,
    Malformed = 3,
    Oversized = 4,
    Flood = 5,
    Protocol = 6,
    Name = 7,
    SameIdentity = 8,
    Oneself = 9,
    Stale = 10,
    Full = 11,
    Silent = 12,
    Probe = 13,
}

/// On a stream: the caller or the server does not want it any more.
pub(super) const CANCELLED: VarInt = VarInt::from_u32(1);

impl CloseCode {
    const ALL: [CloseCode; 14] = [
        CloseCode::Shutdown,
        CloseCode::Duplicate,
        CloseCode::Replaced,
        CloseCode::Malformed,
        CloseCode::Oversized,
        CloseCode::Flood,
        CloseCode::Protocol,
        CloseCode::Name,
        CloseCode::SameIdentity,
        CloseCode::Oneself,
        CloseCode::Stale,
        CloseCode::Full,
        CloseCode::Silent,
        CloseCode::Probe,
    ];

    pub(super) fn varint(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    pub(super) fn from_varint(code: VarInt) -> Option<CloseCode> {
        Self::ALL.into_iter().find(|known| known.varint() == code)
    }

    /// The refusal that a peer means by it, when it means one.
    pub(super) fn refusal(self) -> Option<RefusalReason> {
        match self {
            CloseCode::Malformed | CloseCode::Oversized | CloseCode::Flood | CloseCode::Silent => {
                Some(RefusalReason::Misbehaved)
            }
            CloseCode::Protocol => Some(RefusalReason::Protocol),
            CloseCode::Name => Some(RefusalReason::Name),
            CloseCode::SameIdentity => Some(RefusalReason::SameIdentity),
            CloseCode::Stale => Some(RefusalReason::Stale),
            CloseCode::Full => Some(RefusalReason::Full),
            CloseCode::Shutdown
            | CloseCode::Duplicate
            | CloseCode::Replaced
            | CloseCode::Oneself
            | CloseCode::Probe => None,
        }
    }
}

pub(super) fn close(connection: &Connection, code: CloseCode, reason: &str) {
    connection.close(code.varint(), reason.as_bytes());
}
