//! A cluster of ledgers with everything that can go wrong around them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::oracle::Oracle;
use super::provider::{Dispatched, Ended};
use super::rng::Rng;
use crate::actor::Actor;
use crate::identity::{Incarnation, NodeId};
use crate::ledger::allowance::{Allowance, AllowanceId, CounterId, Tier, Unit};
use crate::ledger::event::{Action, Alarm, Charge, Event, Message, Now};
use crate::ledger::ledger::{Ledger, LedgerConfig, Shares};
use crate::ledger::record::{Durability, Record};
use crate::ledger::reservation::{Outcome, Reservation, ReservationId, ReservationIds};
use crate::ledger::window::WindowKind;

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) loss: bool,
    pub(super) duplicates: bool,
    pub(super) partitions: bool,
    pub(super) crashes: bool,
    pub(super) lost_disks: bool,
    pub(super) limit_changes: bool,
    pub(super) clock_steps: bool,
    pub(super) excess: bool,
    /// A planted bug: a node that lost its disk comes back as the actor that it was.
    pub(super) actor_reused: bool,
}

impl Faults {
    pub(super) const ALL: Faults = Faults {
        loss: true,
        duplicates: true,
        partitions: true,
        crashes: true,
        lost_disks: true,
        limit_changes: true,
        clock_steps: true,
        excess: true,
        actor_reused: false,
    };
}

/// The limit divided over the founders; nobody else has a share.
#[derive(Debug)]
pub(super) struct FixedShares {
    me: Actor,
    founders: Rc<Vec<Actor>>,
}

impl Shares for FixedShares {
    fn share(&self, counter: &CounterId, limit: u64) -> u64 {
        let n = self.founders.len();
        let Some(at) = self.founders.iter().position(|founder| *founder == self.me) else { return 0 };
        let turn = usize::try_from(counter.window_start.rem_euclid(n as i64)).unwrap();
        limit / n as u64 + u64::from((((at + turn) % n) as u64) < limit % n as u64)
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) actor: Actor,
    pub(super) ledger: Option<Ledger<FixedShares>>,
    pub(super) clock: i64,
    limits: BTreeMap<AllowanceId, Allowance>,
    disk: Vec<Record>,
    buffered: Vec<Record>,
    ids: ReservationIds,
    ended: Rc<Ended>,
    asked: BTreeMap<ReservationId, Vec<(CounterId, u64)>>,
    pub(super) running: Vec<(Reservation<Rc<Ended>>, Dispatched)>,
}

#[derive(Debug)]
struct Packet {
    from: usize,
    to: usize,
    sender: Actor,
    receiver: Actor,
    message: Message,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) oracle: Oracle,
    pub(super) allowances: Vec<Allowance>,
    pub(super) lost_disks: usize,
    pub(super) verdicts: BTreeMap<ReservationId, bool>,
    pub(super) trace: Option<Vec<String>>,
    faults: Faults,
    founders: Rc<Vec<Actor>>,
    packets: Vec<Packet>,
    cut: BTreeSet<(usize, usize)>,
    unix: i64,
    mono_ms: u64,
    lives: u64,
}

type Checked = Result<(), String>;

const BEGIN: i64 = 1_795_219_190;

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> World {
        let mut rng = Rng::new(seed, u64::MAX);
        let size = 3 + rng.index(5);
        let actors: Vec<Actor> = (0..size).map(|i| actor(i, 1)).collect();
        let founders = Rc::new(actors[..1 + rng.index(size)].to_vec());
        let windows = [WindowKind::M1, WindowKind::D1, WindowKind::Forever];
        let allowances: Vec<Allowance> = (0..2 + rng.index(2))
            .map(|i| Allowance {
                id: AllowanceId::of(Tier::Key, "k", Unit::NanoUsd, windows[i], 0),
                unit: Unit::NanoUsd,
                limit: [5, 100, 1_000, 1_000_000][rng.index(4)] + rng.below(7),
                window: windows[i],
            })
            .collect();
        let mut world = World {
            nodes: Vec::new(),
            oracle: Oracle::default(),
            allowances,
            lost_disks: 0,
            verdicts: BTreeMap::new(),
            trace: None,
            faults,
            founders,
            packets: Vec::new(),
            cut: BTreeSet::new(),
            unix: BEGIN,
            mono_ms: 1_000_000,
            lives: 1,
        };
        for actor in actors {
            let node = Node {
                actor,
                ledger: None,
                clock: 0,
                limits: world.allowances.iter().map(|allowance| (allowance.id, *allowance)).collect(),
                disk: Vec::new(),
                buffered: Vec::new(),
                ids: ReservationIds::new(0),
                ended: Rc::new(Ended::default()),
                asked: BTreeMap::new(),
                running: Vec::new(),
            };
            world.nodes.push(node);
        }
        for index in 0..size {
            world.start(index).unwrap();
        }
        world
    }

    pub(super) fn now(&self, node: usize) -> Now {
        Now { unix: self.unix + self.nodes[node].clock, mono_ms: self.mono_ms }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// One random thing happens.
    pub(super) fn step(&mut self, rng: &mut Rng) -> Checked {
        self.mono_ms += rng.below(4);
        let node = rng.index(self.nodes.len());
        match rng.below(1_000) {
            0..420 => self.deliver_one(rng),
            420..640 => self.request(rng, node),
            640..820 => self.finish_one(rng, node),
            820..900 => self.tick(rng, node),
            900..950 => {
                let ms = [20, 200, 3_000, 25_000][rng.index(4)];
                self.pass(ms);
                self.tick(rng, node)
            }
            950..960 if self.faults.crashes => self.crash(rng, node),
            960..975 => self.restart(rng, node),
            975..982 if self.faults.partitions => {
                self.repartition(rng);
                Ok(())
            }
            982..987 => self.reconnect(rng, node),
            987..994 if self.faults.limit_changes => self.change_limit(rng, node),
            994..997 if self.faults.clock_steps => {
                let seconds = [0, 0, 7, 61, 290, 3_600][rng.index(6)];
                self.nodes[node].clock = if rng.percent(50) { seconds } else { -seconds };
                self.note(|| format!("clock of {node} is off by {seconds} s, one way or the other"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let before = self.mono_ms / 1_000;
        self.mono_ms += ms;
        self.unix += i64::try_from(self.mono_ms / 1_000 - before).unwrap();
    }

    fn deliver_one(&mut self, rng: &mut Rng) -> Checked {
        if self.packets.is_empty() {
            return Ok(());
        }
        let at = rng.index(self.packets.len());
        let packet = self.packets.swap_remove(at);
        if self.cut.contains(&(packet.from, packet.to)) || (self.faults.loss && rng.percent(8)) {
            return Ok(());
        }
        if self.faults.duplicates && rng.percent(8) {
            let Packet { from, to, ref sender, ref receiver, ref message } = packet;
            let (sender, receiver, message) = (sender.clone(), receiver.clone(), message.clone());
            self.packets.push(Packet { from, to, sender, receiver, message });
        }
        self.hand_over(Some(rng), packet)
    }

    fn hand_over(&mut self, rng: Option<&mut Rng>, packet: Packet) -> Checked {
        let event = Event::Peer { from: packet.sender, to: packet.receiver, message: packet.message };
        self.happen(rng, packet.to, event)
    }

    /// Tells a ledger and does what it wants; sometimes the node dies in the middle of that.
    pub(super) fn happen(&mut self, rng: Option<&mut Rng>, at: usize, event: Event) -> Checked {
        let now = self.now(at);
        let Some(ledger) = self.nodes[at].ledger.as_mut() else { return Ok(()) };
        let told = self.trace.is_some().then(|| format!("{event:?}"));
        let actions = ledger.step(now, event);
        if let Some(told) = told.filter(|told| told != "Tick" || !actions.is_empty()) {
            self.note(|| format!("{} {at}: {told}\n      -> {actions:?}", now.mono_ms));
        }
        if let Some(rng) = rng
            && self.faults.crashes
            && !actions.is_empty()
            && rng.below(400) == 0
        {
            self.oracle.note_limits(&self.nodes[at]);
            let done = rng.index(actions.len());
            self.perform(at, actions.into_iter().take(done), false)?;
            return self.crash(rng, at);
        }
        self.perform(at, actions.into_iter(), true)?;
        self.oracle.check(&self.nodes[at])
    }

    fn perform(&mut self, at: usize, actions: impl Iterator<Item = Action>, whole: bool) -> Checked {
        let mut sync = false;
        for action in actions {
            if let Action::Persist { record, durability } = action {
                self.nodes[at].buffered.push(record);
                sync |= durability == Durability::Durable;
                continue;
            }
            if std::mem::take(&mut sync) {
                self.nodes[at].sync();
            }
            match action {
                Action::Persist { .. } => {}
                Action::Send { to, message } => self.send(at, to, message),
                Action::Granted(id) => self.dispatch(at, id)?,
                Action::Denied { id, .. } => {
                    self.nodes[at].asked.remove(&id);
                    self.verdicts.insert(id, false);
                }
                Action::Alarm(Alarm::LostReservation(id)) => return Err(format!("{id} was lost though it was held")),
                Action::Opened { .. } => {}
                Action::Alarm(alarm) => return Err(format!("an honest cluster raised {alarm:?} at {at}")),
            }
        }
        if sync && whole {
            self.nodes[at].sync();
        }
        Ok(())
    }

    fn send(&mut self, from: usize, receiver: Actor, message: Message) {
        let Some(to) = self.nodes.iter().position(|node| node.actor.node == receiver.node) else { return };
        // A network that holds back everything for ever is one that loses it.
        if self.packets.len() < 400 {
            let sender = self.nodes[from].actor.clone();
            self.packets.push(Packet { from, to, sender, receiver, message });
        }
    }

    fn request(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let mut charges = Vec::new();
        for allowance in &self.allowances {
            if rng.percent(60) || charges.is_empty() {
                let most = (allowance.limit / [2, 10, 50][rng.index(3)]).max(1);
                charges.push(Charge { allowance: allowance.id, amount: 1 + rng.below(most) });
            }
        }
        self.reserve(Some(rng), at, charges).map(|_| ())
    }

    pub(super) fn reserve(
        &mut self,
        rng: Option<&mut Rng>,
        at: usize,
        charges: Vec<Charge>,
    ) -> Result<ReservationId, String> {
        let unix = self.now(at).unix;
        let node = &mut self.nodes[at];
        let id = node.ids.fresh();
        if node.ledger.is_some() {
            let holds = charges.iter().map(|c| (node.limits[&c.allowance].counter(unix), c.amount)).collect();
            node.asked.insert(id, holds);
            self.happen(rng, at, Event::Reserve { id, charges })?;
        }
        Ok(id)
    }

    /// The request goes to the provider, which bills it at once, whatever becomes of its asker.
    fn dispatch(&mut self, at: usize, id: ReservationId) -> Checked {
        self.verdicts.insert(id, true);
        let node = &mut self.nodes[at];
        let holds = node.asked.remove(&id).ok_or_else(|| format!("{id} was granted twice or never asked for"))?;
        let mut rng = Rng::new(id.generation, id.number);
        let reached = !rng.percent(5);
        let mut costs = Vec::new();
        for (counter, amount) in holds {
            let actual = match () {
                () if !reached => 0,
                () if self.faults.excess && rng.percent(2) => amount + rng.below(amount / 2 + 2),
                () if rng.percent(40) => amount,
                () => rng.below(amount + 1),
            };
            self.oracle.bill(&node.actor, counter, amount, actual);
            costs.push((counter, amount, actual));
        }
        let guard = Reservation::new(id, Rc::clone(&node.ended));
        node.running.push((guard, Dispatched { reached, costs }));
        Ok(())
    }

    fn finish_one(&mut self, rng: &mut Rng, at: usize) -> Checked {
        if self.nodes[at].running.is_empty() {
            return Ok(());
        }
        let index = rng.index(self.nodes[at].running.len());
        let dropped = rng.percent(10);
        self.finish(Some(rng), at, index, dropped)
    }

    pub(super) fn finish(&mut self, rng: Option<&mut Rng>, at: usize, index: usize, dropped: bool) -> Checked {
        let (guard, dispatched) = self.nodes[at].running.swap_remove(index);
        if dropped {
            self.oracle.aborted(&self.nodes[at].actor, &dispatched);
            drop(guard);
        } else if dispatched.reached {
            guard.settle(dispatched.costs.iter().map(|(_, _, actual)| *actual).collect());
        } else {
            guard.release();
        }
        let (id, outcome) = self.nodes[at].ended.take().ok_or("a guard said nothing")?;
        self.happen(rng, at, Event::End { id, outcome: outcome.clone() })?;
        // The end comes twice: the second one must change nothing.
        self.happen(None, at, Event::End { id, outcome: Outcome::Full })
    }

    pub(super) fn tick(&mut self, rng: &mut Rng, at: usize) -> Checked {
        self.happen(Some(rng), at, Event::Tick)
    }

    fn crash(&mut self, rng: &mut Rng, at: usize) -> Checked {
        if self.nodes[at].ledger.is_none() {
            return Ok(());
        }
        self.note(|| format!("crash of {at}"));
        // Of what was not synced a part is on disk, in order.
        let node = &mut self.nodes[at];
        let kept = rng.index(node.buffered.len() + 1);
        node.disk.extend(node.buffered.drain(..).take(kept));
        node.ledger = None;
        node.asked.clear();
        for (guard, dispatched) in node.running.drain(..) {
            self.oracle.died(&node.actor, &dispatched);
            // A process that is gone drops nothing.
            std::mem::forget(guard);
        }
        Ok(())
    }

    fn restart(&mut self, rng: &mut Rng, at: usize) -> Checked {
        if self.nodes[at].ledger.is_some() {
            return Ok(());
        }
        if self.faults.lost_disks && self.lost_disks < 3 && rng.percent(25) {
            self.lost_disks += 1;
            self.note(|| format!("{at} lost its disk"));
            let incarnation = self.nodes[at].actor.incarnation.0 + u64::from(!self.faults.actor_reused);
            let node = &mut self.nodes[at];
            node.actor = actor(at, incarnation);
            node.disk.clear();
        }
        self.start(at)
    }

    /// Starts a node from its disk, with the registry's limits of the moment, and lets all meet that can.
    pub(super) fn start(&mut self, at: usize) -> Checked {
        self.lives += 1;
        let lives = self.lives;
        let node = &mut self.nodes[at];
        node.ids = ReservationIds::new(lives);
        let shares = FixedShares { me: node.actor.clone(), founders: Rc::clone(&self.founders) };
        let records = node.disk.iter().cloned();
        let ledger = Ledger::recover(node.actor.clone(), LedgerConfig::default(), shares, records);
        node.disk = ledger.snapshot();
        node.ledger = Some(ledger);
        self.oracle.recovered(&self.nodes[at])?;
        let limits: Vec<Allowance> = self.nodes[at].limits.values().copied().collect();
        for allowance in limits {
            self.happen(None, at, Event::LimitChanged(allowance))?;
        }
        for other in 0..self.nodes.len() {
            self.meet(at, other)?;
        }
        Ok(())
    }

    fn meet(&mut self, a: usize, b: usize) -> Checked {
        if a == b || self.cut.contains(&(a, b)) || self.cut.contains(&(b, a)) {
            return Ok(());
        }
        let (first, second) = (self.nodes[a].actor.clone(), self.nodes[b].actor.clone());
        if self.nodes[b].ledger.is_some() {
            self.happen(None, a, Event::PeerSeen(second))?;
            self.happen(None, b, Event::PeerSeen(first))?;
        }
        Ok(())
    }

    fn repartition(&mut self, rng: &mut Rng) {
        self.cut.clear();
        let size = self.nodes.len();
        let side = rng.next();
        let one_way = rng.percent(40);
        if rng.percent(60) {
            for a in 0..size {
                for b in 0..size {
                    let (a_in, b_in) = (side >> a & 1 == 1, side >> b & 1 == 1);
                    if a_in != b_in && (a_in || !one_way) {
                        self.cut.insert((a, b));
                    }
                }
            }
        }
        self.note(|| "the network is cut anew or healed".to_owned());
    }

    fn reconnect(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let other = rng.index(self.nodes.len());
        if rng.percent(40) {
            let peer = self.nodes[other].actor.clone();
            return self.happen(Some(rng), at, Event::PeerGone(peer));
        }
        self.meet(at, other)
    }

    fn change_limit(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let index = rng.index(self.allowances.len());
        if rng.percent(30) {
            let limit = self.allowances[index].limit;
            self.allowances[index].limit = [limit / 2, limit * 2, limit + 1, limit / 3 + 1][rng.index(4)].min(1 << 40);
        }
        let allowance = self.allowances[index];
        self.learn_limit(at, allowance)
    }

    pub(super) fn learn_limit(&mut self, at: usize, allowance: Allowance) -> Checked {
        self.nodes[at].limits.insert(allowance.id, allowance);
        self.happen(None, at, Event::LimitChanged(allowance))
    }

    /// All faults end, all requests end, and everything that is under way arrives.
    pub(super) fn quiesce(&mut self) -> Checked {
        self.note(|| "everything heals".to_owned());
        self.cut.clear();
        self.packets.clear();
        for at in 0..self.nodes.len() {
            self.nodes[at].clock = 0;
            if self.nodes[at].ledger.is_none() {
                self.start(at)?;
            }
            while !self.nodes[at].running.is_empty() {
                self.finish(None, at, 0, false)?;
            }
        }
        for allowance in self.allowances.clone() {
            for at in 0..self.nodes.len() {
                self.learn_limit(at, allowance)?;
            }
        }
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.meet(a, b)?;
            }
        }
        self.settle_down(400)?;
        for at in 0..self.nodes.len() {
            while !self.nodes[at].running.is_empty() {
                self.finish(None, at, 0, false)?;
            }
        }
        self.settle_down(10_200)
    }

    /// Delivers everything, every millisecond, for so long.
    pub(super) fn settle_down(&mut self, ms: u64) -> Checked {
        let end = self.mono_ms + ms;
        while self.mono_ms < end || !self.packets.is_empty() {
            self.deliver_all()?;
            let due = self.nodes.iter().filter_map(|node| Some(node.ledger.as_ref()?.next_deadline())).min();
            let wait = due.map_or(100, |due| due.saturating_sub(self.mono_ms)).clamp(1, 100);
            self.pass(wait);
            self.tick_all()?;
        }
        Ok(())
    }

    pub(super) fn tick_all(&mut self) -> Checked {
        (0..self.nodes.len()).try_for_each(|at| self.happen(None, at, Event::Tick))
    }

    pub(super) fn deliver_all(&mut self) -> Checked {
        for packet in std::mem::take(&mut self.packets) {
            self.hand_over(None, packet)?;
        }
        Ok(())
    }
}

impl Node {
    fn sync(&mut self) {
        self.disk.append(&mut self.buffered);
    }
}

fn actor(index: usize, incarnation: u64) -> Actor {
    let node: NodeId = format!("node-{index}").parse().unwrap();
    Actor { node, incarnation: Incarnation(incarnation) }
}
