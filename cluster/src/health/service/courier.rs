//! Carries news to the peers: at once, in order, and again until it has come. While a message is under way to a peer
//! what happens meanwhile waits for it and goes in the next one, so that a storm of failures is no storm of messages.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use crate::cluster::Cluster;
use crate::health::board::Board;
use crate::health::messages::{Digest, Heard, News};
use crate::identity::NodeId;
use crate::link::CallError;

const DEADLINE: Duration = Duration::from_secs(1);
/// What did not come is told again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a peer that was told everything is asked whether it still holds it.
const COMPARE: Duration = Duration::from_secs(2);

/// Where telling one peer stands.
#[derive(Debug)]
struct Peer {
    /// The version up to which it was told.
    told: u64,
    is_busy: bool,
    not_before: Instant,
    compare_at: Instant,
}

/// What a message came to.
#[derive(Debug)]
struct Done {
    to: NodeId,
    /// Of news: up to which version.
    upto: Option<u64>,
    answer: Result<Heard, CallError>,
}

#[derive(Debug)]
pub(super) struct Courier {
    cluster: Cluster,
    links: watch::Receiver<u64>,
    peers: BTreeMap<NodeId, Peer>,
    under_way: JoinSet<Done>,
}

enum Message {
    News(News, u64),
    Digest(Digest),
}

/// Resolves when there may be something to send; never without a cluster.
pub(super) async fn wait(courier: Option<&mut Courier>) {
    match courier {
        Some(courier) => courier.wait().await,
        None => std::future::pending().await,
    }
}

impl Courier {
    pub(super) fn new(cluster: Cluster) -> Courier {
        let links = cluster.link().watch();
        let mut courier = Courier { cluster, links, peers: BTreeMap::new(), under_way: JoinSet::new() };
        courier.meet();
        courier
    }

    /// The nodes whose word counts.
    pub(super) fn live(&self) -> Vec<NodeId> {
        let view = self.cluster.view();
        let members = view.members.iter().map(|member| &member.id);
        let mut live: Vec<NodeId> = members.chain(self.peers.keys()).cloned().collect();
        live.sort_unstable();
        live.dedup();
        live.retain(|id| *id != self.cluster.identity().node_id);
        live
    }

    /// Takes in who is connected. Who comes back is told everything.
    fn meet(&mut self) {
        let connected: Vec<NodeId> = self.cluster.link().peers().into_iter().map(|peer| peer.id).collect();
        self.peers.retain(|id, _| connected.contains(id));
        for id in connected {
            let now = Instant::now();
            self.peers.entry(id).or_insert_with(|| Peer { told: 0, is_busy: false, not_before: now, compare_at: now });
        }
    }

    async fn wait(&mut self) {
        let idle = self.peers.values().filter(|peer| !peer.is_busy);
        let next =
            idle.map(|peer| if peer.not_before > Instant::now() { peer.not_before } else { peer.compare_at }).min();
        let alarm = async move {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The link ends with the node.
            changed = self.links.changed() => match changed {
                Ok(()) => self.meet(),
                Err(_) => std::future::pending().await,
            },
            Some(done) = self.under_way.join_next() => if let Ok(done) = done {
                self.done(done);
            },
            () = alarm => {}
        }
    }

    fn done(&mut self, done: Done) {
        let Some(peer) = self.peers.get_mut(&done.to) else { return };
        peer.is_busy = false;
        match (done.answer, done.upto) {
            (Ok(_), Some(upto)) => peer.told = upto,
            (Ok(Heard { agrees }), None) => {
                if !agrees {
                    peer.told = 0;
                }
            }
            (Err(error), _) => {
                debug!(peer = %done.to, %error, "news of targets is told again");
                peer.not_before = Instant::now() + AGAIN;
            }
        }
    }

    /// Sends what there is to those who wait for nothing.
    pub(super) fn send(&mut self, board: &Board, now: Duration) {
        let moment = Instant::now();
        for (id, peer) in &mut self.peers {
            if peer.is_busy || peer.not_before > moment {
                continue;
            }
            let message = match board.news(now, peer.told) {
                Some((news, upto)) if news.reports.is_empty() => {
                    peer.told = upto;
                    continue;
                }
                Some((news, upto)) => Message::News(news, upto),
                None if peer.compare_at <= moment => {
                    peer.compare_at = moment + COMPARE;
                    Message::Digest(board.digest())
                }
                None => continue,
            };
            peer.is_busy = true;
            let (cluster, to) = (self.cluster.clone(), id.clone());
            self.under_way.spawn(async move {
                let link = cluster.link();
                match message {
                    Message::News(news, upto) => {
                        let answer = link.call(&to, &news, DEADLINE).await;
                        Done { to, upto: Some(upto), answer }
                    }
                    Message::Digest(digest) => {
                        let answer = link.call(&to, &digest, DEADLINE).await;
                        Done { to, upto: None, answer }
                    }
                }
            });
        }
    }
}
