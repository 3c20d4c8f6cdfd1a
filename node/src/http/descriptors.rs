//! File descriptors: as many as the system gives, some of them kept for what must go on when clients take the rest.

use std::os::fd::{AsRawFd, RawFd};

use rustix::process::{Resource, getrlimit, setrlimit};

/// A part of them, for upstreams, files and the control plane; never fewer than the former, seldom more than the latter.
const LEAST: u64 = 64;
const MOST: u64 = 4096;

/// Raises this process's limit to what it may have, and returns it.
pub fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Where it is forbidden it stays as it is.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether a connection that was just accepted takes one of those that are kept. A new descriptor has the lowest number
/// that is free, so its number tells how many are in use.
pub(super) fn is_of_reserve(socket: &impl AsRawFd) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    is_beyond(socket.as_raw_fd(), limit)
}

fn is_beyond(descriptor: RawFd, limit: u64) -> bool {
    let reserve = (limit / 4).clamp(LEAST, MOST).min(limit / 2);
    u64::try_from(descriptor).is_ok_and(|number| number >= limit - reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept() {
        for (limit, first_refused) in [(256, 192), (1024, 768), (65_536, 61_440), (100, 50)] {
            assert!(is_beyond(first_refused, limit) && !is_beyond(first_refused - 1, limit), "{limit}");
        }
        assert!(!is_beyond(100_000, u64::MAX));
    }
}
