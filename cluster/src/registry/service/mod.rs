//! The registry at work: a thread that keeps it and its file, the link that carries its messages, a snapshot for readers.
//!
//! - [`keeper`]: the one thread that owns registry, exchange and file. Every write and message goes through it, and
//!   nothing leaves it before what it says is on disk.
//! - [`disk`]: the file, also when it fails.
//! - [`courier`]: carries the keeper's questions to the live peers and their answers back.
//! - [`snapshot`]: what holds, for everybody who reads.
//!
//! A failing disk does not stop it: it goes on in memory, says so in its status, and writes everything again when the
//! disk takes it. A disk that hangs without failing does hold it up, as nothing may be told that is not saved.

mod courier;
mod disk;
mod keeper;
mod reach;
mod snapshot;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Stamp;
use super::error::RegistryError;
use super::exchange::SyncMessage;
use super::messages::{Hello, Push, Want};
use super::record::{RecordId, RecordKey, RecordKind};
use super::state::Limits;
use super::store::{StoreError, WhenAhead};
use crate::cluster::Cluster;
use crate::identity::{Identity, NodeId};
use crate::link::{Answer, Refusal};
use crate::wire::{self, Kind, Message};

use keeper::Command;
use reach::Reach;

pub use snapshot::Snapshot;
pub use status::{Durability, RegistryStatus};

/// How long a write waits for the word of the peers. It holds whatever they say.
pub const PEERS_WAIT: Duration = Duration::from_millis(300);
/// Writes and messages that wait for the keeper.
const QUEUE: usize = 1024;
const FILE: &str = "registry.redb";

/// What a registry at work is made of.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Who writes.
    pub identity: Identity,
    /// Where it survives a restart; `None`: nowhere.
    pub data_dir: Option<PathBuf>,
    /// How large it may become.
    pub limits: Limits,
    /// What to do when records of the file are from the future.
    pub when_ahead: WhenAhead,
}

/// Why the registry does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its file cannot be used.
    #[error("the registry: {0}")]
    Store(#[from] StoreError),
    /// It has no thread.
    #[error("the registry's thread could not start: {0}")]
    Thread(std::io::Error),
}

/// Why a write was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The registry does not take it.
    #[error(transparent)]
    Refused(#[from] RegistryError),
    /// It is not what the writer has seen.
    #[error("{0} was changed in the meantime: look at it again, then change it")]
    Changed(RecordKey),
    /// The node ends.
    #[error("the registry is closed: this node is ending")]
    Closed,
}

/// What a write relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: it holds whatever is there.
    Anything,
    /// The record as the writer saw it in a [`Snapshot`]; `None`: there was none.
    Seen(Option<Stamp>),
}

/// A write that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Under which it holds.
    pub stamp: Stamp,
    /// Whether it is on this node's disk.
    pub durable: bool,
    /// Live peers that took delivery of it so far.
    pub told: usize,
    /// Live peers.
    pub peers: usize,
}

/// The handle of a registry at work. Cheap to clone; may be used from any runtime.
#[derive(Clone, Debug)]
pub struct RegistryService {
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    status: watch::Receiver<Arc<RegistryStatus>>,
    reach: watch::Receiver<Reach>,
}

impl RegistryService {
    /// Reads the file under `data_dir`, or makes it, and starts the keeper. Blocks while it reads.
    pub fn start(config: ServiceConfig) -> Result<RegistryService, StartError> {
        let file = config.data_dir.map(|folder| folder.join(FILE));
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (started, handles) = keeper::Keeper::open(&config.identity, file, config.limits, config.when_ahead)?;
        let keeper::Handles { snapshots, status, reach } = handles;
        std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || started.run(inbox))
            .map_err(StartError::Thread)?;
        Ok(RegistryService { commands, snapshots, status, reach })
    }

    /// The answer to a peer's message of this room; none to a message of another. `from` must be the name that the
    /// peer's certificate proves.
    pub fn answer(&self, from: &NodeId, kind: Kind, payload: &Bytes) -> Option<Answer> {
        let read: fn(&[u8]) -> Result<SyncMessage, Refusal> = match kind {
            Kind::RegistryPush => |payload| read::<Push>(payload).map(SyncMessage::Push),
            Kind::RegistryHello => |payload| read::<Hello>(payload).map(SyncMessage::Hello),
            Kind::RegistryWant => |payload| read::<Want>(payload).map(SyncMessage::Want),
            _ => return None,
        };
        let (commands, from, payload) = (self.commands.clone(), from.clone(), payload.clone());
        Some(Answer::Later(Box::pin(async move {
            let message = read(&payload)?;
            let (reply, answer) = oneshot::channel();
            let gone = |_| Refusal::Failed("the registry is closed".to_owned());
            commands.send(Command::Asked { from, message, reply }).await.map_err(|_| gone(()))?;
            match answer.await.map_err(|_| gone(()))? {
                Some(SyncMessage::Pushed(answer)) => write(&answer),
                Some(SyncMessage::Summary(answer)) => write(&answer),
                Some(SyncMessage::Records(answer)) => write(&answer),
                _ => Err(Refusal::Malformed),
            }
        })))
    }

    /// Keeps the registry alike with the live peers until the cluster or the registry ends.
    pub async fn attach(self, cluster: Cluster) {
        courier::carry(self.commands, cluster).await;
    }

    /// Writes a record. It is on this node's disk when this returns, and the peers were told; their word is waited for
    /// up to [`PEERS_WAIT`].
    pub async fn put(
        &self,
        kind: RecordKind,
        id: &str,
        value: &[u8],
        expected: Expected,
    ) -> Result<Written, WriteError> {
        self.write(kind, id, Some(value.into()), expected).await
    }

    /// Removes a record, also one that is not known here. As lasting and as far told as a [`RegistryService::put`];
    /// removals of virtual keys go before everything else.
    pub async fn remove(&self, kind: RecordKind, id: &str, expected: Expected) -> Result<Written, WriteError> {
        self.write(kind, id, None, expected).await
    }

    async fn write(
        &self,
        kind: RecordKind,
        id: &str,
        value: Option<Arc<[u8]>>,
        expected: Expected,
    ) -> Result<Written, WriteError> {
        let key = RecordKey::new(kind, id).map_err(RegistryError::from)?;
        let (reply, done) = oneshot::channel();
        let write = Command::Write { key, value, expected, reply };
        self.commands.send(write).await.map_err(|_| WriteError::Closed)?;
        let (stamp, durable) = done.await.map_err(|_| WriteError::Closed)??;
        let mut reach = self.reach.clone();
        // Late or not, what is known by then is the answer.
        let _ = tokio::time::timeout(PEERS_WAIT, reach.wait_for(|reach| reach.all_know(stamp.time))).await;
        let (told, peers) = self.reach.borrow().count(stamp.time);
        Ok(Written { stamp, durable, told, peers })
    }

    /// Waits until this node has all that some peer had. Before that, it may not know of a revocation that was made while
    /// it was away.
    pub async fn caught_up(&self) {
        // An error means that the registry is closed, so nothing more will come.
        let _ = self.reach.clone().wait_for(|reach| reach.caught_up).await;
    }

    /// What holds under a name; `None` also when it was removed.
    pub fn get(&self, kind: RecordKind, id: &str) -> Option<Arc<[u8]>> {
        self.snapshot().get(kind, id)
    }

    /// All names of a kind that were not removed, in order, with their values.
    pub fn list(&self, kind: RecordKind) -> Vec<(RecordId, Arc<[u8]>)> {
        self.snapshot().live(kind).map(|(id, value)| (id.clone(), Arc::clone(value))).collect()
    }

    /// What holds.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// What holds, with every change of it.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// How it is.
    pub fn status(&self) -> Arc<RegistryStatus> {
        Arc::clone(&self.status.borrow())
    }

    /// Saves what is not saved and lets go of the file. Writes fail from then on; reading goes on.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            // An error means that it is closed already.
            let _ = closed.await;
        }
    }
}

fn read<M: Message>(payload: &[u8]) -> Result<M, Refusal> {
    wire::decode(payload).map_err(|_| Refusal::Malformed)
}

fn write<M: Message>(message: &M) -> Result<Bytes, Refusal> {
    wire::encode(message).map_err(|error| Refusal::Failed(error.to_string()))
}
