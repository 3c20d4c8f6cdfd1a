//! One thread that writes for all: what comes while the disk is busy shares the next sync.
//!
//! A record takes its place in the queue when the method is called, not when its future is first polled, so that a
//! caller who holds a lock over its state and the call has both in one order. Nothing here waits on the caller's thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::WriteError;
use super::status::{Durability, Sequence, Status, Wanted};
use super::v1::MAX_RECORD;
use super::writer::Journal;

/// With less than this left a disk is taken for full: a quiet journal would find out only with its next record.
const FULL: u64 = 64 * 1024;
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How the thread batches.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The longest that a record waits for company when nobody waits for it.
    pub delay: Duration,
    /// The most records in one sync.
    pub records: usize,
    /// The most records that wait for the thread.
    pub queue: usize,
    /// How often a degraded journal tries to write again.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { delay: Duration::from_millis(5), records: 256, queue: 8192, retry: Duration::from_secs(1) }
    }
}

type Outcome = Result<Sequence, WriteError>;

#[derive(Debug)]
enum Command {
    Append(Vec<u8>),
    Durable(Vec<u8>, oneshot::Sender<Outcome>),
    Snapshot { bytes: Vec<u8>, refused_before: u64, answer: oneshot::Sender<Outcome> },
    Close(oneshot::Sender<Outcome>),
}

/// A journal on a thread of its own; clones write to the same one. The thread ends with [`GroupCommit::close`], or
/// when the last clone is gone and the queue is written.
#[derive(Clone, Debug)]
pub struct GroupCommit {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    refused: Arc<AtomicU64>,
}

impl GroupCommit {
    /// Starts the thread.
    pub fn start(journal: Journal, pace: Pace) -> io::Result<GroupCommit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (commands, queue) = mpsc::channel(pace.queue.max(1));
        let (publish, status) = watch::channel(journal.status());
        let refused = Arc::new(AtomicU64::new(0));
        let committer = Committer {
            journal,
            pace,
            queue,
            waiting: Vec::new(),
            publish,
            refused: Arc::clone(&refused),
            refused_covered: 0,
            full: None,
        };
        let thread = std::thread::Builder::new().name("peerway-journal".to_owned());
        thread.spawn(move || runtime.block_on(committer.run()))?;
        Ok(GroupCommit { commands, status, refused })
    }

    /// Writes a record soon; nobody learns when. For records whose loss costs no more than an over-count.
    ///
    /// On an error the record is not in the log; the journal then asks for a snapshot, which makes up for it.
    pub fn append(&self, record: Vec<u8>) -> Result<(), WriteError> {
        fitting(&record)?;
        let sent = self.send(Command::Append(record));
        if sent == Err(WriteError::QueueFull) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Writes a record at once; the future is done when it is on disk, or cannot be put there.
    ///
    /// The record is written also when the future is dropped. A degraded journal answers [`WriteError::Degraded`] and
    /// still counts the record: the caller decides whether to go on without a disk.
    pub fn append_durable(&self, record: Vec<u8>) -> impl Future<Output = Outcome> + Send + use<> {
        let queued = fitting(&record).and_then(|()| self.ask(|answer| Command::Durable(record, answer)));
        answered(queued)
    }

    /// Puts the owner's whole state on disk in place of all records that were queued before this call.
    pub fn snapshot(&self, bytes: Vec<u8>) -> impl Future<Output = Outcome> + Send + use<> {
        // What was refused before this call is in the owner's state, and so in its snapshot.
        let refused_before = self.refused.load(Ordering::Relaxed);
        answered(self.ask(|answer| Command::Snapshot { bytes, refused_before, answer }))
    }

    /// Writes all that is queued and ends the thread; who appends after that is told that it is closed.
    pub async fn close(&self) -> Result<Sequence, WriteError> {
        let (answer, outcome) = oneshot::channel();
        self.commands.send(Command::Close(answer)).await.map_err(|_| WriteError::Closed)?;
        outcome.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Whether what is written reaches the disk.
    pub fn durability(&self) -> Durability {
        self.status.borrow().durability.clone()
    }

    /// The journal's state after the last batch.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Tells of every change of the state: of durability, and of a wanted snapshot.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Outcome>) -> Command,
    ) -> Result<oneshot::Receiver<Outcome>, WriteError> {
        let (answer, outcome) = oneshot::channel();
        self.send(command(answer)).map(|()| outcome)
    }

    fn send(&self, command: Command) -> Result<(), WriteError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => WriteError::QueueFull,
            TrySendError::Closed(_) => WriteError::Closed,
        })
    }
}

/// Checked before the queue, so that the thread meets no record that it cannot take.
fn fitting(record: &[u8]) -> Result<(), WriteError> {
    if record.len() > MAX_RECORD { Err(WriteError::TooLong(record.len())) } else { Ok(()) }
}

async fn answered(queued: Result<oneshot::Receiver<Outcome>, WriteError>) -> Outcome {
    queued?.await.unwrap_or(Err(WriteError::Closed))
}

struct Committer {
    journal: Journal,
    pace: Pace,
    queue: mpsc::Receiver<Command>,
    waiting: Vec<(Sequence, oneshot::Sender<Outcome>)>,
    publish: watch::Sender<Status>,
    refused: Arc<AtomicU64>,
    refused_covered: u64,
    full: Option<Arc<str>>,
}

/// What is left to do when a batch is complete.
enum After {
    More,
    Snapshot { bytes: Vec<u8>, refused_before: u64, answer: oneshot::Sender<Outcome> },
    End(Option<oneshot::Sender<Outcome>>),
}

enum Turn {
    Command(Option<Command>),
    Retry,
    Look,
}

impl Committer {
    async fn run(mut self) {
        let mut retry_at = Instant::now() + self.pace.retry;
        let mut look_at = Instant::now();
        loop {
            let degraded = self.journal.durability() != Durability::Ok;
            let turn = tokio::select! {
                biased;
                () = sleep_until(retry_at), if degraded => Turn::Retry,
                () = sleep_until(look_at) => Turn::Look,
                command = self.queue.recv() => Turn::Command(command),
            };
            match turn {
                Turn::Retry => {
                    self.journal.retry();
                    retry_at = Instant::now() + self.pace.retry;
                }
                Turn::Look => {
                    self.full = self.look();
                    look_at = Instant::now() + LOOK;
                }
                Turn::Command(command) => {
                    let after = self.batch(command).await;
                    self.commit();
                    match after {
                        After::More => {}
                        After::Snapshot { bytes, refused_before, answer } => {
                            let outcome = self.journal.snapshot(&bytes);
                            if outcome.is_ok() {
                                self.refused_covered = refused_before;
                            }
                            self.tell();
                            answer.send(outcome).ok();
                        }
                        After::End(answer) => {
                            self.finish(answer).await;
                            return;
                        }
                    }
                    if !degraded {
                        retry_at = Instant::now() + self.pace.retry;
                    }
                }
            }
            self.tell();
        }
    }

    fn look(&self) -> Option<Arc<str>> {
        let left = self.journal.space().filter(|left| *left < FULL)?;
        Some(format!("the disk of {} has {left} bytes left: make room", self.journal.place().display()).into())
    }

    /// Appends what comes, until somebody waits for it and no more is queued, or it is much, or its time is over.
    async fn batch(&mut self, first: Option<Command>) -> After {
        let deadline = Instant::now() + self.pace.delay;
        let mut next = first;
        for taken in 1.. {
            let Some(command) = next else { return After::End(None) };
            match command {
                Command::Append(record) => {
                    self.append(&record);
                }
                Command::Durable(record, answer) => {
                    if let Some(sequence) = self.append(&record) {
                        self.waiting.push((sequence, answer));
                    }
                }
                Command::Snapshot { bytes, refused_before, answer } => {
                    return After::Snapshot { bytes, refused_before, answer };
                }
                Command::Close(answer) => return After::End(Some(answer)),
            }
            if taken >= self.pace.records {
                break;
            }
            next = if self.waiting.is_empty() {
                match timeout_at(deadline, self.queue.recv()).await {
                    Ok(command) => command,
                    Err(_) => break,
                }
            } else {
                match self.queue.try_recv() {
                    Ok(command) => Some(command),
                    Err(_) => break,
                }
            };
        }
        After::More
    }

    /// Writes what others queued while this end was on its way, and closes the queue behind it.
    async fn finish(&mut self, answer: Option<oneshot::Sender<Outcome>>) {
        self.queue.close();
        // Ends when also those are in who are sending at this moment.
        while let Some(command) = self.queue.recv().await {
            match command {
                Command::Append(record) => {
                    self.append(&record);
                }
                Command::Durable(record, answer) => {
                    if let Some(sequence) = self.append(&record) {
                        self.waiting.push((sequence, answer));
                    }
                }
                // Dropped answers say that the journal is closed; the log has all that they ask for.
                Command::Snapshot { .. } | Command::Close(_) => {}
            }
        }
        self.commit();
        if let Some(answer) = answer {
            answer.send(self.journal.sync()).ok();
        }
    }

    fn append(&mut self, record: &[u8]) -> Option<Sequence> {
        // Only a record that is too long is refused, and those do not come this far.
        self.journal.append(record).ok()
    }

    fn commit(&mut self) {
        let outcome = self.journal.sync();
        self.tell();
        for (sequence, answer) in self.waiting.drain(..) {
            // Who does not wait any more does not need to hear it.
            answer.send(outcome.clone().map(|_| sequence)).ok();
        }
    }

    /// Publishes the state, before anybody is answered: who has an answer sees a state at least as new.
    fn tell(&self) {
        let mut status = self.journal.status();
        status.counters.refused = self.refused.load(Ordering::Relaxed);
        if status.counters.refused > self.refused_covered && status.durability == Durability::Ok {
            status.wanted = Some(Wanted::Gap);
        }
        if let (Some(full), Durability::Ok) = (&self.full, &status.durability) {
            status.durability = Durability::Degraded(Arc::clone(full));
        }
        self.publish.send_if_modified(|published| {
            let changed = *published != status;
            *published = status;
            changed
        });
    }
}
