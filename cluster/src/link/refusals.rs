//! Who was refused, and the log lines about it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{RefusalReason, RefusedPeer};

/// Someone who keeps trying is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Anyone can send from many, so beyond this only the counters tell.
const MAX_KEPT: usize = 128;

#[derive(Debug)]
struct Seen {
    detail: String,
    times: u64,
    last: Instant,
    logged: Instant,
}

/// The refused, by address and reason.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    seen: HashMap<(SocketAddr, RefusalReason), Seen>,
}

impl Refusals {
    /// Remembers a refusal; true when it is time for a log line.
    pub(super) fn note(&mut self, address: SocketAddr, reason: RefusalReason, detail: &str, now: Instant) -> bool {
        let key = (address, reason);
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.times = seen.times.saturating_add(1);
            seen.last = now;
            detail.clone_into(&mut seen.detail);
            let due = now.duration_since(seen.logged) >= LOG_EVERY;
            if due {
                seen.logged = now;
            }
            return due;
        }
        if self.seen.len() >= MAX_KEPT {
            self.seen.retain(|_, seen| now.duration_since(seen.last) < LOG_EVERY);
        }
        if self.seen.len() >= MAX_KEPT {
            return false;
        }
        self.seen.insert(key, Seen { detail: detail.to_owned(), times: 1, last: now, logged: now });
        true
    }

    /// All of them, the latest first.
    pub(super) fn list(&self, now: Instant) -> Vec<RefusedPeer> {
        let mut list: Vec<RefusedPeer> = self
            .seen
            .iter()
            .map(|((address, reason), seen)| RefusedPeer {
                address: *address,
                reason: *reason,
                detail: seen.detail.clone(),
                times: seen.times,
                ago: now.duration_since(seen.last),
            })
            .collect();
        list.sort_by_key(|refused| (refused.ago, refused.address));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_for_each_address_and_reason() {
        let mut refusals = Refusals::default();
        let address = "10.0.0.1:5".parse().unwrap();
        let start = Instant::now();
        assert!(refusals.note(address, RefusalReason::Trust, "x", start));
        assert!(!refusals.note(address, RefusalReason::Trust, "x", start + LOG_EVERY / 2));
        assert!(refusals.note(address, RefusalReason::Name, "x", start + LOG_EVERY / 2));
        assert!(refusals.note(address, RefusalReason::Trust, "y", start + LOG_EVERY));
        let list = refusals.list(start + LOG_EVERY);
        assert_eq!((list[0].times, list[0].detail.as_str(), list[0].ago), (3, "y", Duration::ZERO));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_silent() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        let lines = (0..10_000u32)
            .filter(|host| {
                let address = SocketAddr::from((host.to_be_bytes(), 1));
                refusals.note(address, RefusalReason::Trust, "x", now)
            })
            .count();
        assert_eq!((lines, refusals.seen.len()), (MAX_KEPT, MAX_KEPT));
    }
}
