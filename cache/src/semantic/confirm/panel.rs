//! Asks those that are configured, one after the other, and all must agree: who costs nothing first, so that who costs
//! money is asked about what the other has not refused.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::memory::{Key, Memory};
use super::rest::Rest;
use super::{Confirm, ConfirmError, Confirmer, PromptPair};
use crate::identity::NamespaceId;

/// Questions under way on this node. One more is not asked.
const AT_ONCE: usize = 64;

/// What became of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfirmStats {
    /// Answered: it serves.
    pub agreed: u64,
    /// Answered: it does not.
    pub refused: u64,
    /// Failed, or late.
    pub failed: u64,
    /// Not asked: nobody could pay, too many were under way, or it rests after a failure.
    pub unasked: u64,
    /// Of the answers: those that were remembered.
    pub remembered: u64,
}

/// What those that are configured say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Opinion {
    /// All agree; the last of them.
    Agrees(Confirmer),
    /// This one does not.
    Refuses(Confirmer),
    /// There is none, or one of them gave no answer.
    None,
}

#[derive(Debug, Default)]
struct Counters {
    agreed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    unasked: AtomicU64,
    remembered: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
pub(crate) struct Panel {
    memory: Memory,
    under_way: Semaphore,
    rests: [Rest; Confirmer::ALL.len()],
    counters: [Counters; Confirmer::ALL.len()],
}

impl Panel {
    pub(crate) fn new() -> Self {
        let under_way = Semaphore::new(AT_ONCE);
        Self { memory: Memory::new(), under_way, rests: Default::default(), counters: Default::default() }
    }

    pub(crate) fn stats(&self, of: Confirmer) -> ConfirmStats {
        let counters = &self.counters[of as usize];
        let [agreed, refused, failed, unasked, remembered] =
            [&counters.agreed, &counters.refused, &counters.failed, &counters.unasked, &counters.remembered]
                .map(|counter| counter.load(Ordering::Relaxed));
        ConfirmStats { agreed, refused, failed, unasked, remembered }
    }

    /// The word of all of them, who are in the order of [`Confirmer::ALL`].
    pub(crate) async fn ask(
        &self,
        namespace: &NamespaceId,
        confirmers: impl IntoIterator<Item = &dyn Confirm>,
        pair: PromptPair<'_>,
    ) -> Opinion {
        let mut opinion = Opinion::None;
        for confirm in confirmers {
            opinion = match self.answer(namespace, confirm, pair).await {
                Some(sure) if sure >= confirm.threshold() => Opinion::Agrees(confirm.kind()),
                Some(_) => return Opinion::Refuses(confirm.kind()),
                None => return Opinion::None,
            };
        }
        opinion
    }

    /// How sure one of them is; none: it gave no answer.
    pub(crate) async fn answer(
        &self,
        namespace: &NamespaceId,
        confirm: &dyn Confirm,
        pair: PromptPair<'_>,
    ) -> Option<f32> {
        let counters = &self.counters[confirm.kind() as usize];
        let key = Key::of(namespace, confirm, pair);
        let sure = match self.memory.get(&key) {
            Some(sure) => {
                count(&counters.remembered);
                sure
            }
            None => {
                let sure = self.question(confirm, pair).await?;
                self.memory.keep(key, sure);
                sure
            }
        };
        count(if sure >= confirm.threshold() { &counters.agreed } else { &counters.refused });
        Some(sure)
    }

    async fn question(&self, confirm: &dyn Confirm, pair: PromptPair<'_>) -> Option<f32> {
        let (kind, model) = (confirm.kind().as_str(), confirm.model());
        let (rest, counters) = (&self.rests[confirm.kind() as usize], &self.counters[confirm.kind() as usize]);
        let Some(_permit) = self.under_way.try_acquire().ok().filter(|_| rest.is_over()) else {
            count(&counters.unasked);
            return None;
        };
        let failure = match timeout(confirm.deadline(), confirm.confirm(pair)).await {
            Ok(Ok(sure)) if (0.0..=1.0).contains(&sure) => {
                rest.well();
                return Some(sure);
            }
            Ok(Ok(sure)) => format!("its answer is {sure}, which is no probability"),
            Ok(Err(ConfirmError::Declined(why))) => {
                tracing::debug!(kind, model, why, "a second opinion was not asked for");
                count(&counters.unasked);
                return None;
            }
            Ok(Err(ConfirmError::Failed(why))) => why,
            Err(_) => format!("no answer within {:?}", confirm.deadline()),
        };
        tracing::warn!(kind, model, failure, "no second opinion; going on with the guard's own");
        count(&counters.failed);
        rest.failed();
        None
    }
}
