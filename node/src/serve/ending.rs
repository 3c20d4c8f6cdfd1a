//! How a node's life ends: who says so, and the drain.

use std::time::Duration;

use peerway_cache::RingCache;
use peerway_cluster::cluster::Cluster;
use peerway_cluster::ledger::service::{LedgerService, Parting};
use peerway_cluster::membership::State;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::ledger::begins_anew;
use crate::config::Config;
use crate::http::drain::{Drain, Phase};
use crate::peers::Rooms;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Signal,
    Drained,
    ParentGone,
    /// Only as another actor can this node go on: a new process does.
    StartOver(&'static str),
    /// Another process lives with this node's identity, by the word of a peer: this one may not go on for a moment.
    Double(String),
}

impl End {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Drained => "drain was asked for",
            Self::ParentGone => "the parent process is gone",
            Self::StartOver(why) => why,
            Self::Double(_) => "another process lives with this node's identity",
        }
    }
}

pub(super) async fn until_told(
    exit_with_parent: bool,
    rooms: &Rooms,
    cluster: Option<&Cluster>,
    ledger: &LedgerService,
) -> End {
    let drain_asked = rooms.drain_asked();
    tokio::select! {
        () = terminated() => End::Signal,
        () = drain_asked.notified() => End::Drained,
        () = parent_gone(), if exit_with_parent => End::ParentGone,
        why = begins_anew(ledger) => End::StartOver(why),
        said = double(cluster) => End::Double(said),
    }
}

async fn double(cluster: Option<&Cluster>) -> String {
    if let Some(cluster) = cluster {
        let mut double = cluster.link().double();
        if let Ok(said) = double.wait_for(Option::is_some).await {
            return said.clone().unwrap_or_default();
        }
    }
    std::future::pending().await
}

/// Resolves on SIGTERM and SIGINT.
pub async fn terminated() {
    let listen = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(error) => {
                warn!(%error, "a signal cannot be listened to");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = listen(SignalKind::terminate()) => {}
        () = listen(SignalKind::interrupt()) => {}
    }
}

/// Resolves when standard input ends. The kernel closes the parent's end of the pipe however the parent died.
async fn parent_gone() {
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread of its own: a blocking read in the runtime's pool would hold up its shutdown.
    let watch = std::thread::Builder::new().name("parent".into()).spawn(move || {
        let mut byte = [0u8; 64];
        while matches!(std::io::Read::read(&mut std::io::stdin(), &mut byte), Ok(1..)) {}
        let _ = gone.send(());
    });
    match watch {
        Ok(_) => {
            let _ = told.await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// How long the answers that nobody waits for any more may take, so that their cost is known.
const UNATTENDED: Duration = Duration::from_secs(30);

/// What a node that leaves gives of its cached answers to others: so many bytes of those asked for most, within so long.
const HANDED_OVER: (u64, Duration) = (64 * 1024 * 1024, Duration::from_secs(2));

/// The drain: not ready, then no new connections, then nothing in flight, then its cached answers with others, then no
/// open budgets, then gone from the cluster.
pub(super) async fn finish(
    config: &Config,
    cluster: Option<(&Cluster, &RingCache)>,
    drain: &Drain,
    ledger: &LedgerService,
    end: &End,
) {
    drain.enter(Phase::Noticing);
    if let Some((cluster, _)) = cluster {
        cluster.set_state(State::Draining).await;
    }
    if *end != End::ParentGone {
        tokio::select! {
            () = tokio::time::sleep(config.http.drain_notice.get()) => {}
            // A second signal: whoever sends it does not want to wait.
            () = terminated() => {}
        }
    }
    drain.enter(Phase::Closing);
    let limit = if *end == End::ParentGone { Duration::ZERO } else { config.http.drain.get() };
    tokio::select! {
        cut = drain.finished(limit) => if cut > 0 {
            warn!(connections = cut, "the drain time is over: open connections are cut");
        },
        () = terminated() => warn!("told twice: open connections are cut"),
    }
    if *end != End::ParentGone {
        drain.emptied(UNATTENDED).await;
        if let Some((_, cache)) = cluster {
            let (bytes, time) = HANDED_OVER;
            let given = cache.hand_over(bytes, time).await;
            info!(entries = given.entries, bytes = given.bytes, "cached answers were given to other nodes");
        }
    }
    // While the peers can still be told.
    let parting = if *end == End::Drained { Parting::ForGood } else { Parting::Restart };
    ledger.close(parting).await;
    if let Some((cluster, _)) = cluster {
        cluster.leave().await;
    }
}
