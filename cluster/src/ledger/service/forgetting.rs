//! Forgetting a dead node: its part of windows to come goes to the living. The one step with a bound in place of a
//! guarantee, and the bound is told.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::effects::Effect;
use super::parts::part_of;
use super::task::Task;
use crate::actor::Actor;
use crate::identity::NodeId;
use crate::ledger::allowance::Unit;
use crate::ledger::counting;
use crate::ledger::share::share;
use crate::ledger::statement::Record;

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The actors, with the first window start (unix seconds) in which each has no share.
    pub actors: Vec<(Actor, i64)>,
    /// If one of them still lives where it cannot be seen, at most so much is spent beyond the limits: its unused rights
    /// as far as they are known here.
    pub bound: BTreeMap<Unit, u64>,
}

/// Why nothing was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// It is there.
    #[error("{0} is live: let it leave, or stop it first")]
    Live(NodeId),
    /// No actor of that name is counted.
    #[error("no incarnation of {0} is counted here: nothing of a limit is kept for it")]
    Unknown(NodeId),
    /// The rules say no.
    #[error(transparent)]
    Rules(#[from] counting::ForgetError),
    /// The service has ended.
    #[error("the ledger is closed")]
    Closed,
}

impl Task {
    pub(super) fn on_forget(&mut self, node: &NodeId, reply: oneshot::Sender<Result<Forgotten, ForgetError>>) {
        match self.forget(node) {
            Err(error) => {
                let _ = reply.send(Err(error));
            }
            Ok(forgotten) => {
                for (actor, from) in &forgotten.actors {
                    tracing::warn!(%actor, from, bound = ?forgotten.bound, "forgotten");
                }
                // It is answered when a crash cannot make it undone.
                let (durable, waits) = oneshot::channel();
                self.then(Effect::Tell(durable));
                tokio::spawn(async move {
                    let answer = waits.await.map(|()| forgotten).map_err(|_| ForgetError::Closed);
                    let _ = reply.send(answer);
                });
            }
        }
    }

    fn forget(&mut self, node: &NodeId) -> Result<Forgotten, ForgetError> {
        let counted: Vec<Actor> = self.ledger.shares().standing().counted.into_iter().map(|peer| peer.actor).collect();
        let of_node = counted.into_iter().filter(|actor| actor.node == *node);
        let (live, dead): (Vec<Actor>, Vec<Actor>) =
            of_node.partition(|actor| *actor == self.me || self.live.contains_key(actor));
        if dead.is_empty() {
            let is_live = !live.is_empty() || self.live_nodes().contains(node) || *node == self.me.node;
            return Err(if is_live { ForgetError::Live(node.clone()) } else { ForgetError::Unknown(node.clone()) });
        }
        let bound = self.bound(&dead);
        let now = self.clock.now().unix;
        let mut forgotten = Vec::new();
        let mut refused = None;
        for actor in dead {
            match self.ledger.shares_mut().forget(&actor, now) {
                Ok(actions) => {
                    let from = actions.persist.iter().find_map(|record| match record {
                        Record::Forgotten(_, from) => Some(*from),
                        _ => None,
                    });
                    self.keep(actions);
                    forgotten.extend(from.map(|from| (actor, from)));
                }
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if forgotten.is_empty() => Err(error.into()),
            _ => Ok(Forgotten { actors: forgotten, bound }),
        }
    }

    /// The unused rights of these actors in windows that run.
    fn bound(&self, actors: &[Actor]) -> BTreeMap<Unit, u64> {
        let now = self.clock.now().unix;
        let mut bound: BTreeMap<Unit, u64> = BTreeMap::new();
        for slot in self.slots.all() {
            let allowance = slot.allowance();
            let id = allowance.counter(now);
            // Also of one that was never heard to have a share: its last words may have been lost.
            let counted = self.ledger.shares().counted(id.window_start);
            for actor in actors {
                let share = share(&id, allowance.limit, actor, &counted);
                let rights =
                    self.ledger.counters().get(&id).map_or(share, |counter| part_of(counter, actor, share).rights);
                let sum = bound.entry(allowance.unit).or_default();
                *sum = sum.saturating_add(rights);
            }
        }
        bound
    }
}
