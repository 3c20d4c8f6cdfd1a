//! The tasks of one connection, from the hello to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use quinn::ConnectionError;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;
use tracing::{info, warn};

use super::clock::{Ping, Pong, offset_ms};
use super::codes::{CloseCode, close};
use super::counters::add;
use super::dial::{Dials, Wish};
use super::lane::LaneWork;
use super::peers::{Patience, Peer};
use super::shared::Shared;
use super::{RefusalReason, gossip, serve};
use crate::wire::{self, Message as _, WireError};

/// What is under way on a connection that is to end gets this long.
const RETIRE: Duration = Duration::from_secs(1);
/// Whoever lives answers within so many round trips, and within this at least.
const ALIVE_TRIPS: u32 = 4;
const ALIVE_DEADLINE: Duration = Duration::from_millis(250);
/// A clock is not asked for longer than this.
const PING_DEADLINE: Duration = Duration::from_secs(1);

/// The receiving ends of a peer's queues.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) lane: LaneWork,
    pub(super) gossip: mpsc::Receiver<Bytes>,
    pub(super) spare: bool,
}

pub(super) fn start(shared: &Arc<Shared>, peer: Arc<Peer>, work: Work) {
    if !work.spare {
        info!(peer = %peer.id, address = %peer.address, generation = %peer.generation, "connected");
    }
    let serving = Arc::new(serve::Bounds {
        small: Arc::new(Semaphore::new(shared.limits.serving)),
        bulk: Arc::new(Semaphore::new(shared.limits.serving_bulk)),
    });
    spawn_lane(shared, Arc::clone(&peer), work.lane);
    shared.spawn(gossip::send(Arc::clone(shared), Arc::clone(&peer), work.gossip));
    shared.spawn(gossip::receive(Arc::clone(shared), Arc::clone(&peer)));
    shared.spawn(serve::accept(Arc::clone(shared), Arc::clone(&peer), serving));
    shared.spawn(compare_clocks(Arc::clone(shared), Arc::clone(&peer)));
    let task = Arc::clone(shared);
    shared.spawn(async move {
        let ended = peer.connection.closed().await;
        peer.gone.cancel();
        if task.peers.leave(&peer) {
            farewell(&task, &peer, &ended);
        }
    });
}

fn spawn_lane(shared: &Arc<Shared>, peer: Arc<Peer>, lane: LaneWork) {
    let task = Arc::clone(shared);
    shared.spawn(async move {
        if let Err(breach) = lane.run(peer.connection.clone(), peer.gone.clone()).await {
            task.cut(&peer.connection, &breach);
        }
    });
}

fn farewell(shared: &Arc<Shared>, peer: &Peer, ended: &ConnectionError) {
    if let ConnectionError::ApplicationClosed(closed) = ended {
        let said = String::from_utf8_lossy(&closed.reason);
        let code = CloseCode::from_varint(closed.error_code);
        let address = peer.connection.remote_address();
        if code == Some(CloseCode::SameIdentity) {
            shared.found_double(&format!("{} at {address} refuses this node: {said}", peer.id));
        }
        if let Some(reason) = code.and_then(CloseCode::refusal) {
            shared.refuse(address, reason, &format!("{} at {address} cut this node off: {said}", peer.id));
            return;
        }
        info!(peer = %peer.id, "disconnected by the peer: {said}");
        return;
    }
    match ended {
        ConnectionError::LocallyClosed => {
            info!(peer = %peer.id, "disconnected");
            return;
        }
        // A restarted process answers the packets of its former life like this.
        ConnectionError::Reset => info!(peer = %peer.id, "the peer has restarted"),
        _ => warn!(peer = %peer.id, address = %peer.address, "connection lost: {ended}"),
    }
    // It may have been the one that dialled, and not know us any more.
    Dials::want(shared, peer.address, Wish::Mentioned);
}

/// Ends a connection that another one replaces.
pub(super) fn retire(shared: &Arc<Shared>, peer: Arc<Peer>, patience: Patience) {
    if patience == Patience::None {
        close(&peer.connection, CloseCode::Replaced, "replaced by a connection of a younger process");
        return;
    }
    shared.spawn(async move {
        tokio::select! {
            biased;
            () = sleep(RETIRE) => close(&peer.connection, CloseCode::Duplicate, "another connection is used"),
            _ = peer.connection.closed() => {}
        }
    });
}

/// Asks for the peer's clock now and then.
async fn compare_clocks(shared: Arc<Shared>, peer: Arc<Peer>) {
    loop {
        ask_clock(&shared, &peer).await;
        tokio::select! {
            biased;
            () = sleep(shared.limits.clock_interval) => {}
            () = peer.gone.cancelled() => return,
        }
    }
}

/// Whether there is a process at the other end. A short question: who waits for the answer is a peer that wants in.
pub(super) async fn answers(peer: &Peer) -> bool {
    let deadline = ALIVE_DEADLINE.max(peer.connection.rtt() * ALIVE_TRIPS);
    peer.connection.close_reason().is_none() && peer.lane.call(Ping::KIND, &[], deadline).await.is_ok()
}

async fn ask_clock(shared: &Shared, peer: &Peer) {
    let sent = shared.clock.micros();
    let Ok((kind, payload)) = peer.lane.call(Ping::KIND, &[], PING_DEADLINE).await else {
        return;
    };
    let received = shared.clock.micros();
    match wire::decode::<Pong>(&payload) {
        Ok(pong) if kind == Pong::KIND => {
            let offset = offset_ms(sent, received, pong.wall_micros);
            peer.clock_offset_ms.store(offset, Ordering::Relaxed);
        }
        Ok(_) => shared.cut(&peer.connection, &WireError::Misplaced(kind)),
        Err(breach) => shared.cut(&peer.connection, &breach),
    }
}

/// Cuts a peer that sends more than it may.
pub(super) fn cut_flood(shared: &Shared, peer: &Peer) {
    if peer.connection.close_reason().is_some() {
        return;
    }
    add(&shared.counters.floods);
    let address = peer.connection.remote_address();
    let per_second = shared.limits.gossip_per_second;
    let detail = format!("{} at {address} was cut off: more than {per_second} gossip messages a second", peer.id);
    shared.refuse(address, RefusalReason::Misbehaved, &detail);
    close(&peer.connection, CloseCode::Flood, "too many gossip messages");
}
