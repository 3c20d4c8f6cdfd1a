//! The ledger at work: a task around the state machine, with a journal, the link to the peers and the slots of the data
//! plane.
//!
//! What comes in: requests that the data plane cannot serve from its slices ([`LedgerService::hold`]), what peers say
//! ([`LedgerService::answer`]), who is there ([`LedgerService::attach`]). What goes out: holds, messages, records, and
//! where all of it stands ([`LedgerService::status`], [`LedgerService::counters`]).
//!
//! - `task`: the loop that owns everything; `effects`: what waits for the disk; `log`: the journal; [`entry`]: its records.
//! - `slots` and `slices`: what is handed to the data plane, kept filled, and called back.
//! - `messages`, `news`, `outbox`: what travels between nodes; `counted`: who counts whom.
//! - `status`, `parts`: what people may see; `forgetting`, `parting`: what they may have done.

mod counted;
mod effects;
pub mod entry;
mod forgetting;
mod log;
pub mod messages;
pub mod news;
mod outbox;
mod parting;
mod parts;
mod slices;
mod slots;
mod status;
mod task;
mod transfers;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use self::counted::Counted;
use self::effects::Effects;
use self::entry::{Entry, EntryError};
use self::log::Log;
use self::messages::{Ask, Digest, Give, Rows, Taken, View, Viewed, Want};
use self::news::Tell;
use self::outbox::Outbox;
use self::slots::Slots;
use self::status::Watched;
use self::task::{Clock, Command, Inbox, Said, Task, unix_seconds};
use self::transfers::Transfers;
use super::allowance::{Allowance, CounterId};
use super::counting::{Begin, Counting};
use super::event::Message as Word;
use super::hot::{Hold, Part, Slot, try_hold};
use super::ledger::{Ledger, LedgerConfig};
use super::record::used_through;
use super::reservation::{Denial, ReservationIds};
use crate::actor::Actor;
use crate::cluster::Cluster;
use crate::identity::{Identity, NodeId};
use crate::journal::JournalError;
use crate::link::{Answer, Refusal};
use crate::membership::State;
use crate::wire::{self, Kind};

pub use forgetting::{ForgetError, Forgotten};
pub use log::set_aside;
pub use parting::Parting;
pub use parts::{CounterView, NodePart};
pub use status::{Cliff, LedgerStatus, Locked};
pub use transfers::TransferCounts;

/// Requests of this node that wait for the task.
const COMMANDS: usize = 4096;
/// What peers said and the task has not heard.
const SAID: usize = 4096;
/// Founders that start within so many seconds of one another begin together.
const PATIENCE_S: i64 = 5;
/// How long peers have to tell their counters.
const VIEW: Duration = Duration::from_secs(1);

/// What a ledger needs.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Who this node is.
    pub identity: Identity,
    /// How a cluster without a past begins; [`Begin::Alone`] without peers.
    pub begin: Begin,
    /// Where its journal lives; without it each start is another actor, and nothing outlives the process.
    pub data_dir: Option<PathBuf>,
    /// How long a request may wait for rights of peers.
    pub gather: Duration,
}

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record in it is not understood.
    #[error("the ledger's journal in {} cannot be read: {source}", path.display())]
    Record {
        /// The journal's directory.
        path: PathBuf,
        /// What is wrong.
        source: EntryError,
    },
    /// The journal's thread did not start.
    #[error("the journal's thread did not start: {0}")]
    Thread(io::Error),
    /// A service lives in a tokio runtime.
    #[error("the ledger must be started inside a tokio runtime")]
    NoRuntime,
}

/// The ledger of this node. Cheap to clone; when the last clone is dropped without [`LedgerService::close`] it ends as in
/// a crash.
#[derive(Clone, Debug)]
pub struct LedgerService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    me: Actor,
    commands: mpsc::Sender<Command>,
    said: mpsc::Sender<Said>,
    slots: Arc<Slots>,
    transfers: Arc<Transfers>,
    cluster: Arc<ArcSwapOption<Cluster>>,
    status: watch::Receiver<Arc<LedgerStatus>>,
}

impl LedgerService {
    /// Opens the journal, takes up what it holds, and begins. Must be called inside the tokio runtime that shall serve
    /// the ledger; everything else may be called from any.
    pub fn start(config: ServiceConfig) -> Result<LedgerService, ServiceError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| ServiceError::NoRuntime)?;
        let me = Actor::from(&config.identity);
        let (log, entries) = Log::open(config.data_dir.as_deref(), &config.identity)?;
        let gather_ms = u64::try_from(config.gather.as_millis()).unwrap_or(u64::MAX);
        let ledger_config = LedgerConfig { gather_ms, ..LedgerConfig::default() };
        let ledger = recover(&me, config.begin, ledger_config, entries);
        let cluster: Arc<ArcSwapOption<Cluster>> = Arc::default();
        let slots: Arc<Slots> = Arc::default();
        let transfers: Arc<Transfers> = Arc::default();
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        let (said, said_queue) = mpsc::channel(SAID);
        let now = Instant::now();
        let (publish, status) = watch::channel(Arc::new(LedgerStatus::of(&me)));
        let task = Task {
            clock: Clock::new(),
            counted: Counted::new(ledger.shares()),
            ledger,
            log,
            effects: Effects::default(),
            outbox: Outbox::new(me.clone(), Arc::clone(&cluster), Arc::clone(&transfers)),
            slots: Arc::clone(&slots),
            slices: BTreeMap::new(),
            current: BTreeMap::new(),
            ids: ReservationIds::new(config.identity.generation.0),
            waiting: BTreeMap::new(),
            live: BTreeMap::new(),
            watched: Watched::default(),
            status: publish,
            closing: false,
            next_sweep: now,
            next_tick: now,
            next_second: now,
            me: me.clone(),
        };
        runtime.spawn(task.run(Inbox { commands: command_queue, said: said_queue }));
        Ok(LedgerService { shared: Arc::new(Shared { me, commands, said, slots, transfers, cluster, status }) })
    }

    /// Its part of what peers ask of this node; `None`: not of this room. `from` is whom the link has authenticated.
    pub fn answer(&self, from: &NodeId, kind: Kind, payload: &Bytes) -> Option<Answer> {
        let heard = match kind {
            Kind::LedgerAsk => hear(payload, |Ask { route, counter, want, seen, urgency }| {
                (route, Word::Ask { counter, want, seen, urgency })
            }),
            Kind::LedgerGive => {
                hear(payload, |Give { route, counter, total, left }| (route, Word::Give { counter, total, left }))
            }
            Kind::LedgerRows => hear(payload, Rows::into_parts),
            Kind::LedgerDigest => {
                hear(payload, |Digest { route, entries }| (route, Word::Digest { entries: entries.0 }))
            }
            Kind::LedgerWant => hear(payload, |Want { route, rows }| (route, Word::Want { rows: rows.0 })),
            Kind::LedgerNews => {
                wire::decode(payload).map(|Tell(news)| Said::News(news)).map_err(|_| Refusal::Malformed)
            }
            Kind::LedgerView => return Some(self.answer_view(payload)),
            _ => return None,
        };
        Some(Answer::Now(heard.and_then(|said| self.take(from, said))))
    }

    fn take(&self, from: &NodeId, said: Said) -> Result<Bytes, Refusal> {
        let speaker = match &said {
            Said::Message { from, .. } => &from.node,
            Said::News(news) => &news.from.node,
        };
        if speaker != from {
            tracing::warn!(%from, %speaker, "a peer speaks in the name of another node: not believed");
            return Err(Refusal::Failed("nobody speaks for another node".to_owned()));
        }
        if let Said::Message { message, .. } = &said {
            self.shared.transfers.hears(message);
        }
        self.shared.said.try_send(said).map_err(|_| Refusal::Overloaded)?;
        wire::encode(&Taken {}).map_err(|_| Refusal::Malformed)
    }

    fn answer_view(&self, payload: &Bytes) -> Answer {
        let Ok(View { after }) = wire::decode(payload) else { return Answer::Now(Err(Refusal::Malformed)) };
        let service = self.clone();
        Answer::Later(Box::pin(async move {
            let viewed = service.own_view(after).await.ok_or(Refusal::Overloaded)?;
            wire::encode(&viewed).map_err(|error| Refusal::Failed(error.to_string()))
        }))
    }

    /// Follows who is there, and speaks to them from now on. To be spawned; ends with the cluster or the ledger.
    pub async fn attach(self, cluster: Cluster) {
        let (mut views, mut links) = (cluster.watch(), cluster.link().watch());
        self.shared.cluster.store(Some(Arc::new(cluster)));
        loop {
            views.mark_unchanged();
            links.mark_unchanged();
            let Some(live) = self.shared.cluster.load().as_ref().map(|cluster| live(cluster)) else { return };
            if self.shared.commands.send(Command::Live(live)).await.is_err() {
                return;
            }
            let changed = tokio::select! {
                changed = views.changed() => changed,
                changed = links.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// The slot of an allowance: the same for the same id as long as anybody holds it, with the limit of the last call. An
    /// allowance whose slot nobody holds is listed no more; what was spent of it is kept.
    pub fn slot(&self, allowance: Allowance) -> Arc<Slot> {
        self.shared.slots.slot(allowance)
    }

    /// Takes all parts, or nothing: from what is open on this node, else from what this node and its peers have left.
    pub async fn hold(&self, parts: &[Part<'_>]) -> Result<Hold, Denial> {
        let now = unix_seconds();
        // First, because something may still lie open by a limit that was lowered a moment ago.
        if let Some(part) = parts.iter().find(|part| part.slot.is_beyond(part.amount, now)) {
            let allowance = part.slot.allowance().id;
            return Err(Denial::Exhausted { allowance, window_end: part.slot.view(now).window_end });
        }
        if let Some(hold) = try_hold(parts, now) {
            return Ok(hold);
        }
        let parts = parts.iter().map(|part| (Arc::clone(part.slot), part.amount)).collect();
        let (reply, answer) = oneshot::channel();
        self.shared.commands.try_send(Command::Hold { parts, reply }).map_err(|_| Denial::Busy)?;
        let mut asked = Asked(answer);
        (&mut asked.0).await.unwrap_or(Err(Denial::Busy))
    }

    /// How often rights were asked for and given.
    pub fn transfers(&self) -> TransferCounts {
        self.shared.transfers.counts()
    }

    /// Where the ledger stands.
    pub fn status(&self) -> Arc<LedgerStatus> {
        Arc::clone(&self.shared.status.borrow())
    }

    /// The same, with every change of it; [`LedgerStatus::fenced`] is for the node to act upon.
    pub fn watch(&self) -> watch::Receiver<Arc<LedgerStatus>> {
        self.shared.status.clone()
    }

    /// Every allowance in its current window over the whole cluster: each live node is asked for its own part, and of
    /// those that are gone what the living know is taken.
    pub async fn counters(&self) -> Vec<CounterView> {
        let deadline = Instant::now() + VIEW;
        let peers: Vec<Actor> = self.status().live.clone();
        let asked = peers.iter().map(|peer| timeout_at(deadline, self.view_of(&peer.node)));
        let (own, others) = tokio::join!(self.view_of(&self.shared.me.node), join_all(asked));
        let mut answers = own;
        answers.extend(others.into_iter().flatten().flatten());
        parts::together(&self.shared.slots, unix_seconds(), &answers)
    }

    /// All pages of one node's view.
    async fn view_of(&self, node: &NodeId) -> Vec<Viewed> {
        let mut pages: Vec<Viewed> = Vec::new();
        loop {
            let after = pages.last().and_then(|page| page.next);
            if after.is_none() && !pages.is_empty() {
                return pages;
            }
            let page = if *node == self.shared.me.node {
                self.own_view(after).await
            } else {
                let Some(cluster) = self.shared.cluster.load_full() else { return pages };
                let answer = cluster.link().call_bulk(node, &View { after }, VIEW).await;
                // Of itself a node is believed, of its neighbours not.
                answer.ok().filter(|viewed| viewed.actor.node == *node)
            };
            let Some(page) = page.filter(|page| page.next.is_none_or(|next| after.is_none_or(|after| after < next)))
            else {
                return pages;
            };
            pages.push(page);
        }
    }

    async fn own_view(&self, after: Option<CounterId>) -> Option<Viewed> {
        let (reply, answer) = oneshot::channel();
        self.shared.commands.send(Command::View { after, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Drops a dead node from windows to come: all its incarnations that are counted and not there.
    pub async fn forget(&self, node: &NodeId) -> Result<Forgotten, ForgetError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Forget { node: node.clone(), reply };
        self.shared.commands.send(command).await.map_err(|_| ForgetError::Closed)?;
        answer.await.unwrap_or(Err(ForgetError::Closed))
    }

    /// Ends the ledger in good order: nothing more is granted, what is open and unused is closed, the journal is written.
    /// To be called when the requests have come to their ends and the cluster is still there.
    pub async fn close(&self, parting: Parting) {
        let (reply, done) = oneshot::channel();
        if self.shared.commands.send(Command::Close { parting, reply }).await.is_ok() {
            // An error means that the task has ended, which is what is wanted.
            let _ = done.await;
        }
        // The cluster holds this service as a part of its own.
        self.shared.cluster.store(None);
    }
}

/// The way of a hold to who asked for it. Who gives up asking gives back what comes.
struct Asked(oneshot::Receiver<Result<Hold, Denial>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.close();
        if let Ok(Ok(hold)) = self.0.try_recv() {
            hold.release();
        }
    }
}

fn hear<M: wire::Message>(payload: &Bytes, parts: impl FnOnce(M) -> (messages::Route, Word)) -> Result<Said, Refusal> {
    let (route, message) = parts(wire::decode(payload).map_err(|_| Refusal::Malformed)?);
    Ok(Said::Message { from: route.from, to: route.to, message })
}

/// Members that a message has a way to.
fn live(cluster: &Cluster) -> BTreeMap<Actor, crate::identity::Generation> {
    let view = cluster.view();
    let connected = cluster.link().peers().into_iter();
    let there = connected.filter(|peer| {
        let member = view.member(&peer.id);
        member.is_some_and(|member| member.incarnation == peer.incarnation && member.state != State::Left)
    });
    there.map(|peer| (Actor { node: peer.id, incarnation: peer.incarnation }, peer.generation)).collect()
}

/// The ledger as its journal left it.
fn recover(me: &Actor, begin: Begin, config: LedgerConfig, entries: Vec<Entry>) -> Ledger<Counting> {
    let (mut of_counters, mut of_counting) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Ledger(record) => of_counters.push(record),
            Entry::Counting(record) => of_counting.push(record),
        }
    }
    let used_through = used_through(&of_counters);
    let counting = Counting::restore(me.clone(), begin, of_counting, used_through).with_patience(PATIENCE_S);
    Ledger::recover(me.clone(), config, counting, of_counters)
}

#[cfg(test)]
mod tests {
    use super::messages::Route;
    use super::messages::tests::{actor, counter};
    use super::*;
    use crate::identity::{Generation, Incarnation};
    use crate::ledger::event::Urgency;
    use crate::ledger::statement::News;

    fn service() -> LedgerService {
        let identity = Identity {
            cluster: "test".parse().unwrap(),
            node_id: "me".parse().unwrap(),
            incarnation: Incarnation(1),
            generation: Generation(1),
        };
        let gather = Duration::from_millis(50);
        LedgerService::start(ServiceConfig { identity, begin: Begin::Alone, data_dir: None, gather }).unwrap()
    }

    fn said<M: wire::Message>(service: &LedgerService, from: &str, message: &M) -> Result<Bytes, Refusal> {
        let payload = wire::encode(message).unwrap();
        match service.answer(&from.parse().unwrap(), M::KIND, &payload) {
            Some(Answer::Now(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn nobody_speaks_for_another_node() {
        let service = service();
        let route = Route { from: actor("a"), to: actor("me") };
        let ask = Ask { route, counter: counter(), want: 1, seen: 0, urgency: Urgency::Last };
        let news = Tell(News { from: actor("a"), words: BTreeMap::new() });
        assert_eq!(said(&service, "a", &ask), Ok(wire::encode(&Taken {}).unwrap()));
        assert!(said(&service, "a", &news).is_ok());
        assert!(matches!(said(&service, "b", &ask), Err(Refusal::Failed(_))));
        assert!(matches!(said(&service, "b", &news), Err(Refusal::Failed(_))));
        let nonsense = Bytes::from_static(b"\xff\xff\xff");
        let answer = service.answer(&"a".parse().unwrap(), Kind::LedgerRows, &nonsense);
        assert!(matches!(answer, Some(Answer::Now(Err(Refusal::Malformed)))));
        assert!(service.answer(&"a".parse().unwrap(), Kind::CacheGet, &nonsense).is_none());
    }

    #[tokio::test]
    async fn without_a_data_directory_it_works_and_says_that_nothing_lasts() {
        let service = service();
        service.watch().wait_for(|status| status.is_active()).await.unwrap();
        assert_eq!(service.status().durability.to_string(), "degraded");
        let id = crate::ledger::allowance::AllowanceId::from_bytes([1; 16]);
        let unit = crate::ledger::allowance::Unit::Tokens;
        let window = crate::ledger::window::WindowKind::Forever;
        let slot = service.slot(Allowance { id, unit, limit: 10, window });
        service.hold(&[Part { slot: &slot, amount: 10 }]).await.unwrap().settle(&[4]);
        let late = service.hold(&[Part { slot: &slot, amount: 7 }]).await.unwrap_err();
        assert_eq!(late, Denial::Exhausted { allowance: id, window_end: i64::MAX });
        assert_eq!(service.counters().await[0].spent, 4);
        service.close(Parting::Restart).await;
        assert_eq!(service.hold(&[Part { slot: &slot, amount: 1 }]).await.unwrap_err(), Denial::Busy);
    }
}
