//! The bytes of bodies and answers that a node holds at once, all requests together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::shed::Shed;

/// Bytes are taken in such steps. The first step of each holder is free, so that the usual small request never touches
/// what all threads share; the limit on concurrent requests bounds what that leaves out.
const STEP: u64 = 4 << 10;

/// A budget of bytes.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
}

impl Memory {
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared { limit, used: AtomicU64::new(0) }))
    }

    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Nothing yet, for a request that begins.
    pub fn hold(&self) -> Held {
        Held { memory: self.clone(), bytes: 0, taken: 0 }
    }

    fn take(&self, more: u64) -> Result<(), Shed> {
        let within = |used: u64| used.checked_add(more).filter(|sum| *sum <= self.0.limit);
        match self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(Shed::Memory),
        }
    }
}

/// What one request holds of it, until dropped.
#[derive(Debug)]
pub struct Held {
    memory: Memory,
    bytes: u64,
    taken: u64,
}

impl Held {
    /// Takes so many more bytes, or none.
    pub fn grow(&mut self, more: usize) -> Result<(), Shed> {
        let bytes = self.bytes.saturating_add(more as u64);
        let whole = bytes.saturating_sub(STEP).div_ceil(STEP) * STEP;
        if whole > self.taken {
            self.memory.take(whole - self.taken)?;
            self.taken = whole;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The bytes that it was taken for: it is given back when the last part of them is dropped, whoever has that.
    pub fn bind(self, bytes: Bytes) -> Bytes {
        // What took nothing has nothing to give back.
        if self.taken == 0 { bytes } else { Bytes::from_owner(Bound { bytes, _held: self }) }
    }

    /// Whether so many more would be within the budget at this moment. Nothing is taken: a client that announces much
    /// and sends nothing must not keep others out.
    pub fn would_fit(&self, more: u64) -> bool {
        self.memory.used().saturating_add(more) <= self.memory.limit()
    }
}

struct Bound {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Bound {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.memory.0.used.fetch_sub(self.taken, Ordering::Relaxed);
        }
    }
}

/// A quarter of the memory that this process may use: what the cgroup says, or the machine has.
pub fn default_limit() -> u64 {
    const LEAST: u64 = 64 << 20;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let of_machine = || {
        let text = read("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? << 10)
    };
    let known =
        [number("/sys/fs/cgroup/memory.max"), number("/sys/fs/cgroup/memory/memory.limit_in_bytes"), of_machine()];
    known.into_iter().flatten().min().map_or(LEAST, |limit| (limit / 4).max(LEAST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_held_is_within_the_limit_and_comes_back() {
        let memory = Memory::new(64 << 10);
        let mut small = memory.hold();
        small.grow(1700).unwrap();
        assert_eq!(memory.used(), 0, "small requests share nothing");
        let mut large = memory.hold();
        large.grow(60 << 10).unwrap();
        assert_eq!(memory.used(), 56 << 10);
        assert_eq!(memory.hold().grow(20 << 10), Err(Shed::Memory));
        assert!(!small.would_fit(9 << 10) && small.would_fit(8 << 10));
        assert_eq!(memory.used(), 56 << 10, "a refusal takes nothing");
        let body = large.bind(Bytes::from(vec![0; 60 << 10]));
        let part = body.slice(1..3);
        drop(body);
        assert_eq!(memory.used(), 56 << 10, "a part of the body keeps all of it");
        drop(part);
        assert_eq!(memory.used(), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_nothing_is_lost(grows in prop::collection::vec((0usize..6, 0usize..100_000), 0..60)) {
            let memory = Memory::new(300_000);
            let mut holders: Vec<Held> = (0..6).map(|_| memory.hold()).collect();
            for (who, more) in grows {
                let _ = holders[who].grow(more);
                prop_assert!(memory.used() <= memory.limit());
                let held: u64 = holders.iter().map(|held| held.bytes.saturating_sub(STEP)).sum();
                prop_assert!(memory.used() >= held);
            }
            holders.clear();
            prop_assert_eq!(memory.used(), 0);
        }
    }
}
