//! Carries questions to the peers and answers back. A question that is lost comes again by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use super::keeper::Command;
use crate::cluster::Cluster;
use crate::identity::NodeId;
use crate::link::{CallError, MAX_LANE_MESSAGE};
use crate::registry::exchange::{Outgoing, SyncMessage};
use crate::registry::record::Record;

/// Questions on their way at once; what is beyond is dropped.
const UNDER_WAY: usize = 256;
const DEADLINE: Duration = Duration::from_secs(2);

/// Runs until the cluster or the keeper ends.
pub(super) async fn carry(commands: mpsc::Sender<Command>, cluster: Cluster) {
    let (outbox, mut questions) = mpsc::channel(UNDER_WAY);
    if commands.send(Command::Attach(outbox)).await.is_err() {
        return;
    }
    let (mut links, mut views) = (cluster.link().watch(), cluster.watch());
    let seats = Arc::new(Semaphore::new(UNDER_WAY));
    let mut known = None;
    loop {
        let peers = Peers::of(&cluster);
        if known.as_ref() != Some(&peers) {
            known = Some(peers.clone());
            if commands.send(Command::Peers(peers)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = links.changed() => if changed.is_err() { return },
            changed = views.changed() => if changed.is_err() { return },
            question = questions.recv() => {
                let Some(question) = question else { return };
                let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
                let (commands, cluster) = (commands.clone(), cluster.clone());
                tokio::spawn(async move {
                    let _seat = seat;
                    ask(&commands, &cluster, question).await;
                });
            }
        }
    }
}

/// Who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peers {
    /// Can be asked now.
    pub(super) connected: Vec<NodeId>,
    /// Are members of the cluster.
    pub(super) live: Vec<NodeId>,
}

impl Peers {
    fn of(cluster: &Cluster) -> Peers {
        let oneself = &cluster.identity().node_id;
        let connected = cluster.link().peers().into_iter().map(|peer| peer.id).filter(|id| id != oneself);
        let live = cluster.view().members.iter().map(|member| member.id.clone()).filter(|id| id != oneself).collect();
        Peers { connected: connected.collect(), live }
    }
}

async fn ask(commands: &mpsc::Sender<Command>, cluster: &Cluster, question: Outgoing) {
    let Outgoing { to, message } = question;
    match call(cluster, &to, message).await {
        // Nobody waits when the keeper is gone.
        Ok(answer) => drop(commands.send(Command::Answered { from: to, message: answer }).await),
        Err(error) => debug!(%error, "a message of the registry is sent again"),
    }
}

async fn call(cluster: &Cluster, to: &NodeId, message: SyncMessage) -> Result<SyncMessage, CallError> {
    let link = cluster.link();
    match message {
        // Half: sizes are estimates.
        SyncMessage::Push(push) if push.records.iter().map(Record::size).sum::<usize>() > MAX_LANE_MESSAGE / 2 => {
            link.call_bulk(to, &push, DEADLINE).await.map(SyncMessage::Pushed)
        }
        SyncMessage::Push(push) => link.call(to, &push, DEADLINE).await.map(SyncMessage::Pushed),
        SyncMessage::Hello(hello) => link.call(to, &hello, DEADLINE).await.map(SyncMessage::Summary),
        SyncMessage::Want(want) => link.call_bulk(to, &want, DEADLINE).await.map(SyncMessage::Records),
        // The exchange asks nothing else.
        SyncMessage::Pushed(_) | SyncMessage::Summary(_) | SyncMessage::Records(_) => Err(CallError::Closed),
    }
}
