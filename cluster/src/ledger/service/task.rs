//! The one task that owns the ledger: everything that happens comes to it in some order, and it alone reads the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::counted::Counted;
use super::effects::{Effect, Effects, is_lost};
use super::entry::Entry;
use super::forgetting::{ForgetError, Forgotten};
use super::log::{BoxFutureOf, Log, Outcome};
use super::messages::Viewed;
use super::outbox::{Arrived, Outbox};
use super::parting::Parting;
use super::slices::{Handed, Recall};
use super::slots::Slots;
use super::status::{LedgerStatus, Watched};
use crate::actor::Actor;
use crate::identity::{Generation, NodeId};
use crate::ledger::allowance::{AllowanceId, CounterId};
use crate::ledger::counting::Counting;
use crate::ledger::event::{Action, Event, Message, Now};
use crate::ledger::hot::{Hold, Slice, Slot};
use crate::ledger::ledger::Ledger;
use crate::ledger::record::Durability;
use crate::ledger::reservation::{Denial, ReservationId, ReservationIds};
use crate::ledger::statement::News;

/// How often slices are looked at.
const SWEEP: Duration = Duration::from_millis(50);
/// The ledger wants to hear of the time at least so often.
const TICK: Duration = Duration::from_millis(100);
/// The counting rules and the status.
const SECOND: Duration = Duration::from_secs(1);
/// Between two looks at the clock, whatever is due.
const LEAST: Duration = Duration::from_millis(1);
/// Before a journal whose queue is full is asked again.
const FULL: Duration = Duration::from_millis(20);

/// Both clocks.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        Now { unix: unix_seconds(), mono_ms: self.start.elapsed().as_millis() as u64 }
    }

    fn at(&self, mono_ms: u64) -> Instant {
        self.start + Duration::from_millis(mono_ms)
    }
}

/// The wall clock; before 1970 it is 1970.
pub(super) fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// What this node wants of its ledger.
#[derive(Debug)]
pub(super) enum Command {
    /// What the data plane could not take by itself.
    Hold { parts: Vec<(Arc<Slot>, u64)>, reply: oneshot::Sender<Result<Hold, Denial>> },
    /// Who can be reached.
    Live(BTreeMap<Actor, Generation>),
    /// The counters in their current windows, as this node sees them.
    View { after: Option<CounterId>, reply: oneshot::Sender<Viewed> },
    /// Drop a dead node from windows to come.
    Forget { node: NodeId, reply: oneshot::Sender<Result<Forgotten, ForgetError>> },
    /// The end.
    Close { parting: Parting, reply: oneshot::Sender<()> },
}

/// What a peer says; it has a queue of its own, so that peers cannot keep this node's requests out.
#[derive(Debug)]
pub(super) enum Said {
    Message { from: Actor, to: Actor, message: Message },
    News(News),
}

/// A request that waits for the ledger.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) parts: Vec<Wanted>,
    pub(super) reply: oneshot::Sender<Result<Hold, Denial>>,
}

/// One part of it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) counter: CounterId,
    pub(super) slot: Arc<Slot>,
    pub(super) amount: u64,
    /// Where it has been taken from already; the ledger is not asked for it.
    pub(super) taken: Option<Arc<Slice>>,
}

impl Waiting {
    /// It comes to nothing: what was taken for it goes back.
    pub(super) fn deny(self, denial: Denial) {
        let taken = self.parts.into_iter().filter_map(|part| Some((part.taken?, part.amount)));
        Hold::granted(taken.collect()).release();
        // Who asked may have given up.
        let _ = self.reply.send(Err(denial));
    }
}

/// The ledger with its hands and ears.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) me: Actor,
    pub(super) clock: Clock,
    pub(super) ledger: Ledger<Counting>,
    pub(super) log: Log,
    pub(super) effects: Effects,
    pub(super) outbox: Outbox,
    pub(super) counted: Counted,
    pub(super) slots: Arc<Slots>,
    pub(super) slices: BTreeMap<CounterId, Handed>,
    /// The counters whose slices are in their slots.
    pub(super) current: BTreeMap<AllowanceId, CounterId>,
    pub(super) ids: ReservationIds,
    pub(super) waiting: BTreeMap<ReservationId, Waiting>,
    pub(super) live: BTreeMap<Actor, Generation>,
    pub(super) watched: Watched,
    pub(super) status: watch::Sender<Arc<LedgerStatus>>,
    pub(super) closing: bool,
    pub(super) next_sweep: Instant,
    pub(super) next_tick: Instant,
    pub(super) next_second: Instant,
}

/// Where things come from.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) said: mpsc::Receiver<Said>,
}

enum Turn {
    Durable(Outcome),
    Arrived(Arrived),
    Command(Option<Command>),
    Said(Said),
    Changed,
    Time,
}

impl Task {
    /// Runs until it is closed, or until nobody is left who could ask for anything.
    pub(super) async fn run(mut self, mut inbox: Inbox) {
        self.on_second();
        loop {
            match self.turn(&mut inbox).await {
                Turn::Command(None) => return,
                Turn::Command(Some(Command::Close { parting, reply })) => {
                    self.close(parting, &mut inbox.said).await;
                    // Dropping the queue drains it once, and what is being sent at that moment would lie in it for
                    // ever, with somebody waiting for its answer.
                    inbox.commands.close();
                    while inbox.commands.recv().await.is_some() {}
                    // Who does not wait for the end does not need to hear of it.
                    let _ = reply.send(());
                    return;
                }
                Turn::Command(Some(command)) => self.on_command(command),
                Turn::Said(said) => self.on_said(said),
                Turn::Durable(outcome) => self.on_durable(outcome),
                Turn::Arrived(arrived) => self.counted.arrived(arrived),
                Turn::Changed => self.take_changes(),
                Turn::Time => self.on_time(),
            }
        }
    }

    async fn turn(&mut self, inbox: &mut Inbox) -> Turn {
        let due = self.due();
        let Task { effects, outbox, slots, .. } = self;
        tokio::select! {
            outcome = effects.first(), if !effects.is_empty() => Turn::Durable(outcome),
            () = sleep_until(due) => Turn::Time,
            arrived = outbox.next(), if !outbox.is_empty() => Turn::Arrived(arrived),
            () = slots.changed() => Turn::Changed,
            command = inbox.commands.recv() => Turn::Command(command),
            Some(said) = inbox.said.recv() => Turn::Said(said),
        }
    }

    fn due(&self) -> Instant {
        let sweep = (!self.slices.is_empty()).then_some(self.next_sweep);
        let ledger = self.clock.at(self.ledger.next_deadline()).max(Instant::now() + LEAST);
        [Some(self.next_tick.min(ledger)), sweep, Some(self.next_second)]
            .into_iter()
            .flatten()
            .fold(ledger, Instant::min)
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Hold { parts, reply } => self.on_hold(parts, reply),
            Command::Live(live) => self.on_live(live),
            Command::View { after, reply } => {
                // Who asked may have given up.
                let _ = reply.send(self.viewed(after));
            }
            Command::Forget { node, reply } => self.on_forget(&node, reply),
            Command::Close { .. } => {}
        }
    }

    pub(super) fn on_said(&mut self, said: Said) {
        // A peer may have heard of an allowance through the same change of configuration.
        self.take_changes();
        match said {
            Said::Message { message: Message::Ask { counter, .. }, .. } if self.is_opening(&counter) => {
                self.then(Effect::Said(said));
            }
            said => self.hear(said),
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Message { from, to, message } => {
                if let Message::Ask { counter, urgency, .. } = &message {
                    self.make_room(*counter, *urgency);
                }
                self.step(Event::Peer { from, to, message });
            }
            Said::News(news) => self.on_news(&news),
        }
    }

    /// Tells the ledger of limits that are new or others.
    pub(super) fn take_changes(&mut self) {
        for allowance in self.slots.changes() {
            let now = self.clock.now();
            // What lies open by the old limit may be beyond the new one.
            self.take_back(now, allowance.counter(now.unix), Recall::All);
            self.step_at(now, Event::LimitChanged(allowance));
            self.may_refill(&allowance.counter(now.unix));
        }
    }

    /// Who can be reached. One that comes back as another process has forgotten what it heard.
    fn on_live(&mut self, live: BTreeMap<Actor, Generation>) {
        let before = std::mem::replace(&mut self.live, live);
        let gone: Vec<Actor> = before.keys().filter(|actor| !self.live.contains_key(*actor)).cloned().collect();
        let came: Vec<Actor> = self
            .live
            .iter()
            .filter(|(actor, generation)| before.get(*actor) != Some(*generation))
            .map(|(actor, _)| actor.clone())
            .collect();
        for actor in gone {
            self.counted.lost(&actor);
            self.step(Event::PeerGone(actor));
        }
        for actor in came {
            self.counted.lost(&actor);
            self.counted.tell(&mut self.outbox, &actor);
            self.step(Event::PeerSeen(actor));
        }
        self.publish();
    }

    pub(super) fn on_time(&mut self) {
        let now = Instant::now();
        if self.next_tick <= now || self.clock.at(self.ledger.next_deadline()) <= now {
            self.next_tick = now + TICK;
            self.step(Event::Tick);
            self.log.poll_snapshot();
            if self.log.wants_snapshot() {
                let entries = self.snapshot();
                self.log.take_snapshot(&entries);
            }
        }
        if self.next_sweep <= now {
            self.next_sweep = now + SWEEP;
            self.sweep();
        }
        if self.next_second <= now {
            self.on_second();
        }
    }

    fn on_second(&mut self) {
        self.next_second = Instant::now() + SECOND;
        self.tick_counting();
        self.publish();
    }

    /// Everything that happens to the ledger happens here.
    pub(super) fn step(&mut self, event: Event) {
        let now = self.clock.now();
        self.step_at(now, event);
    }

    pub(super) fn step_at(&mut self, now: Now, event: Event) {
        let actions = self.ledger.step(now, event);
        self.carry_out(actions);
    }

    /// In their order, as far as there is nothing to wait for.
    pub(super) fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Persist { record, durability } = action {
                self.write(&Entry::Ledger(record), durability);
            } else {
                self.then(Effect::Do(action));
            }
        }
    }

    /// Puts a record on its way to the disk. The order of the records is that of the calls.
    pub(super) fn write(&mut self, entry: &Entry, durability: Durability) {
        match durability {
            Durability::Buffered => self.log.append(entry),
            Durability::Durable => {
                if let Some(record) = self.log.append_durable(entry) {
                    self.effects.wait_for(record);
                }
            }
        }
    }

    /// Does it when all that was written before is durable.
    pub(super) fn then(&mut self, effect: Effect) {
        let may_be_lost = matches!(effect, Effect::Do(Action::Send { .. }) | Effect::Said(_));
        if may_be_lost && self.effects.is_full() {
            return;
        }
        if let Some(effect) = self.effects.after(effect) {
            self.run_effect(effect);
        }
    }

    pub(super) fn on_durable(&mut self, outcome: Outcome) {
        if is_lost(&outcome) {
            // The record is in the state, so a snapshot has it.
            if let Some(BoxFutureOf(snapshot)) = self.log.write_snapshot(&self.snapshot()) {
                self.effects.instead(BoxFutureOf(Box::pin(async move {
                    let outcome = snapshot.await;
                    if is_lost(&outcome) {
                        tokio::time::sleep(FULL).await;
                    }
                    outcome
                })));
                return;
            }
        }
        for effect in self.effects.passed() {
            self.run_effect(effect);
        }
    }

    fn run_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Do(Action::Send { to, message }) => self.outbox.send(&to, message),
            Effect::Do(Action::Granted(id)) => self.on_granted(id),
            Effect::Do(Action::Denied { id, denial }) => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    waiting.deny(denial);
                }
            }
            Effect::Do(Action::Opened { counter, amount }) => self.on_opened(counter, amount),
            Effect::Do(Action::Alarm(alarm)) => self.on_alarm(&alarm),
            // Records are written when they come.
            Effect::Do(Action::Persist { .. }) => {}
            Effect::Counted(records) => self.on_counted(records),
            Effect::Tell(reply) => {
                let _ = reply.send(());
            }
            Effect::Hold(parts, reply) => self.ask_ledger(parts, reply),
            Effect::Said(said) => self.hear(said),
        }
    }

    /// All that the journal must know: of the counting also what it was given and has not confirmed.
    pub(super) fn snapshot(&self) -> Vec<Entry> {
        let ledger = self.ledger.snapshot().into_iter().map(Entry::Ledger);
        let counting = self.ledger.shares().records().into_iter();
        let unconfirmed: VecDeque<_> = self.counted.unconfirmed.clone();
        ledger.chain(counting.chain(unconfirmed).map(Entry::Counting)).collect()
    }

    /// True when peers know more of this actor than its journal: of its counters, or of whom it counts.
    pub(super) fn is_fenced(&self) -> bool {
        self.ledger.is_fenced() || self.counted.is_rolled_back()
    }

    /// The nodes that can be reached.
    pub(super) fn live_nodes(&self) -> BTreeSet<NodeId> {
        self.live.keys().map(|actor| actor.node.clone()).collect()
    }
}
