//! What drives a node: tells the ledger and the counting rules what happens, and does what they want, in their order.

use super::disk::Line;
use super::network::Payload;
use super::node::Guard;
use super::oracle::{Checked, ensure};
use super::rng::Rng;
use super::world::World;
use crate::actor::Actor;
use crate::ledger::counting::{Actions, Alarm as CountingAlarm, Counting};
use crate::ledger::event::{Action, Alarm, Event};
use crate::ledger::ledger::LedgerConfig;
use crate::ledger::record::{Durability, Record as LedgerRecord};
use crate::ledger::reservation::ReservationId;
use crate::ledger::statement::{News, Record};

impl World {
    /// Tells a ledger, and then also what follows from it: what was drawn, and that its shares may be others.
    pub(super) fn happen(&mut self, rng: Option<&mut Rng>, at: usize, event: Event) -> Checked {
        self.tell(rng, at, event)?;
        while let Some(process) = &mut self.nodes[at].process {
            let next = match process.drawn.pop() {
                Some(id) => Event::Drawn { id },
                None if std::mem::take(&mut process.shares_changed) => Event::SharesChanged,
                None => break,
            };
            self.tell(None, at, next)?;
        }
        Ok(())
    }

    /// Tells a ledger and does what it wants; sometimes the node dies in the middle of that.
    fn tell(&mut self, rng: Option<&mut Rng>, at: usize, event: Event) -> Checked {
        let now = self.now(at);
        let Some(process) = self.nodes[at].process.as_mut() else { return Ok(()) };
        let told = self.trace.is_some().then(|| format!("{event:?}"));
        let actions = process.ledger.step(now, event);
        if let Some(told) = told.filter(|told| told != "Tick" || !actions.is_empty()) {
            self.note(|| format!("{} {at}: {told}\n      -> {actions:?}", now.mono_ms));
        }
        if let Some(rng) = rng
            && !actions.is_empty()
            && rng.below(400) == 0
        {
            self.oracle.note_limits(&self.nodes[at]);
            let done = rng.index(actions.len());
            self.perform(at, actions.into_iter().take(done), false)?;
            self.crash(rng, at);
            return Ok(());
        }
        self.perform(at, actions.into_iter(), true)?;
        if self.nodes[at].process.as_ref().is_some_and(|process| !process.drawn.is_empty()) {
            return Ok(());
        }
        self.oracle.check(&self.nodes[at])
    }

    fn perform(&mut self, at: usize, actions: impl Iterator<Item = Action>, whole: bool) -> Checked {
        let mut sync = false;
        for action in actions {
            if let Action::Persist { record, durability } = action {
                if let LedgerRecord::Given { .. } = record {
                    self.tally.note("gifts");
                }
                self.nodes[at].write(Line::Ledger(record));
                sync |= durability == Durability::Durable;
                continue;
            }
            if std::mem::take(&mut sync) {
                self.sync(at, usize::MAX);
            }
            match action {
                Action::Persist { .. } => {}
                Action::Send { to, message } => self.send(at, to, Payload::Ledger(message)),
                Action::Granted(id) => self.granted(at, id)?,
                Action::Denied { id, .. } => {
                    if let Some(process) = &mut self.nodes[at].process {
                        process.asked.remove(&id);
                    }
                    self.verdicts.insert(id, false);
                    self.tally.note("denied");
                }
                Action::Opened { counter, amount } => self.opened(at, counter, amount)?,
                Action::Alarm(alarm) => self.on_alarm(at, alarm)?,
            }
        }
        if sync && whole {
            self.sync(at, usize::MAX);
        }
        Ok(())
    }

    fn on_alarm(&mut self, at: usize, alarm: Alarm) -> Checked {
        match alarm {
            Alarm::LostReservation(id) => self.lost_reservation(at, id),
            Alarm::RolledBack { .. } if self.oracle.lives.get(self.nodes[at].who).astray => {
                self.nodes[at].ousted = true;
                self.tally.note("old copies noticed by rows");
                Ok(())
            }
            alarm => Err(format!("I5: an honest cluster raised {alarm:?} at {at}")),
        }
    }

    /// It was held for longer than any request takes, and is charged in full by now.
    fn lost_reservation(&mut self, at: usize, id: ReservationId) -> Checked {
        let (now, who) = (self.mono_ms, self.nodes[at].who);
        let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
        let is_it = |guard: &Guard| matches!(guard, Guard::Asked(guard) if guard.id() == id);
        let index = process.running.iter().position(|(guard, _)| is_it(guard));
        let (guard, dispatched) = process.running.swap_remove(index.ok_or("I7: one was lost that nobody held")?);
        std::mem::forget(guard);
        self.tally.note("lost reservations");
        self.oracle.charged_in_full(who, &dispatched);
        ensure(now - dispatched.since > LedgerConfig::default().max_hold_ms, || {
            format!("I7: {id} was lost though it was held")
        })
    }

    /// The disk is done with the next `count` lines.
    pub(super) fn sync(&mut self, at: usize, count: usize) {
        let done = self.nodes[at].disk.sync(count);
        if done.is_empty() {
            return;
        }
        self.note(|| format!("{at}: durable {done:?}"));
        self.note_forgotten(&done);
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return };
        process.ledger.shares_mut().persisted(done.len());
        process.shares_changed = true;
        self.tally.note("counting records");
        if !self.oracle.lives.get(node.who).astray {
            self.oracle.parts.plan(node.who, &process.ledger.shares);
        }
    }

    /// From when it is on somebody's disk, an actor is forgotten.
    pub(super) fn note_forgotten(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Forgotten(actor, from) = record {
                self.tally.note("forgotten");
                let lives = self.nodes.iter().any(|node| node.actor == *actor && node.process.is_some());
                self.oracle.lives.forget(actor, *from, lives || self.mix.far_clocks);
            }
        }
    }

    /// The disk is done with a few lines, or all, or has them in their short form.
    pub(super) fn write_back(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let some = [1, 2, 3, usize::MAX][rng.index(4)];
        self.sync(at, some);
        let node = &mut self.nodes[at];
        if node.disk.buffered() == 0
            && let Some(process) = &node.process
            && rng.percent(30)
        {
            node.disk.compact(&process.ledger);
        }
        self.tell_shares(at)
    }

    pub(super) fn tell_shares(&mut self, at: usize) -> Checked {
        let changed = self.nodes[at].process.as_ref().is_some_and(|process| process.shares_changed);
        if changed { self.happen(None, at, Event::SharesChanged) } else { Ok(()) }
    }

    pub(super) fn hear(&mut self, rng: Option<&mut Rng>, at: usize, news: &News) -> Checked {
        self.count(rng, at, |counting, now| counting.receive(news, now).expect("correct peers are believed"))
    }

    /// The counting rules do something; the disk may or may not be done with it before the next step.
    pub(super) fn count(
        &mut self,
        rng: Option<&mut Rng>,
        at: usize,
        what: impl FnOnce(&mut Counting, i64) -> Actions,
    ) -> Checked {
        let now = self.now(at).unix;
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return Ok(()) };
        let counting = process.ledger.shares_mut();
        let (before, horizon) = (counting.pending.len(), counting.horizon());
        let actions = what(counting, now);
        if let Some(trace) = self.trace.as_mut().filter(|_| !actions.persist.is_empty()) {
            trace.push(format!("{at} at {now}: {:?}", actions.persist));
        }
        assert_eq!(before + actions.persist.len(), counting.pending.len(), "actions tell all that is pending");
        let reached = horizon..counting.horizon();
        if !self.oracle.lives.get(node.who).astray {
            self.oracle.parts.use_all(node.who, reached.end);
            if !actions.persist.is_empty() {
                self.oracle.parts.plan(node.who, counting);
            }
        }
        // Windows that come into reach have shares from now on.
        let counters = process.ledger.counters().keys();
        process.shares_changed |=
            counters.map(|id| id.window_start).any(|start| reached.start < start && start <= reached.end);
        process.shares_changed |= !actions.persist.is_empty();
        let wrote = !actions.persist.is_empty();
        for record in actions.persist {
            node.write(Line::Counting(record));
        }
        match (rng.filter(|_| wrote), wrote) {
            (Some(rng), _) => match rng.below(100) {
                0 => self.crash(rng, at),
                1..40 => {}
                _ => self.sync(at, usize::MAX),
            },
            (None, true) => self.sync(at, usize::MAX),
            (None, false) => {}
        }
        self.watch_alarms(at)?;
        self.tell_shares(at)
    }

    fn watch_alarms(&mut self, at: usize) -> Checked {
        let Some(counting) = self.nodes[at].counting() else { return Ok(()) };
        for alarm in counting.alarms() {
            let who: &Actor = &self.nodes[at].actor;
            match alarm {
                CountingAlarm::Forgotten(_) if self.oracle.lives.is_forgotten(who) => self.nodes[at].ousted = true,
                // It does not know any more whom it counted.
                CountingAlarm::TwoBeginnings(_) if self.oracle.lives.get(self.nodes[at].who).astray => {}
                // Its ledger still holds what others gave it, so the node must stop at once.
                CountingAlarm::RolledBack if self.oracle.lives.get(self.nodes[at].who).astray => {
                    self.tally.note("old copies noticed by statements");
                    self.kill(at);
                }
                alarm => return Err(format!("I5: an honest cluster raised {alarm:?} at {who}")),
            }
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, rng: &mut Rng, at: usize) -> Checked {
        self.count(Some(rng), at, Counting::tick)?;
        self.happen(Some(rng), at, Event::Tick)
    }

    pub(super) fn tick_all(&mut self) -> Checked {
        for at in 0..self.nodes.len() {
            self.count(None, at, Counting::tick)?;
            self.happen(None, at, Event::Tick)?;
        }
        Ok(())
    }
}
