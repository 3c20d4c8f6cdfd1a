//! What the ledger wants done, in its order: nothing is sent or granted before the record that it leans on is durable.
//!
//! Records go to the journal at once; what comes behind a durable one waits here for the disk, while the ledger goes on.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::log::{BoxFutureOf, Outcome};
use super::task::Said;
use crate::journal::WriteError;
use crate::ledger::event::Action;
use crate::ledger::hot::{Hold, Slot};
use crate::ledger::reservation::Denial;

/// With so much that waits for a disk that does not answer, requests are refused and messages lost.
const MAX_WAITING: usize = 1 << 16;

/// Something to do once all records before it are durable.
#[derive(Debug)]
pub(super) enum Effect {
    /// Of the ledger.
    Do(Action),
    /// So many records of the counting rules are durable.
    Counted(usize),
    /// Somebody waits for what was written before.
    Tell(oneshot::Sender<()>),
    /// A request that needs what is about to be opened.
    Hold(Vec<(Arc<Slot>, u64)>, oneshot::Sender<Result<Hold, Denial>>),
    /// A peer that needs it.
    Said(Said),
}

#[derive(Debug)]
enum Item {
    Wait(BoxFutureOf<Outcome>),
    Then(Effect),
}

/// Effects that wait for the disk.
#[derive(Debug, Default)]
pub(super) struct Effects {
    queue: VecDeque<Item>,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// True when the disk has not answered for so long that no more should wait for it.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_WAITING
    }

    /// All that comes after this waits for it.
    pub(super) fn wait_for(&mut self, record: BoxFutureOf<Outcome>) {
        self.queue.push_back(Item::Wait(record));
    }

    /// Gives the effect back when there is nothing to wait for.
    pub(super) fn after(&mut self, effect: Effect) -> Option<Effect> {
        if self.queue.is_empty() {
            return Some(effect);
        }
        self.queue.push_back(Item::Then(effect));
        None
    }

    /// Waits for the first record in the queue. It is only let go by [`Effects::passed`], so this may be dropped.
    pub(super) async fn first(&mut self) -> Outcome {
        match self.queue.front_mut() {
            Some(Item::Wait(record)) => (&mut record.0).await,
            // An effect is never first: it is taken out with the record before it.
            Some(Item::Then(_)) | None => std::future::pending().await,
        }
    }

    /// The first record has come to an end: what may be done now, in order.
    pub(super) fn passed(&mut self) -> Vec<Effect> {
        self.queue.pop_front();
        let mut due = Vec::new();
        while let Some(Item::Then(_)) = self.queue.front() {
            if let Some(Item::Then(effect)) = self.queue.pop_front() {
                due.push(effect);
            }
        }
        due
    }

    /// The first record was refused; all that waits for it waits for this one, which says the same and more.
    pub(super) fn instead(&mut self, record: BoxFutureOf<Outcome>) {
        self.queue.pop_front();
        self.queue.push_front(Item::Wait(record));
    }
}

/// True when the record is in no log, so that nothing that leans on it may be done. A journal without a disk counts its
/// records and says that it is degraded; with that the ledger goes on.
pub(super) fn is_lost(outcome: &Outcome) -> bool {
    matches!(outcome, Err(WriteError::QueueFull))
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt as _;

    use super::*;
    use crate::journal::Sequence;

    fn record() -> (oneshot::Sender<Outcome>, BoxFutureOf<Outcome>) {
        let (written, outcome) = oneshot::channel();
        (written, BoxFutureOf(outcome.map(|outcome| outcome.unwrap_or(Err(WriteError::Closed))).boxed()))
    }

    #[test]
    fn nothing_overtakes_a_record_that_it_leans_on() {
        let mut effects = Effects::default();
        assert!(matches!(effects.after(Effect::Counted(1)), Some(Effect::Counted(1))), "nothing to wait for");
        let ((first, first_record), (second, second_record)) = (record(), record());
        effects.wait_for(first_record);
        assert!(effects.after(Effect::Counted(2)).is_none());
        assert!(effects.after(Effect::Counted(3)).is_none());
        effects.wait_for(second_record);
        assert!(effects.after(Effect::Counted(4)).is_none());
        assert!(effects.first().now_or_never().is_none());
        // Both are written, but one is looked at after the other.
        second.send(Ok(Sequence(2))).unwrap();
        assert!(effects.first().now_or_never().is_none());
        first.send(Ok(Sequence(1))).unwrap();
        assert_eq!(effects.first().now_or_never(), Some(Ok(Sequence(1))));
        assert!(matches!(effects.passed()[..], [Effect::Counted(2), Effect::Counted(3)]));
        assert!(effects.after(Effect::Counted(5)).is_none());
        assert_eq!(effects.first().now_or_never(), Some(Ok(Sequence(2))));
        assert!(matches!(effects.passed()[..], [Effect::Counted(4), Effect::Counted(5)]));
        assert!(effects.is_empty());
    }

    #[test]
    fn what_waits_for_a_record_that_was_refused_waits_for_the_snapshot_in_its_place() {
        let mut effects = Effects::default();
        let ((first, first_record), (snapshot, snapshot_record)) = (record(), record());
        effects.wait_for(first_record);
        assert!(effects.after(Effect::Counted(1)).is_none());
        first.send(Err(WriteError::QueueFull)).unwrap();
        let outcome = effects.first().now_or_never().unwrap();
        assert!(is_lost(&outcome) && !is_lost(&Err(WriteError::Degraded("full".into()))));
        effects.instead(snapshot_record);
        assert!(effects.first().now_or_never().is_none());
        assert!(effects.after(Effect::Counted(2)).is_none());
        snapshot.send(Ok(Sequence(9))).unwrap();
        assert!(effects.first().now_or_never().is_some());
        assert!(matches!(effects.passed()[..], [Effect::Counted(1), Effect::Counted(2)]));
    }
}
