//! What a link counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What happened since the link was bound.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct LinkCounters {
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> LinkCounters {
                LinkCounters { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Connections that became a peer's.
    connected,
    /// Handshakes that failed for want of the cluster's secret or certificate, on either side.
    refused_trust,
    /// Connections refused in the hello, on either side.
    refused_hello,
    /// Connections cut for bytes that make no sense.
    malformed_frames,
    /// Connections cut for a frame over its limit.
    oversized_frames,
    /// Connections cut for flooding.
    floods,
    /// Gossip messages sent.
    gossip_sent,
    /// Gossip messages received.
    gossip_received,
    /// Gossip messages dropped because a queue was full or nobody was connected.
    gossip_dropped,
    /// Calls of this node that were answered.
    calls_answered,
    /// Calls of this node without an answer in time.
    calls_timed_out,
    /// Calls of this node that failed otherwise.
    calls_failed,
    /// Calls of peers that this node served.
    calls_served,
    /// Calls of peers that were refused for overload.
    calls_shed,
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
