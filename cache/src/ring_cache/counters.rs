//! What happened so far.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)+
        }

        /// A snapshot of a cache.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct CacheStats {
            /// Entries held for the cluster.
            pub entries: u64,
            /// Their bytes.
            pub bytes: u64,
            /// Copies of what other nodes hold.
            pub near_entries: u64,
            /// Their bytes.
            pub near_bytes: u64,
            /// After this many microseconds without an answer a look-up asks the replica too.
            pub hedge_after_us: u64,
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> CacheStats {
                CacheStats { $($name: self.$name.get(),)+ ..CacheStats::default() }
            }
        }
    };
}

counters! {
    /// Look-ups answered by a copy at this node.
    hits_near,
    /// Look-ups answered by what this node holds for the cluster.
    hits_local,
    /// Look-ups answered by a peer.
    hits_remote,
    /// Look-ups answered by a request that was the same and under way.
    hits_coalesced,
    /// Look-ups answered by the backend behind the ring.
    hits_backend,
    /// Look-ups and writes that the backend failed at.
    backend_failures,
    /// Look-ups without an answer.
    misses,
    /// Those that asked nobody, because their namespace hardly ever hits.
    unasked,
    /// Questions sent to peers.
    remote_gets,
    /// Questions that a peer did not answer in time.
    remote_timeouts,
    /// Questions that failed otherwise.
    remote_failures,
    /// Look-ups that asked the replica too, because the owner took long.
    hedges,
    /// Those that the replica answered.
    hedges_won,
    /// Questions after entries from before a change of the ring or a start.
    look_backs,
    /// Those that found one.
    look_backs_won,
    /// Entries that this node gave to the cluster.
    puts,
    /// Entries that were not taken: too large, expired or purged.
    puts_refused,
    /// Entries that their owner did not acknowledge.
    puts_unacknowledged,
    /// Entries that did not belong to who asked, or should not have been there: never served.
    rejected,
    /// Questions of peers.
    served_gets,
    /// Those answered with an entry.
    served_hits,
    /// Entries that peers gave to this node.
    served_puts,
    /// Purges ordered here or heard of from peers.
    purges,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
