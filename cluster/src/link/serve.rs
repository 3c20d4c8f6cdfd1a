//! The serving side of both lanes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::debug;

use super::clock::Pong;
use super::codes::CANCELLED;
use super::counters::add;
use super::limits::MAX_LANE_MESSAGE;
use super::peers::Peer;
use super::reach;
use super::shared::Shared;
use super::stream::{FrameReader, StreamError, read_header, read_payload, write_one};
use super::{Answer, Refusal};
use crate::wire::{self, Envelope, Frame, Kind, Message as _, WireError};

/// Answers written at once.
const BATCH: usize = 256;
/// A lane that its caller lost may still be open here while the next one begins.
const LANES: usize = 2;
/// A caller cannot keep a call alive for longer than this.
const LONGEST: Duration = Duration::from_secs(60);
/// The request of a bulk call must have come by then.
const BULK_READ: Duration = Duration::from_secs(30);

/// How much is served at once for one peer.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) small: Arc<Semaphore>,
    pub(super) bulk: Arc<Semaphore>,
}

/// Serves every stream that a peer opens: its lane, and one for each bulk call.
pub(super) async fn accept(shared: Arc<Shared>, peer: Arc<Peer>, bounds: Arc<Bounds>) {
    let lanes = Arc::new(Semaphore::new(LANES));
    while let Ok((send, recv)) = peer.connection.accept_bi().await {
        let serving = Serving { shared: Arc::clone(&shared), peer: Arc::clone(&peer), bounds: Arc::clone(&bounds) };
        let lanes = Arc::clone(&lanes);
        shared.spawn(async move {
            let Err(error) = serving.stream(send, recv, &lanes).await else { return };
            match error.breach() {
                Some(breach) => serving.shared.cut(&serving.peer.connection, &breach),
                None => debug!(peer = %serving.peer.id, %error, "a stream ended"),
            }
        });
    }
}

struct Serving {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    bounds: Arc<Bounds>,
}

impl Serving {
    async fn stream(&self, send: SendStream, mut recv: RecvStream, lanes: &Semaphore) -> Result<(), StreamError> {
        let header = read_header(&mut recv).await?;
        if header.is_plain() {
            return self.bulk(send, recv, header).await;
        }
        let _lane = lanes.try_acquire().map_err(|_| WireError::Misplaced(header.kind))?;
        self.lane(send, FrameReader::resume(recv, MAX_LANE_MESSAGE, &header.to_bytes())).await
    }

    /// One task reads, serves and writes: an answer that is ready costs no wake-up of another task. While a write
    /// waits for the peer nothing is read, so a peer that does not take its answers is not served more.
    async fn lane(&self, mut send: SendStream, mut reader: FrameReader) -> Result<(), StreamError> {
        let (later, mut done) = mpsc::channel(BATCH);
        let mut answers: Vec<Bytes> = Vec::with_capacity(BATCH);
        loop {
            while answers.len() < BATCH {
                let Some(frame) = reader.buffered()? else { break };
                let Envelope::Request { id, deadline_ms } = frame.envelope else {
                    return Err(WireError::Misplaced(frame.kind).into());
                };
                let call = Call { id, kind: frame.kind, answered_by: answered_by(frame.kind)? };
                match self.answer(frame.kind, frame.payload) {
                    Answer::Now(answer) => answers.push(call.answered(answer)?),
                    Answer::Later(answer) => match Arc::clone(&self.bounds.small).try_acquire_owned() {
                        Ok(permit) => {
                            let deadline = Duration::from_millis(deadline_ms.into()).min(LONGEST);
                            self.spawn_later(call, answer, deadline, later.clone(), permit);
                        }
                        Err(_) => {
                            add(&self.shared.counters.calls_shed);
                            answers.push(call.answered(Err(Refusal::Overloaded))?);
                        }
                    },
                }
            }
            if !answers.is_empty() {
                send.write_all_chunks(&mut answers).await.map_err(StreamError::Write)?;
                answers.clear();
                continue;
            }
            tokio::select! {
                biased;
                _ = done.recv_many(&mut answers, BATCH) => {}
                more = reader.fill() => if !more? { return Ok(()) },
            }
        }
    }

    fn spawn_later(
        &self,
        call: Call,
        answer: super::LaterAnswer,
        deadline: Duration,
        done: mpsc::Sender<Bytes>,
        permit: OwnedSemaphorePermit,
    ) {
        let gone = self.peer.gone.clone();
        self.shared.spawn(async move {
            let answer = tokio::select! {
                biased;
                answer = timeout(deadline, answer) => answer.unwrap_or(Err(Refusal::Late)),
                () = gone.cancelled() => return,
            };
            drop(permit);
            if let Ok(frame) = call.answered(answer) {
                // The lane may be gone by now, and with it whoever asked.
                let _ = done.send(frame).await;
            }
        });
    }

    async fn bulk(&self, mut send: SendStream, mut recv: RecvStream, header: wire::Header) -> Result<(), StreamError> {
        let kind = header.kind;
        let answered_by = answered_by(kind)?;
        // Before anything large is read, so that what waits here is in the peer's memory and not in ours.
        let Ok(_permit) = self.bounds.bulk.acquire().await else { return Ok(()) };
        let Ok(request) = timeout(BULK_READ, read_payload(&mut recv, header)).await else {
            let _ = recv.stop(CANCELLED);
            return Ok(());
        };
        let answer = match self.answer(kind, request?) {
            Answer::Now(answer) => answer,
            Answer::Later(answer) => tokio::select! {
                biased;
                answer = answer => answer,
                _ = send.stopped() => return Ok(()),
            },
        };
        // The peer's stop after its deadline is no error.
        match answer {
            Ok(payload) if payload.len() <= answered_by.max_len() => write_one(&mut send, answered_by, payload).await,
            Ok(_) => write_one(&mut send, Kind::LinkRefusal, refusal(Refusal::TooLong)?).await,
            Err(reason) => write_one(&mut send, Kind::LinkRefusal, refusal(reason)?).await,
        }
    }

    fn answer(&self, kind: Kind, payload: Bytes) -> Answer {
        add(&self.shared.counters.calls_served);
        match kind {
            Kind::LinkPing => {
                let pong = Pong { wall_micros: self.shared.clock.micros() };
                Answer::Now(wire::encode(&pong).map_err(|_| Refusal::Malformed))
            }
            Kind::LinkReach => reach::serve(&self.shared, self.peer.address),
            _ => self.shared.service.serve(&self.peer.id, kind, payload),
        }
    }
}

/// The kind of the answer; what has none is not a request, and a peer that sends it as one is not sane.
fn answered_by(kind: Kind) -> Result<Kind, WireError> {
    kind.response().ok_or(WireError::Misplaced(kind))
}

struct Call {
    id: u64,
    kind: Kind,
    answered_by: Kind,
}

impl Call {
    fn answered(&self, answer: Result<Bytes, Refusal>) -> Result<Bytes, StreamError> {
        let envelope = Envelope::Response { id: self.id };
        let frame = match answer {
            Ok(payload) if payload.len() > MAX_LANE_MESSAGE => {
                debug!(kind = %self.kind, len = payload.len(), "an answer is too long for the lane");
                Frame::encode(envelope, Kind::LinkRefusal, &refusal(Refusal::TooLong)?)
            }
            Ok(payload) => Frame::encode(envelope, self.answered_by, &payload),
            Err(reason) => Frame::encode(envelope, Kind::LinkRefusal, &refusal(reason)?),
        };
        Ok(frame?)
    }
}

fn refusal(mut reason: Refusal) -> Result<Bytes, WireError> {
    if let Refusal::Failed(text) = &mut reason {
        let end = text.floor_char_boundary(Refusal::MAX_LEN - 16);
        text.truncate(end);
    }
    wire::encode(&reason)
}
