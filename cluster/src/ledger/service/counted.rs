//! Who counts whom: the counting rules are told of time and of news, their records kept, and what they say is spread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::effects::Effect;
use super::entry::Entry;
use super::outbox::{Arrived, Outbox};
use super::task::{Task, unix_seconds};
use crate::actor::Actor;
use crate::ledger::counting::{self, AHEAD, Counting};
use crate::ledger::event::Event;
use crate::ledger::record::Durability;
use crate::ledger::statement::{News, Record};

/// Seconds between two tellings of news that a peer has not heard yet.
const RETELL_S: u64 = 2;
/// Seconds between two tellings of what all have heard.
const REFRESH_S: u64 = 10;

/// What is kept around the rules.
#[derive(Debug)]
pub(super) struct Counted {
    /// Records on their way to the disk, oldest first.
    pub(super) unconfirmed: VecDeque<Record>,
    /// What peers are told.
    news: Arc<News>,
    version: u64,
    /// Which version each peer has heard.
    heard: BTreeMap<Actor, u64>,
    seconds: u64,
    /// Windows that start by then had their shares when the rules last looked.
    horizon: i64,
    /// What the rules said of themselves; shares change with it.
    standing: counting::Standing,
}

impl Counted {
    pub(super) fn new(counting: &Counting) -> Counted {
        Counted {
            unconfirmed: VecDeque::new(),
            news: Arc::new(counting.gossip()),
            version: 1,
            heard: BTreeMap::new(),
            seconds: 0,
            horizon: i64::MIN,
            standing: counting.standing(),
        }
    }

    /// A peer is gone, or begins anew: it has heard nothing.
    pub(super) fn lost(&mut self, actor: &Actor) {
        self.heard.remove(actor);
    }

    pub(super) fn arrived(&mut self, arrived: Arrived) {
        if let Arrived::News(actor, version) = arrived {
            let heard = self.heard.entry(actor).or_default();
            *heard = version.max(*heard);
        }
    }

    pub(super) fn tell(&self, outbox: &mut Outbox, to: &Actor) {
        outbox.tell(to, &self.news, self.version);
    }

    pub(super) fn is_rolled_back(&self) -> bool {
        self.standing.alarms.contains(&counting::Alarm::RolledBack)
    }

    /// True when this peer has heard all that there is to tell.
    pub(super) fn has_heard(&self, actor: &Actor) -> bool {
        self.heard.get(actor) == Some(&self.version)
    }
}

impl Task {
    /// Once a second.
    pub(super) fn tick_counting(&mut self) {
        let now = unix_seconds();
        let actions = self.ledger.shares_mut().tick(now);
        self.keep(actions);
        let horizon = now.saturating_add(AHEAD);
        let before = std::mem::replace(&mut self.counted.horizon, horizon);
        // A counter of a window that was too far ahead when it was opened, by a peer's clock, has its share now.
        let is_due = |start: i64| before < start && start <= horizon;
        if before < horizon && self.ledger.counters().keys().any(|counter| is_due(counter.window_start)) {
            self.step(Event::SharesChanged);
        }
        self.counted.seconds += 1;
        let refresh = self.counted.seconds.is_multiple_of(REFRESH_S);
        if refresh {
            self.slots.let_go();
        }
        if self.counted.seconds.is_multiple_of(RETELL_S) {
            let due: Vec<&Actor> = self.live.keys().filter(|actor| refresh || !self.counted.has_heard(actor)).collect();
            for actor in due {
                self.counted.tell(&mut self.outbox, actor);
            }
        }
    }

    pub(super) fn on_news(&mut self, news: &News) {
        match self.ledger.shares_mut().receive(news, unix_seconds()) {
            Ok(actions) => self.keep(actions),
            Err(error) => self.watched.complain(&self.clock.now(), &error),
        }
    }

    /// So many records are durable.
    pub(super) fn on_counted(&mut self, records: usize) {
        self.ledger.shares_mut().persisted(records);
        self.counted.unconfirmed.drain(..records.min(self.counted.unconfirmed.len()));
        self.keep(counting::Actions::default());
        self.publish();
    }

    /// Writes what the rules want kept, and lets follow what follows.
    pub(super) fn keep(&mut self, actions: counting::Actions) {
        let records = actions.persist.len();
        for record in actions.persist {
            self.counted.unconfirmed.push_back(record.clone());
            self.write(&Entry::Counting(record), Durability::Durable);
        }
        let standing = self.ledger.shares().standing();
        if standing != self.counted.standing {
            self.counted.standing = standing;
            self.step(Event::SharesChanged);
        }
        let news = self.ledger.shares().gossip();
        if news != *self.counted.news {
            self.counted.news = Arc::new(news);
            self.counted.version += 1;
            for actor in self.live.keys() {
                self.counted.tell(&mut self.outbox, actor);
            }
        }
        if records > 0 {
            self.then(Effect::Counted(records));
        }
    }
}
