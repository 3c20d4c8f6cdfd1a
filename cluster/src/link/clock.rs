//! The wall clock that peers compare, and the two messages by which they do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bincode::{Decode, Encode};
use tokio::time::Instant;

use crate::wire::{Kind, Message, Request};

/// Asks for the peer's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Ping;

/// The peer's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Pong {
    pub(super) wall_micros: u64,
}

impl Message for Ping {
    const KIND: Kind = Kind::LinkPing;
}

impl Message for Pong {
    const KIND: Kind = Kind::LinkPong;
}

impl Request for Ping {
    type Response = Pong;
}

/// Where the wall clock comes from. Nothing is decided by it; it is only compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum WallClock {
    System,
    /// Starts at a fixed date and goes with the runtime's time, for simulations.
    Virtual(Instant),
}

impl WallClock {
    pub(super) fn micros(self) -> u64 {
        let since_epoch = match self {
            WallClock::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            WallClock::Virtual(start) => Duration::from_secs(1_767_225_600) + start.elapsed(),
        };
        u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The peer's clock minus ours, taking it that its answer was written half-way between (RFC 5905, section 8).
pub(super) fn offset_ms(sent_micros: u64, received_micros: u64, peer_micros: u64) -> i64 {
    let middle = sent_micros / 2 + received_micros / 2;
    let offset = (i128::from(peer_micros) - i128::from(middle)) / 1000;
    i64::try_from(offset).unwrap_or(if offset < 0 { i64::MIN + 1 } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn offset_is_taken_at_the_middle() {
        assert_eq!(offset_ms(1_000_000, 1_010_000, 1_005_000), 0);
        assert_eq!(offset_ms(1_000_000, 1_010_000, 3_005_000), 2000);
        assert_eq!(offset_ms(1_000_000, 1_010_000, 5_000), -1000);
        assert_eq!(offset_ms(0, 0, u64::MAX), i64::try_from(u64::MAX / 1000).unwrap());
    }

    #[test]
    fn the_bytes_of_ping_and_pong_never_change() {
        assert!(wire::encode(&Ping).unwrap().is_empty());
        assert_eq!(
            wire::encode(&Pong { wall_micros: 1_767_225_600_000_000 }).unwrap()[..],
            [0xfd, 0x00, 0x40, 0x20, 0x46, 0x48, 0x47, 0x06, 0x00]
        );
    }
}
