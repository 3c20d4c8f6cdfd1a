//! What is under way between nodes: lost, doubled, late, out of order, cut off in both directions or in one.

use super::oracle::Checked;
use super::rng::Rng;
use super::world::World;
use crate::actor::Actor;
use crate::ledger::event::{Event, Message};
use crate::ledger::statement::News;

#[derive(Clone, Debug)]
pub(super) enum Payload {
    Ledger(Message),
    Counting(News),
}

#[derive(Clone, Debug)]
pub(super) struct Packet {
    from: usize,
    to: usize,
    sender: Actor,
    receiver: Actor,
    payload: Payload,
}

/// A network that holds back everything for ever is one that loses it.
const MOST_IN_FLIGHT: usize = 300;
const MOST_NEWS_IN_FLIGHT: usize = 24;

impl World {
    pub(super) fn send(&mut self, from: usize, receiver: Actor, payload: Payload) {
        let Some(to) = self.nodes.iter().position(|node| node.actor.node == receiver.node) else { return };
        let sender = self.nodes[from].actor.clone();
        let packet = Packet { from, to, sender, receiver, payload };
        if matches!(packet.payload, Payload::Ledger(_)) && self.packets.len() < MOST_IN_FLIGHT {
            self.packets.push(packet);
        } else if matches!(packet.payload, Payload::Counting(_)) {
            if self.news.len() >= MOST_NEWS_IN_FLIGHT {
                self.news.swap_remove((self.mono_ms % MOST_NEWS_IN_FLIGHT as u64) as usize);
            }
            self.news.push(packet);
        }
    }

    /// A node that goes on from an old copy is heard by nobody until it has been noticed: who leans on what it says is
    /// outside the guarantee as well, and for how long depends on who meets whom.
    pub(super) fn gossip(&mut self, rng: &mut Rng, from: usize) {
        let to = rng.index(self.nodes.len());
        let astray = self.oracle.lives.get(self.nodes[from].who).astray;
        let (Some(counting), false) = (self.nodes[from].counting(), from == to || astray) else { return };
        let news = counting.gossip();
        let receiver = self.nodes[to].actor.clone();
        self.send(from, receiver, Payload::Counting(news));
    }

    pub(super) fn deliver_one(&mut self, rng: &mut Rng) -> Checked {
        let news = rng.percent(if self.mix.counting { 75 } else { 25 });
        let queue = if news { &mut self.news } else { &mut self.packets };
        if queue.is_empty() {
            return Ok(());
        }
        let at = rng.index(queue.len());
        let packet = queue.swap_remove(at);
        if self.cut.contains(&(packet.from, packet.to)) || (self.mix.loss && rng.percent(if news { 25 } else { 10 })) {
            return Ok(());
        }
        if self.mix.duplicates && rng.percent(10) {
            queue.push(packet.clone());
        }
        self.hand_over(Some(rng), packet)
    }

    pub(super) fn deliver_all(&mut self) -> Checked {
        for packet in std::mem::take(&mut self.packets).into_iter().chain(std::mem::take(&mut self.news)) {
            self.hand_over(None, packet)?;
        }
        Ok(())
    }

    fn hand_over(&mut self, rng: Option<&mut Rng>, packet: Packet) -> Checked {
        self.tally.note("messages");
        let Packet { to, sender, receiver, payload, .. } = packet;
        match payload {
            Payload::Ledger(message) => {
                let evidence = self.nodes[to].actor == receiver && self.is_evidence(to, &message);
                self.happen(rng, to, Event::Peer { from: sender, to: receiver, message })?;
                let unnoticed = evidence && self.nodes[to].ledger().is_some_and(|ledger| !ledger.is_fenced());
                if unnoticed { Err(format!("I5: {to} was shown that its journal is old and goes on")) } else { Ok(()) }
            }
            // A connection is to one actor.
            Payload::Counting(news) if self.nodes[to].actor == receiver => self.hear(rng, to, &news),
            Payload::Counting(_) => Ok(()),
        }
    }

    /// Shows a message its receiver that its journal was rolled back?
    fn is_evidence(&self, to: usize, message: &Message) -> bool {
        let Some(ledger) = self.nodes[to].ledger() else { return false };
        let Message::Rows { rows, .. } = message else { return false };
        rows.iter().filter(|placed| placed.owner == self.nodes[to].actor).any(|placed| {
            let known = ledger.counters().get(&placed.counter).map(|counter| counter.own().covers(&placed.row));
            !known.unwrap_or(ledger.is_closed(&placed.counter))
        })
    }

    pub(super) fn meet(&mut self, a: usize, b: usize) -> Checked {
        if a == b || self.cut.contains(&(a, b)) || self.cut.contains(&(b, a)) {
            return Ok(());
        }
        let (first, second) = (self.nodes[a].actor.clone(), self.nodes[b].actor.clone());
        if self.nodes[a].process.is_some() && self.nodes[b].process.is_some() {
            self.happen(None, a, Event::PeerSeen(second))?;
            self.happen(None, b, Event::PeerSeen(first))?;
        }
        Ok(())
    }

    pub(super) fn meet_all(&mut self) -> Checked {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.meet(a, b)?;
            }
        }
        Ok(())
    }

    pub(super) fn repartition(&mut self, rng: &mut Rng) {
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
        let cut = self.cut.len();
        self.tally.note("cuts");
        self.note(|| format!("the network is cut anew or healed: {cut} ways are closed"));
    }

    /// One node does not hear the others any more.
    pub(super) fn isolate(&mut self, at: usize) {
        self.tally.note("forgotten though they lived");
        self.cut.extend((0..self.nodes.len()).map(|other| (other, at)));
    }

    pub(super) fn reconnect(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let other = rng.index(self.nodes.len());
        if rng.percent(40) {
            let peer = self.nodes[other].actor.clone();
            return self.happen(Some(rng), at, Event::PeerGone(peer));
        }
        self.meet(at, other)
    }
}
