//! Removing: by id at every node, all else by raising a generation that every node measures entries against.

use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream;
use peerway_cluster::identity::NodeId;
use tokio::time::timeout;

use super::similar::Gone;
use super::{Inner, RingCache};
use crate::generations::{GenerationMap, Target};
use crate::identity::{EntryId, NamespaceId, TenantScope, name_digest};
use crate::message::{Order, PurgeCall};
use crate::peers::PeerError;

/// How many nodes are told at once.
const AT_ONCE: usize = 64;

/// What is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// One entry, as it lies now. An answer to the same request that is under way is not affected.
    Id(EntryId),
    /// Everything of a tenant.
    Scope(TenantScope),
    /// The namespace of this name, at all tenants.
    Name(String),
    /// A namespace of one tenant.
    Namespace(TenantScope, String),
    /// Everything.
    All,
}

/// Who was told of a purge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// The nodes where it holds already, this one included.
    pub confirmed: usize,
    /// The nodes that did not answer; a purge by generation reaches them with the gossip.
    pub unreached: Vec<NodeId>,
    /// For a purge by id: at how many nodes the entry was.
    pub held_at: usize,
}

/// Why a purge may not hold everywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurgeError {
    /// The store behind the ring did not answer.
    #[error(
        "entry {id} was purged at the nodes, but the cache's backend did not answer and may still have it: repeat the \
         purge, or purge its namespace"
    )]
    Backend {
        /// What was purged.
        id: EntryId,
    },
    /// A purge by id is told and not gossiped.
    #[error(
        "entry {id} was purged, but {} did not answer and may still have it: repeat the purge, or purge its namespace",
        names(.report)
    )]
    Unreached {
        /// What was purged.
        id: EntryId,
        /// Who was told.
        report: PurgeReport,
    },
}

fn names(report: &PurgeReport) -> String {
    report.unreached.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

impl RingCache {
    /// Purges at all nodes, whichever this one is.
    pub async fn purge(&self, what: Purge) -> Result<PurgeReport, PurgeError> {
        let inner = &self.inner;
        let key = &inner.config.cluster_key;
        let target = match what {
            Purge::Id(id) => {
                // First there: a node that looks the entry up in between would bring it back.
                let is_gone = inner.remove_from_backend(&id).await;
                let report = inner.tell_all(PurgeCall(Order::Id(id))).await;
                inner.purge_database(Gone::Entry(id)).await;
                if !is_gone {
                    return Err(PurgeError::Backend { id });
                }
                return if report.unreached.is_empty() {
                    Ok(report)
                } else {
                    Err(PurgeError::Unreached { id, report })
                };
            }
            Purge::Scope(scope) => Target::Scope(scope.digest(key)),
            Purge::Name(name) => Target::Name(name_digest(key, &name)),
            Purge::Namespace(scope, name) => Target::Namespace(NamespaceId::new(key, &scope, &name)),
            Purge::All => Target::All,
        };
        let generation = inner.generations.raise(target, inner.config.clock.now_ms());
        // First for those who cannot be told now, and for those who come later.
        inner.publish_news().await;
        let report = inner.tell_all(PurgeCall(Order::Generation { target, generation })).await;
        match target {
            Target::All => inner.purge_database(Gone::All).await,
            Target::Namespace(namespace) => inner.purge_database(Gone::Namespace(namespace)).await,
            // What a database still finds of these is below its generation.
            Target::Scope(_) | Target::Name(_) => {}
        }
        Ok(report)
    }

    /// Takes over the purges that others have published. What this node knows, from this or from a peer's call, it
    /// publishes too, so that a purge outlives the node that ordered it.
    pub async fn learn_generations<'a>(&self, published: impl IntoIterator<Item = &'a str>) {
        let now_ms = self.inner.config.clock.now_ms();
        for text in published {
            self.inner.generations.learn(&GenerationMap::parse(text), now_ms);
        }
        self.inner.publish_news().await;
    }
}

impl Inner {
    /// Does what a purge says at this node; tells whether the entry was here.
    pub(super) fn carry_out(&self, order: Order) -> bool {
        self.counters.purges.add();
        match order {
            Order::Id(id) => {
                self.forget_vector(&id);
                let stored = self.store.remove(&id);
                self.near.remove(&id) || stored
            }
            Order::Generation { target, generation } => {
                self.generations.learn(&[(target, generation)], self.config.clock.now_ms());
                self.purge_vectors(target);
                if target == Target::All {
                    // Not needed for the promise, but it gives the memory back.
                    self.store.clear();
                    self.near.clear();
                }
                false
            }
        }
    }

    async fn publish_news(&self) {
        for (part, text) in self.generations.news().unwrap_or_default().into_iter().enumerate() {
            if let Some(behind) = &self.behind {
                behind.owe(part, text.clone());
            }
            self.peers.publish_generations(part, text).await;
        }
    }

    async fn tell_all(&self, call: PurgeCall) -> PurgeReport {
        let held_here = self.carry_out(call.0);
        let mut report = PurgeReport { confirmed: 1, unreached: Vec::new(), held_at: usize::from(held_here) };
        let deadline = self.config.purge_deadline;
        let tell = async |peer: NodeId| {
            let answer = timeout(deadline, self.peers.purge(&peer, &call, deadline)).await;
            let answer = answer.unwrap_or_else(|_| Err(PeerError::Late(peer.clone())));
            (peer, answer)
        };
        let mut answers = pin!(stream::iter(self.peers.others()).map(tell).buffer_unordered(AT_ONCE));
        while let Some((peer, answer)) = answers.next().await {
            match answer {
                Ok(purged) => {
                    report.confirmed += 1;
                    report.held_at += usize::from(purged.held);
                }
                Err(error) => {
                    tracing::warn!(%peer, %error, "a peer was not told of a purge");
                    report.unreached.push(peer);
                }
            }
        }
        report.unreached.sort();
        report
    }
}
