//! Who is told and asked what, when. A state machine: what comes in is the time and the peers' messages, what goes out
//! are messages to peers.
//!
//! - A write is pushed to every peer at once, and again every [`PUSH_AGAIN_MS`] until the peer has it.
//! - A revocation is also passed on by everyone who hears of it for the first time, so that one cut link does not delay it.
//! - Every [`HELLO_MS`] a node compares versions and digests with one peer, in turn, and both fetch what they lack:
//!   records not covered by their versions, out of the buckets that differ. This heals partitions and fills new nodes.
//! - Two nodes that have seen the same and yet hold different things (a fault somewhere) fetch the differing buckets whole.
//!
//! Messages may be lost, doubled, delayed and reordered; all of them are idempotent.

use std::collections::BTreeMap;

use super::clock::Time;
use super::digest::{Buckets, Digest};
use super::error::RefusedRecord;
use super::messages::{Hello, Interval, Push, Pushed, Records, Summary, Want};
use super::page::{Cursor, Page};
use super::record::Record;
use super::state::{Change, Merged, Registry};
use super::versions::Versions;
use crate::identity::NodeId;

/// How long a push waits for its answer before it is sent again.
pub const PUSH_AGAIN_MS: u64 = 250;
/// How often a node compares with a peer.
pub const HELLO_MS: u64 = 1000;
/// How long fetching may stand still before it is given up until the next comparison.
pub const SESSION_MS: u64 = 2000;
/// About how many bytes of records one message carries.
pub const PAGE_BYTES: usize = 512 * 1024;

/// The two clocks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may step.
    pub wall_ms: u64,
    /// Milliseconds since some start; never steps.
    pub steady_ms: u64,
}

/// One of the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described where it is defined")]
pub enum SyncMessage {
    Push(Push),
    Pushed(Pushed),
    Hello(Hello),
    Summary(Summary),
    Want(Want),
    Records(Records),
}

/// A question for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The peer.
    pub to: NodeId,
    /// [`SyncMessage::Push`], [`SyncMessage::Hello`] or [`SyncMessage::Want`].
    pub message: SyncMessage,
}

/// What came of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// What is new in the registry, revocations first.
    pub changes: Vec<Change>,
    /// Records that were not taken: for the log.
    pub refused: Vec<RefusedRecord>,
    /// Records of which two values came with one stamp: for the log, and an alarm.
    pub doubled: Vec<super::record::RecordKey>,
    /// The answer, when it was a question.
    pub answer: Option<SyncMessage>,
    /// Questions that arise.
    pub send: Vec<Outgoing>,
}

#[derive(Debug, Default)]
struct Peer {
    /// Up to when it was told of this node's own writes.
    told: Time,
    /// Up to when it said that it was.
    delivered: Time,
    under_way: Option<UnderWay>,
    /// What it had seen when it last said so.
    seen: Option<Versions>,
    greeted: bool,
    session: Option<Session>,
    /// All that it held at some moment of this connection was held here too.
    caught_up: bool,
}

/// A push that was not answered yet.
#[derive(Debug)]
struct UnderWay {
    upto: Time,
    /// This node's last write when it was sent; a later one does not wait for the answer.
    latest: Time,
    again: u64,
}

/// Fetching from one peer.
#[derive(Debug)]
struct Session {
    id: u64,
    buckets: Buckets,
    seen: Versions,
    after: Option<Cursor>,
    /// What will have been seen when all pages are in.
    claim: Versions,
    whole: bool,
    until: u64,
}

impl Session {
    fn want(&self) -> SyncMessage {
        SyncMessage::Want(Want {
            session: self.id,
            buckets: self.buckets,
            seen: self.seen.clone(),
            after: self.after.clone(),
        })
    }
}

/// One node's part in keeping the registries alike.
#[derive(Debug, Default)]
pub struct Exchange {
    peers: BTreeMap<NodeId, Peer>,
    next_hello: u64,
    last_greeted: Option<NodeId>,
    sessions: u64,
}

impl Exchange {
    /// To be called after every saved write, and every 50 to 250 ms. `live` are the peers that can be reached now.
    pub fn tick(&mut self, now: Now, registry: &Registry, live: &[NodeId]) -> Vec<Outgoing> {
        let latest = registry.versions().of(registry.actor());
        self.peers.retain(|id, _| live.contains(id));
        for id in live {
            // What was written before the peer came is for the comparison, which moves only what it lacks.
            self.peers.entry(id.clone()).or_insert_with(|| Peer { told: latest, ..Peer::default() });
        }
        let mut send = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.session.as_ref().is_some_and(|session| session.until <= now.steady_ms) {
                peer.session = None;
            }
            peer.push(now, registry, id, &mut send);
        }
        for id in self.whom_to_greet(now) {
            send.push(Outgoing { to: id, message: hello(registry) });
        }
        send
    }

    /// New peers at once, the others in turn.
    fn whom_to_greet(&mut self, now: Now) -> Vec<NodeId> {
        let mut greet: Vec<NodeId> = Vec::new();
        for (id, peer) in &mut self.peers {
            if !std::mem::replace(&mut peer.greeted, true) {
                greet.push(id.clone());
            }
        }
        if self.next_hello <= now.steady_ms {
            self.next_hello = now.steady_ms.saturating_add(HELLO_MS);
            let after = |last: &NodeId| self.peers.keys().find(|id| *id > last);
            let next = self.last_greeted.as_ref().and_then(after).or_else(|| self.peers.keys().next()).cloned();
            greet.extend(next.clone().filter(|id| !greet.contains(id)));
            self.last_greeted = next;
        }
        greet
    }

    /// Takes a message of a peer. `from` must be the name that its certificate proves.
    pub fn handle(&mut self, now: Now, registry: &mut Registry, from: &NodeId, message: SyncMessage) -> Handled {
        let mut handled = Handled::default();
        match message {
            SyncMessage::Push(push) => self.on_push(now, registry, from, push, &mut handled),
            SyncMessage::Pushed(Pushed { upto: Some(upto) }) => {
                if let Some(peer) = self.peers.get_mut(from)
                    && let Some(under_way) = peer.under_way.take_if(|under_way| upto <= under_way.upto)
                {
                    peer.told = peer.told.max(upto);
                    peer.delivered = peer.delivered.max(upto);
                    peer.under_way = Some(under_way).filter(|under_way| upto < under_way.upto);
                    peer.push(now, registry, from, &mut handled.send);
                }
            }
            SyncMessage::Pushed(Pushed { upto: None }) => {}
            SyncMessage::Hello(Hello { versions, digest }) => {
                let (mine, my_digest) = (registry.versions().clone(), registry.digest().clone());
                handled.answer = Some(SyncMessage::Summary(Summary { versions: mine, digest: my_digest }));
                let urgent = registry.urgent(&versions, PAGE_BYTES);
                if !urgent.is_empty() {
                    handled.send.push(pass_on(from, urgent));
                }
                self.compare(now, registry, from, versions, &digest, &mut handled);
            }
            SyncMessage::Summary(Summary { versions, digest }) => {
                self.compare(now, registry, from, versions, &digest, &mut handled);
            }
            SyncMessage::Want(Want { session, buckets, seen, after }) => {
                let Page { records, next } = registry.page(buckets, &seen, after.as_ref(), PAGE_BYTES);
                handled.answer = Some(SyncMessage::Records(Records { session, after, records, next }));
            }
            SyncMessage::Records(records) => self.on_records(now, registry, from, records, &mut handled),
        }
        handled
    }

    fn on_push(&mut self, now: Now, registry: &mut Registry, from: &NodeId, push: Push, handled: &mut Handled) {
        let whole = self.merge(now, registry, from, push.records, handled);
        handled.answer =
            Some(SyncMessage::Pushed(Pushed { upto: push.interval.as_ref().map(|interval| interval.upto) }));
        let Some(Interval { actor, since, upto }) = push.interval.filter(|interval| interval.actor.node == *from)
        else {
            return;
        };
        if registry.versions().of(&actor) < since {
            // An earlier push was lost: compare now instead of waiting for the turn, unless it is being mended already.
            if self.peers.get(from).is_some_and(|peer| peer.session.is_some()) {
                return;
            }
            handled.send.push(Outgoing { to: from.clone(), message: hello(registry) });
        } else if whole {
            registry.adopt(now.wall_ms, &[(actor, upto)].into_iter().collect());
        }
    }

    /// Fetches what the peer has beyond this node, if there is anything.
    fn compare(
        &mut self,
        now: Now,
        registry: &mut Registry,
        from: &NodeId,
        theirs: Versions,
        digest: &Digest,
        handled: &mut Handled,
    ) {
        registry.remember(now.wall_ms, &theirs);
        let fetching = self.peers.values().any(|peer| peer.session.is_some());
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.told = peer.told.max(theirs.of(registry.actor()));
        peer.delivered = peer.delivered.max(theirs.of(registry.actor()));
        peer.seen = Some(theirs.clone());
        let buckets = registry.digest().differing(digest);
        if buckets.is_empty() {
            // What is the same has seen the same.
            peer.caught_up = true;
            registry.adopt(now.wall_ms, &theirs);
            return;
        }
        // From one peer at a time: a new node would fetch everything from everybody.
        if fetching {
            return;
        }
        let mine = registry.versions();
        let seen = if *mine == theirs {
            Versions::default()
        } else if mine.covers_all(&theirs) {
            peer.caught_up = true;
            return;
        } else {
            mine.clone()
        };
        self.sessions += 1;
        let until = now.steady_ms.saturating_add(SESSION_MS);
        let session = Session { id: self.sessions, buckets, seen, after: None, claim: theirs, whole: true, until };
        handled.send.push(Outgoing { to: from.clone(), message: session.want() });
        peer.session = Some(session);
    }

    fn on_records(&mut self, now: Now, registry: &mut Registry, from: &NodeId, page: Records, handled: &mut Handled) {
        let whole = self.merge(now, registry, from, page.records, handled);
        let Some(peer) = self.peers.get_mut(from) else { return };
        let expected = |session: &&mut Session| session.id == page.session && session.after == page.after;
        let Some(session) = peer.session.as_mut().filter(expected) else { return };
        session.whole &= whole;
        match page.next {
            Some(next) => {
                session.after = Some(next);
                session.until = now.steady_ms.saturating_add(SESSION_MS);
                handled.send.push(Outgoing { to: from.clone(), message: session.want() });
            }
            None => {
                if session.whole {
                    registry.adopt(now.wall_ms, &session.claim);
                    peer.caught_up = true;
                }
                peer.session = None;
            }
        }
    }

    /// Merges, and passes revocations on. False when something was refused.
    fn merge(
        &self,
        now: Now,
        registry: &mut Registry,
        from: &NodeId,
        records: Vec<Record>,
        handled: &mut Handled,
    ) -> bool {
        let Merged { changes, refused, doubled } = registry.merge(now.wall_ms, from, records);
        let revocations = || changes.iter().map(|change| &change.record).take_while(|record| record.is_revocation());
        for id in self.peers.keys().filter(|id| *id != from) {
            let news: Vec<Record> = revocations().filter(|record| record.stamp.actor.node != *id).cloned().collect();
            if !news.is_empty() {
                handled.send.push(pass_on(id, news));
            }
        }
        let whole = refused.is_empty();
        handled.changes.extend(changes);
        handled.refused.extend(refused);
        handled.doubled.extend(doubled);
        whole
    }

    /// True when this node has had, since it met some peer that it has now, all that this peer had.
    pub fn caught_up(&self) -> bool {
        self.peers.values().any(|peer| peer.caught_up)
    }

    /// Up to when a peer took delivery of this node's own writes. What it refused of them (its log says what and why) is
    /// counted too.
    pub fn delivered(&self, peer: &NodeId) -> Time {
        self.peers.get(peer).map(|peer| peer.delivered).unwrap_or_default()
    }

    /// Forgets old removals, if every one of `nodes` (all that may ever speak again, see
    /// [`Registry::forget_removals`]) has said what it has seen; says how many.
    pub fn forget_removals(&self, now: Now, registry: &mut Registry, nodes: &[NodeId]) -> usize {
        let others = nodes.iter().filter(|id| **id != registry.actor().node);
        let seen: Option<Vec<Versions>> = others.map(|id| self.peers.get(id)?.seen.clone()).collect();
        let Some(mut seen) = seen else { return 0 };
        seen.push(registry.versions().clone());
        registry.forget_removals(now.wall_ms, &seen)
    }
}

impl Peer {
    fn push(&mut self, now: Now, registry: &Registry, id: &NodeId, send: &mut Vec<Outgoing>) {
        let latest = registry.versions().of(registry.actor());
        let waiting = |under_way: &UnderWay| now.steady_ms < under_way.again && latest <= under_way.latest;
        if self.under_way.as_ref().is_some_and(waiting) {
            return;
        }
        let Some(writes) = registry.own_writes(self.told, PAGE_BYTES) else { return };
        let again = now.steady_ms.saturating_add(PUSH_AGAIN_MS);
        self.under_way = Some(UnderWay { upto: writes.upto, latest, again });
        if writes.upto < latest {
            // More than one message can carry: the revocations among them do not wait for their turn.
            let told = [(registry.actor().clone(), writes.upto)].into_iter().collect();
            let own = |record: &Record| record.stamp.actor == *registry.actor();
            let urgent: Vec<Record> = registry.urgent(&told, PAGE_BYTES).into_iter().filter(own).collect();
            if !urgent.is_empty() {
                send.push(pass_on(id, urgent));
            }
        }
        let interval = Interval { actor: registry.actor().clone(), since: self.told, upto: writes.upto };
        let push = Push { records: writes.records, interval: Some(interval) };
        send.push(Outgoing { to: id.clone(), message: SyncMessage::Push(push) });
    }
}

fn hello(registry: &Registry) -> SyncMessage {
    SyncMessage::Hello(Hello { versions: registry.versions().clone(), digest: registry.digest().clone() })
}

fn pass_on(to: &NodeId, records: Vec<Record>) -> Outgoing {
    Outgoing { to: to.clone(), message: SyncMessage::Push(Push { records, interval: None }) }
}
