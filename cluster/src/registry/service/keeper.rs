//! The thread that owns the registry.
//!
//! It takes what has come in, all of it, then saves once, and only then answers and tells. So many writes share one
//! sync of the disk, and no peer ever knows a write of this node that a crash would take from it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::courier::Peers;
use super::disk::Disk;
use super::reach::Reach;
use super::snapshot::Snapshot;
use super::status::{Durability, RegistryStatus, status_of};
use super::{Expected, WriteError};
use crate::actor::Actor;
use crate::identity::{Identity, NodeId};
use crate::registry::clock::Stamp;
use crate::registry::digest::Buckets;
use crate::registry::exchange::{Exchange, Now, Outgoing, SyncMessage};
use crate::registry::record::{Record, RecordKey};
use crate::registry::state::{Limits, Registry};
use crate::registry::store::{Loaded, Store, StoreError, WhenAhead};
use crate::registry::versions::Versions;

/// How often peers that have not answered are asked again, and it is looked who is to be greeted.
const TICK: Duration = Duration::from_millis(100);
/// A disk that failed is tried again this often.
pub(super) const DISK_AGAIN: Duration = Duration::from_secs(1);
/// Of so many commands at once the changes are saved together.
const BATCH: usize = 256;

/// Tells a writer under which stamp its write holds, and whether it is on disk.
type WriteReply = oneshot::Sender<Result<(Stamp, bool), WriteError>>;

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Command {
    Write {
        key: RecordKey,
        /// `None` removes.
        value: Option<Arc<[u8]>>,
        expected: Expected,
        reply: WriteReply,
    },
    Asked {
        from: NodeId,
        message: SyncMessage,
        reply: oneshot::Sender<Option<SyncMessage>>,
    },
    Answered {
        from: NodeId,
        message: SyncMessage,
    },
    Attach(mpsc::Sender<Outgoing>),
    Peers(Peers),
    Close(oneshot::Sender<()>),
}

/// What readers look at.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) status: watch::Receiver<Arc<RegistryStatus>>,
    pub(super) reach: watch::Receiver<Reach>,
}

#[derive(Debug)]
pub(super) struct Keeper {
    registry: Registry,
    exchange: Exchange,
    disk: Disk,
    peers: Peers,
    outbox: Option<mpsc::Sender<Outgoing>>,
    started: Instant,
    refused: u64,
    last_refusal: Option<String>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    status: watch::Sender<Arc<RegistryStatus>>,
    reach: watch::Sender<Reach>,
    /// What is to be said once all is saved.
    writes: Vec<(WriteReply, Result<Stamp, WriteError>)>,
    answers: Vec<(oneshot::Sender<Option<SyncMessage>>, Option<SyncMessage>)>,
    send: Vec<Outgoing>,
    changed: BTreeSet<RecordKey>,
}

impl Keeper {
    pub(super) fn open(
        identity: &Identity,
        file: Option<PathBuf>,
        limits: Limits,
        when_ahead: WhenAhead,
    ) -> Result<(Keeper, Handles), StoreError> {
        let actor = Actor { node: identity.node_id.clone(), incarnation: identity.incarnation };
        let (registry, disk) = match file {
            None => (Registry::new(actor, limits), Disk::None),
            Some(path) => {
                let store = Store::open(&path, &identity.cluster)?;
                let Loaded { registry, dropped } = store.load(wall_ms(), actor, limits, when_ahead)?;
                for record in &dropped {
                    warn!(key = %record.key, stamp = %record.stamp, "a record from the future is dropped");
                }
                (registry, Disk::of(path, identity.cluster.clone(), store))
            }
        };
        let all = registry.page(Buckets::ALL, &Versions::default(), None, usize::MAX).records;
        let snapshot = Arc::new(Snapshot::default().with(all, registry.digest()));
        let (snapshots, snapshot_seen) = watch::channel(snapshot);
        let (status, status_seen) = watch::channel(Arc::new(status_of(&registry, &disk, 0, None, 0)));
        let (reach, reach_seen) = watch::channel(Reach::default());
        let keeper = Keeper {
            registry,
            exchange: Exchange::default(),
            disk,
            peers: Peers::default(),
            outbox: None,
            started: Instant::now(),
            refused: 0,
            last_refusal: None,
            snapshots,
            status,
            reach,
            writes: Vec::new(),
            answers: Vec::new(),
            send: Vec::new(),
            changed: BTreeSet::new(),
        };
        keeper.tell_status(&keeper.snapshots.borrow());
        Ok((keeper, Handles { snapshots: snapshot_seen, status: status_seen, reach: reach_seen }))
    }

    /// Runs until it is closed or every handle is gone.
    pub(super) fn run(self, inbox: mpsc::Receiver<Command>) {
        match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(self.keep(inbox)),
            Err(error) => error!(%error, "the registry has no timer: it is closed"),
        }
    }

    async fn keep(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                taken = inbox.recv_many(&mut batch, BATCH) => if taken == 0 { return self.settle() },
                _ = tick.tick() => {}
            }
            let mut closed = None;
            for command in batch.drain(..) {
                match command {
                    Command::Close(reply) => closed = Some(reply),
                    command => self.take(command),
                }
            }
            self.settle();
            if let Some(reply) = closed {
                self.disk = Disk::None;
                // Dropping the inbox would drain it once: a write whose sender is in the middle of sending would lie in
                // it for ever, and with it the sender's answer. So all that is under way is taken, and dropped here.
                inbox.close();
                while inbox.recv().await.is_some() {}
                // Who closes may have stopped waiting.
                let _ = reply.send(());
                return;
            }
        }
    }

    fn now(&self) -> Now {
        Now { wall_ms: wall_ms(), steady_ms: self.started.elapsed().as_millis() as u64 }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Write { key, value, expected, reply } => {
                let written = self.write(key, value, &expected);
                self.writes.push((reply, written));
            }
            Command::Asked { from, message, reply } => {
                let answer = self.hear(&from, message);
                self.answers.push((reply, answer));
            }
            Command::Answered { from, message } => {
                self.hear(&from, message);
            }
            Command::Attach(outbox) => self.outbox = Some(outbox),
            Command::Peers(peers) => self.peers = peers,
            Command::Close(_) => {}
        }
    }

    fn write(&mut self, key: RecordKey, value: Option<Arc<[u8]>>, expected: &Expected) -> Result<Stamp, WriteError> {
        let held = self.registry.record(&key).map(|record| record.stamp);
        if let Expected::Seen(seen) = expected
            && *seen != held
        {
            return Err(WriteError::Changed(key));
        }
        let change = match value {
            Some(value) => Some(self.registry.put(wall_ms(), key.clone(), &value)?),
            None => self.registry.remove(wall_ms(), key.clone())?,
        };
        match (change, held) {
            (Some(change), _) => {
                self.changed.insert(key);
                Ok(change.record.stamp)
            }
            // Removed already.
            (None, Some(stamp)) => Ok(stamp),
            (None, None) => Err(WriteError::Changed(key)),
        }
    }

    fn hear(&mut self, from: &NodeId, message: SyncMessage) -> Option<SyncMessage> {
        let handled = self.exchange.handle(self.now(), &mut self.registry, from, message);
        self.changed.extend(handled.changes.into_iter().map(|change| change.record.key));
        for refused in handled.refused {
            // The first of a kind is worth a line; the same record comes again with every comparison.
            let text = refused.to_string();
            if self.last_refusal.as_ref() != Some(&text) {
                warn!("{text}");
            }
            self.refused += 1;
            self.last_refusal = Some(text);
        }
        for key in handled.doubled {
            error!(%key, "two values came under one stamp: two processes write as one node; give each its own identity");
        }
        self.send.extend(handled.send);
        handled.answer
    }

    /// Shows what is new, saves it, then tells it.
    fn settle(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let news = !changed.is_empty();
        if news {
            let records: Vec<Record> = changed.iter().filter_map(|key| self.registry.record(key)).collect();
            let next = self.snapshots.borrow().with(records, self.registry.digest());
            // Who sees the snapshot sees its revision in the status, too.
            self.tell_status(&next);
            self.snapshots.send_replace(Arc::new(next));
        }
        let tried = self.disk.save(&mut self.registry);
        if news || tried {
            self.tell_status(&self.snapshots.borrow());
        }
        let durable = self.disk.durability() == Durability::Ok;
        for (reply, written) in self.writes.drain(..) {
            // Who wrote may have stopped waiting.
            let _ = reply.send(written.map(|stamp| (stamp, durable)));
        }
        for (reply, answer) in self.answers.drain(..) {
            let _ = reply.send(answer);
        }
        let due = self.exchange.tick(self.now(), &self.registry, &self.peers.connected);
        if let Some(outbox) = &self.outbox {
            for question in self.send.drain(..).chain(due) {
                // A full outbox loses it, as the net may; it comes again.
                let _ = outbox.try_send(question);
            }
        }
        self.send.clear();
        let exchange = &self.exchange;
        let delivered = self.peers.live.iter().map(|id| (id.clone(), exchange.delivered(id))).collect();
        let reach = Reach { delivered, caught_up: exchange.caught_up() };
        self.reach.send_if_modified(|known| std::mem::replace(known, reach.clone()) != reach);
    }

    fn tell_status(&self, snapshot: &Snapshot) {
        let status =
            status_of(&self.registry, &self.disk, self.refused, self.last_refusal.clone(), snapshot.live_len());
        self.status.send_replace(Arc::new(RegistryStatus { revision: snapshot.revision, ..status }));
    }
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}
