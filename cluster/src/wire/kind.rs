//! The one table of all message kinds of the product.
//!
//! A row is never changed or given again once it was released.

use std::fmt;

use super::MAX_PAYLOAD;

const KIB: usize = 1024;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $max:expr $(, answered by $response:ident)?;)+) => {
        /// What a frame carries.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)+
        }

        impl Kind {
            /// All kinds, by number.
            pub const ALL: &[Kind] = &[$(Kind::$name),+];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$name),)+
                    _ => None,
                }
            }

            /// Its name in logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$name => $text,)+
                }
            }

            /// The longest payload of this kind.
            pub const fn max_len(self) -> usize {
                match self {
                    $(Kind::$name => $max,)+
                }
            }

            /// The kind that answers this one, when it is a request.
            #[allow(unreachable_code, reason = "one arm shape for requests and for what is not one")]
            pub const fn response(self) -> Option<Kind> {
                match self {
                    $(Kind::$name => {
                        $(return Some(Kind::$response);)?
                        None
                    })+
                }
            }
        }
    };
}

kinds! {
    // 0x00xx: link
    /// The first words on a connection.
    LinkHello = 0x0001, "link.hello", 4 * KIB;
    /// Asks for the peer's clock.
    LinkPing = 0x0002, "link.ping", 64, answered by LinkPong;
    /// The peer's clock.
    LinkPong = 0x0003, "link.pong", 64;
    /// Asks the peer whether a fresh packet from it reaches us.
    LinkReach = 0x0004, "link.reach", 64, answered by LinkReached;
    /// What came of it.
    LinkReached = 0x0005, "link.reached", KIB;
    /// Instead of an answer: why there is none.
    LinkRefusal = 0x0006, "link.refusal", KIB;

    // 0x01xx: membership
    /// One chitchat message, in chitchat's own encoding.
    MembershipGossip = 0x0100, "membership.gossip", 64 * KIB;

    // 0x02xx: cache
    /// Asks an owner for an entry.
    CacheGet = 0x0200, "cache.get", 4 * KIB, answered by CacheGot;
    /// The entry, or that there is none.
    CacheGot = 0x0201, "cache.got", MAX_PAYLOAD;
    /// Gives an entry to an owner or a replica.
    CachePut = 0x0202, "cache.put", MAX_PAYLOAD, answered by CachePutDone;
    /// The entry is held.
    CachePutDone = 0x0203, "cache.put_done", KIB;
    /// Removes entries.
    CachePurge = 0x0204, "cache.purge", 4 * KIB, answered by CachePurged;
    /// They are removed.
    CachePurged = 0x0205, "cache.purged", KIB;
    /// Asks for an answer that is under way.
    CacheFollow = 0x0206, "cache.follow", 4 * KIB, answered by CacheFollowed;
    /// What there is of it.
    CacheFollowed = 0x0207, "cache.followed", MAX_PAYLOAD;
    /// An answer that was under way is not kept.
    CacheLanded = 0x0208, "cache.landed", KIB, answered by CacheLandedTaken;
    /// It is known.
    CacheLandedTaken = 0x0209, "cache.landed_taken", 64;
    /// Asks for the entries that are nearest to a vector.
    CacheSearch = 0x020a, "cache.search", 32 * KIB, answered by CacheSearched;
    /// Some of them, with the questions that they answer.
    CacheSearched = 0x020b, "cache.searched", 96 * KIB;
    /// Makes an entry findable by its vector.
    CacheLearn = 0x020c, "cache.learn", 32 * KIB, answered by CacheLearned;
    /// It is.
    CacheLearned = 0x020d, "cache.learned", 64;
    /// Tells of entries that are found and are not there any more.
    CacheForget = 0x020e, "cache.forget", 4 * KIB, answered by CacheForgotten;
    /// They are not found any more.
    CacheForgotten = 0x020f, "cache.forgotten", 64;
    /// Asks for the vectors that the asker is to hold.
    CachePull = 0x0210, "cache.pull", KIB, answered by CachePulled;
    /// Some of them.
    CachePulled = 0x0211, "cache.pulled", 4 * 1024 * KIB;

    // 0x03xx: ledger
    /// Asks for rights.
    LedgerAsk = 0x0300, "ledger.ask", 512, answered by LedgerTaken;
    /// Tells what was given in total.
    LedgerGive = 0x0301, "ledger.give", 512, answered by LedgerTaken;
    /// Rows of counters.
    LedgerRows = 0x0302, "ledger.rows", 1024 * KIB, answered by LedgerTaken;
    /// Rows in short, to compare.
    LedgerDigest = 0x0303, "ledger.digest", 64 * KIB, answered by LedgerTaken;
    /// Asks for rows that differ.
    LedgerWant = 0x0304, "ledger.want", 64 * KIB, answered by LedgerTaken;
    /// All that is known of who counts whom.
    LedgerNews = 0x0305, "ledger.news", MAX_PAYLOAD, answered by LedgerTaken;
    /// It has come; what follows from it is told by messages of its own.
    LedgerTaken = 0x0306, "ledger.taken", 64;
    /// Asks for a node's counters as it sees them.
    LedgerView = 0x0307, "ledger.view", 512, answered by LedgerViewed;
    /// Some of them.
    LedgerViewed = 0x0308, "ledger.viewed", 2 * 1024 * KIB;

    // 0x04xx: the node as a whole
    /// Tells a node to drain and end.
    NodeDrain = 0x0400, "node.drain", 64, answered by NodeDraining;
    /// It has begun.
    NodeDraining = 0x0401, "node.draining", 64;

    // 0x05xx: registry
    /// New records, told at once.
    RegistryPush = 0x0500, "registry.push", 1024 * KIB, answered by RegistryPushed;
    /// They are merged.
    RegistryPushed = 0x0501, "registry.pushed", 64;
    /// What a node holds and has seen.
    RegistryHello = 0x0502, "registry.hello", 128 * KIB, answered by RegistrySummary;
    /// What the other holds and has seen.
    RegistrySummary = 0x0503, "registry.summary", 128 * KIB;
    /// Asks for records that the asker lacks.
    RegistryWant = 0x0504, "registry.want", 128 * KIB, answered by RegistryRecords;
    /// Some of them.
    RegistryRecords = 0x0505, "registry.records", 1024 * KIB;

    // 0x06xx: health
    /// What the sender has seen of targets.
    HealthNews = 0x0600, "health.news", 64 * KIB, answered by HealthHeard;
    /// All that the sender reports of targets, in short.
    HealthDigest = 0x0601, "health.digest", 64, answered by HealthHeard;
    /// Whether the receiver holds it.
    HealthHeard = 0x0602, "health.heard", 64;
}

impl Kind {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_kind_and_limits_hold() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(Kind::from_number(kind.number()), Some(*kind));
            assert!(kind.max_len() <= MAX_PAYLOAD, "{kind}");
            assert!(Kind::ALL[..index].iter().all(|before| before.number() < kind.number()), "{kind} out of order");
        }
        assert_eq!(Kind::from_number(0), None);
    }
}
