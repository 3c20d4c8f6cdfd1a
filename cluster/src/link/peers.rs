//! Who is connected, and which of two connections to one peer stays.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use quinn::Connection;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::PeerStatus;
use super::hello::Agreed;
use super::lane::Lane;
use crate::identity::{Generation, Incarnation, NodeId};

const OFFSET_UNKNOWN: i64 = i64::MIN;

/// One connection to a peer that said hello.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) generation: Generation,
    pub(super) incarnation: Incarnation,
    pub(super) address: SocketAddr,
    pub(super) agreed: Agreed,
    pub(super) dialled_by: Side,
    pub(super) connection: Connection,
    pub(super) since: Instant,
    pub(super) lane: Lane,
    pub(super) gossip: mpsc::Sender<Bytes>,
    /// Cancelled when the connection is gone.
    pub(super) gone: CancellationToken,
    pub(super) clock_offset_ms: AtomicI64,
}

/// Who dialled a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
}

impl Peer {
    pub(super) fn no_offset() -> AtomicI64 {
        AtomicI64::new(OFFSET_UNKNOWN)
    }

    pub(super) fn status(&self) -> PeerStatus {
        let offset = self.clock_offset_ms.load(Ordering::Relaxed);
        PeerStatus {
            id: self.id.clone(),
            generation: self.generation,
            incarnation: self.incarnation,
            address: self.address,
            rtt: self.connection.rtt(),
            protocol: self.agreed.protocol,
            features: self.agreed.features,
            clock_offset_ms: (offset != OFFSET_UNKNOWN).then_some(offset),
            connected_for: self.since.elapsed(),
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            generation: self.generation,
            dialled_by: self.dialled_by,
            alive: self.connection.close_reason().is_none(),
        }
    }
}

/// What is decided from, when there are two connections to one peer.
#[derive(Clone, Copy, Debug)]
struct Facts {
    generation: Generation,
    dialled_by: Side,
    alive: bool,
}

/// What becomes of a new connection, and of the one there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The new one is used; the old one is of a dead process.
    Replace,
    /// The new one is used; the old one stays open a little for what is under way on it.
    Supersede,
    /// The old one stays; the new one stays open a little, because the peer may have begun to use it.
    Spare,
    /// The new one is of an older process.
    Stale,
}

/// Both sides decide the same from the same facts: of one process's two connections, that which the lower node id
/// dialled stays; of two by one dialler the later stays, because the dialler saw the earlier one end.
fn arbitrate(we_are_lower: bool, old: Facts, new: Facts) -> Verdict {
    if new.generation > old.generation || !old.alive {
        return Verdict::Replace;
    }
    if new.generation < old.generation {
        return Verdict::Stale;
    }
    let by_the_lower = (new.dialled_by == Side::Ours) == we_are_lower;
    if new.dialled_by == old.dialled_by || by_the_lower { Verdict::Supersede } else { Verdict::Spare }
}

/// The connected peers at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    by_id: HashMap<NodeId, Arc<Peer>>,
    by_address: HashMap<SocketAddr, Arc<Peer>>,
}

/// What became of a connection that said hello.
#[derive(Debug)]
pub(super) enum Entered {
    /// It is the peer's connection now; what was before it is to be closed with the given patience.
    Used { before: Option<(Arc<Peer>, Patience)> },
    /// Another connection to the peer stays.
    Spare,
    /// A younger process of the peer is connected.
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    UntilQuiet,
}

/// The connected peers. Read without a lock on every call, written at connects and disconnects.
#[derive(Debug)]
pub(super) struct Peers {
    own: NodeId,
    table: ArcSwap<Table>,
    writing: Mutex<()>,
    changes: watch::Sender<u64>,
}

impl Peers {
    pub(super) fn new(own: NodeId) -> Peers {
        Peers { own, table: ArcSwap::default(), writing: Mutex::new(()), changes: watch::Sender::new(0) }
    }

    pub(super) fn by_id(&self, id: &NodeId) -> Option<Arc<Peer>> {
        self.table.load().by_id.get(id).cloned()
    }

    pub(super) fn by_address(&self, address: &SocketAddr) -> Option<Arc<Peer>> {
        self.table.load().by_address.get(address).cloned()
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn status(&self) -> Vec<PeerStatus> {
        let mut list: Vec<PeerStatus> = self.table.load().by_id.values().map(|peer| peer.status()).collect();
        list.sort_by(|one, other| one.id.cmp(&other.id));
        list
    }

    pub(super) fn enter(&self, peer: &Arc<Peer>) -> Entered {
        let entered = {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut table = Table::clone(&self.table.load());
            let before = match table.by_id.get(&peer.id) {
                None => None,
                Some(old) => match arbitrate(self.own < peer.id, old.facts(), peer.facts()) {
                    Verdict::Stale => return Entered::Stale,
                    Verdict::Spare => return Entered::Spare,
                    Verdict::Replace => Some((Arc::clone(old), Patience::None)),
                    Verdict::Supersede => Some((Arc::clone(old), Patience::UntilQuiet)),
                },
            };
            if let Some((old, _)) = &before {
                table.remove_address(old);
            }
            table.by_id.insert(peer.id.clone(), Arc::clone(peer));
            table.by_address.insert(peer.address, Arc::clone(peer));
            self.table.store(Arc::new(table));
            Entered::Used { before }
        };
        self.changes.send_modify(|changes| *changes += 1);
        entered
    }

    /// Removes a connection that is gone; false when another had taken its place.
    pub(super) fn leave(&self, peer: &Arc<Peer>) -> bool {
        {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut table = Table::clone(&self.table.load());
            if !table.by_id.get(&peer.id).is_some_and(|held| Arc::ptr_eq(held, peer)) {
                return false;
            }
            table.by_id.remove(&peer.id);
            table.remove_address(peer);
            self.table.store(Arc::new(table));
        }
        self.changes.send_modify(|changes| *changes += 1);
        true
    }
}

impl Table {
    fn remove_address(&mut self, peer: &Arc<Peer>) {
        if self.by_address.get(&peer.address).is_some_and(|held| Arc::ptr_eq(held, peer)) {
            self.by_address.remove(&peer.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(generation: u64, dialled_by: Side) -> Facts {
        Facts { generation: Generation(generation), dialled_by, alive: true }
    }

    #[test]
    fn both_sides_keep_the_same_one_of_two_connections() {
        // The lower node sees: dialled by us and by them. The higher sees the same two with the sides swapped.
        for (lower_first, kept_by_both) in [(true, Verdict::Spare), (false, Verdict::Supersede)] {
            let (first, second) = if lower_first { (Side::Ours, Side::Theirs) } else { (Side::Theirs, Side::Ours) };
            let at_lower = arbitrate(true, facts(1, first), facts(1, second));
            let swap = |side| if side == Side::Ours { Side::Theirs } else { Side::Ours };
            let at_higher = arbitrate(false, facts(1, swap(first)), facts(1, swap(second)));
            assert_eq!((at_lower, at_higher), (kept_by_both, kept_by_both));
        }
    }

    #[test]
    fn a_younger_process_or_a_dead_connection_always_gives_way() {
        for side in [Side::Ours, Side::Theirs] {
            assert_eq!(arbitrate(true, facts(1, side), facts(2, Side::Theirs)), Verdict::Replace);
            assert_eq!(arbitrate(true, facts(2, side), facts(1, Side::Ours)), Verdict::Stale);
            let dead = Facts { alive: false, ..facts(1, side) };
            assert_eq!(arbitrate(true, dead, facts(1, Side::Theirs)), Verdict::Replace);
        }
        assert_eq!(arbitrate(true, facts(1, Side::Theirs), facts(1, Side::Theirs)), Verdict::Supersede);
    }
}
