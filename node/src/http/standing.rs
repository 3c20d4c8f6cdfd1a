//! What the parts of one connection know of one another: its socket, its requests and who watches over both.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// More early resets than this, and more than half of all its requests, and an HTTP/2 connection is cut ("rapid reset",
/// CVE-2023-44487): requests that are taken back cost us more than they cost whoever sends them.
const MOST_RESETS: u64 = 500;
/// A request that is taken back later than this was meant.
const EARLY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Standing {
    began: Instant,
    /// Requests so far.
    requests: AtomicU64,
    /// Those whose answer is not finished.
    active: AtomicUsize,
    /// When the last answer was finished, in milliseconds since the beginning.
    ended: AtomicU64,
    is_h2: AtomicBool,
    early_resets: AtomicU64,
    /// Answers of which a piece was handed over that has not been asked for more.
    waiting: AtomicUsize,
    /// When the client last took something.
    taken: AtomicU64,
}

impl Standing {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            requests: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            is_h2: AtomicBool::new(false),
            early_resets: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn since(&self, then: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(then.load(Ordering::Relaxed)))
    }

    pub(super) fn has_asked(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_h2(&self) -> bool {
        self.is_h2.load(Ordering::Relaxed)
    }

    pub(super) fn is_abused(&self) -> bool {
        let resets = self.early_resets.load(Ordering::Relaxed);
        resets > MOST_RESETS && resets * 2 > self.requests.load(Ordering::Relaxed)
    }

    /// For so long there has been no request.
    pub(super) fn idle(&self) -> Duration {
        if self.is_active() { Duration::ZERO } else { self.since(&self.ended) }
    }

    /// For so long the client has taken nothing of any answer, though something is there of each.
    pub(super) fn stalled(&self) -> Duration {
        let active = self.active.load(Ordering::Relaxed);
        if active == 0 || self.waiting.load(Ordering::Relaxed) < active {
            return Duration::ZERO;
        }
        self.since(&self.taken)
    }

    pub(super) fn request_began(&self, is_h2: bool) -> Option<Instant> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        if !is_h2 {
            return None;
        }
        self.is_h2.store(true, Ordering::Relaxed);
        self.taken();
        Some(Instant::now())
    }

    /// `began` of a request of HTTP/2 that was not answered to its end.
    pub(super) fn request_ended(&self, cut_short: Option<Instant>) {
        if cut_short.is_some_and(|began| began.elapsed() < EARLY) {
            self.early_resets.fetch_add(1, Ordering::Relaxed);
        }
        self.ended.store(self.now(), Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn piece_handed_over(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn piece_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.taken();
    }

    fn taken(&self) {
        self.taken.store(self.now(), Ordering::Relaxed);
    }
}
