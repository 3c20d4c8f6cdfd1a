//! The small-call lane, the caller's side: one long-lived stream for all small calls to a peer.
//!
//! A call registers a oneshot under its id and queues its frame; one task writes all that is queued at once and hands
//! the answers out. Only those two channels cross threads, so that a call may be awaited on any runtime.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::limits::MAX_LANE_MESSAGE;
use super::stream::{FrameReader, StreamError};
use crate::wire::{Envelope, Frame, Kind, WireError};

/// Frames written at once.
const BATCH: usize = 256;
/// The pause before a lost lane is opened again on a connection that lives.
const REOPEN: Duration = Duration::from_millis(100);
/// Lanes go before bulk streams, after gossip.
const PRIORITY: i32 = 1;

/// An answer frame, still to be told from a refusal.
pub(super) type Reply = (Kind, Bytes);

/// Why a call on the lane has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LaneError {
    Lost,
    Full,
    Late,
    Wire(WireError),
}

/// The callers' end of a lane.
#[derive(Debug)]
pub(super) struct Lane {
    queue: mpsc::Sender<Bytes>,
    pending: Arc<Pending>,
    next_id: AtomicU64,
}

/// The lane task's end.
#[derive(Debug)]
pub(super) struct LaneWork {
    queue: mpsc::Receiver<Bytes>,
    pending: Arc<Pending>,
}

/// Calls that wait for their answer, in order, so that a simulation fails them in order; `None` once the connection is
/// gone.
#[derive(Debug)]
struct Pending {
    calls: Mutex<Option<BTreeMap<u64, oneshot::Sender<Reply>>>>,
    max: usize,
}

impl Pending {
    fn with<T>(&self, work: impl FnOnce(&mut Option<BTreeMap<u64, oneshot::Sender<Reply>>>) -> T) -> T {
        work(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, id: u64, answer: oneshot::Sender<Reply>) -> Result<(), LaneError> {
        self.with(|calls| match calls {
            None => Err(LaneError::Lost),
            Some(calls) if calls.len() >= self.max => Err(LaneError::Full),
            Some(calls) => {
                calls.insert(id, answer);
                Ok(())
            }
        })
    }

    fn take(&self, id: u64) -> Option<oneshot::Sender<Reply>> {
        self.with(|calls| calls.as_mut().and_then(|calls| calls.remove(&id)))
    }

    /// Dropping the senders is what tells the callers.
    fn fail_all(&self) {
        drop(self.with(|calls| calls.as_mut().map(std::mem::take)));
    }

    fn close(&self) {
        drop(self.with(Option::take));
    }
}

/// Forgets a call whose caller went away or ran out of time; its answer is then ignored.
struct Registered<'a> {
    pending: &'a Pending,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.pending.take(self.id);
    }
}

/// A lane for a new connection.
pub(super) fn lane(queue: usize, pending: usize) -> (Lane, LaneWork) {
    let (sender, receiver) = mpsc::channel(queue);
    let pending = Arc::new(Pending { calls: Mutex::new(Some(BTreeMap::new())), max: pending });
    let lane = Lane { queue: sender, pending: Arc::clone(&pending), next_id: AtomicU64::new(0) };
    (lane, LaneWork { queue: receiver, pending })
}

impl Lane {
    pub(super) async fn call(&self, kind: Kind, payload: &[u8], deadline: Duration) -> Result<Reply, LaneError> {
        if payload.len() > MAX_LANE_MESSAGE {
            return Err(LaneError::Wire(WireError::TooLong { kind, len: payload.len(), max: MAX_LANE_MESSAGE }));
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let frame = Frame::encode(Envelope::Request { id, deadline_ms }, kind, payload).map_err(LaneError::Wire)?;
        let (answer, waiting) = oneshot::channel();
        self.pending.add(id, answer)?;
        let _registered = Registered { pending: &self.pending, id };
        self.queue.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LaneError::Full,
            mpsc::error::TrySendError::Closed(_) => LaneError::Lost,
        })?;
        match timeout(deadline, waiting).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(LaneError::Lost),
            Err(_) => Err(LaneError::Late),
        }
    }
}

/// Also when the task is ended from outside, nobody waits for an answer that cannot come.
impl Drop for LaneWork {
    fn drop(&mut self) {
        self.pending.close();
    }
}

impl LaneWork {
    /// Keeps a lane open as long as the connection lives. An error is the peer's breach of the protocol.
    pub(super) async fn run(mut self, connection: Connection, gone: CancellationToken) -> Result<(), WireError> {
        loop {
            let lost = tokio::select! {
                biased;
                lost = self.run_once(&connection) => lost,
                () = gone.cancelled() => return Ok(()),
            };
            match lost {
                Err(StreamError::Wire(error)) => return Err(error),
                _ if connection.close_reason().is_some() => return Ok(()),
                _ => {}
            }
            self.pending.fail_all();
            // What is still queued belongs to the calls that just failed.
            while self.queue.try_recv().is_ok() {}
            tokio::select! {
                biased;
                () = tokio::time::sleep(REOPEN) => {}
                () = gone.cancelled() => return Ok(()),
            }
        }
    }

    async fn run_once(&mut self, connection: &Connection) -> Result<(), StreamError> {
        let (mut send, recv) = connection.open_bi().await.map_err(StreamError::Connection)?;
        // Fails only on a stream that is closed already, which the first write tells.
        let _ = send.set_priority(PRIORITY);
        tokio::select! {
            biased;
            lost = write(&mut self.queue, &mut send) => {
                let _ = send.reset(VarInt::from_u32(0));
                lost
            }
            lost = read(recv, &self.pending) => lost,
        }
    }
}

async fn write(queue: &mut mpsc::Receiver<Bytes>, send: &mut SendStream) -> Result<(), StreamError> {
    let mut batch = Vec::with_capacity(BATCH);
    // While one batch is written the next one gathers: the busier the lane, the fewer packets a call.
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        send.write_all_chunks(&mut batch).await.map_err(StreamError::Write)?;
        batch.clear();
    }
    Ok(())
}

async fn read(recv: RecvStream, pending: &Pending) -> Result<(), StreamError> {
    let mut reader = FrameReader::new(recv, MAX_LANE_MESSAGE);
    while let Some(frame) = reader.next().await? {
        let Envelope::Response { id } = frame.envelope else {
            return Err(WireError::Misplaced(frame.kind).into());
        };
        if let Some(answer) = pending.take(id) {
            // A caller that left a moment ago does not mind.
            let _ = answer.send((frame.kind, frame.payload));
        }
    }
    Ok(())
}
