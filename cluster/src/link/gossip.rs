//! The gossip lane: one unidirectional stream for each message of the membership protocol.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable as _, Serializable as _};
use quinn::SendStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use super::counters::add;
use super::dial::{Dials, Wish};
use super::peers::Peer;
use super::session::cut_flood;
use super::shared::{Gossip, Shared};
use super::stream::{StreamError, read_one};
use crate::wire::{Envelope, Frame, Kind, WireError};

/// Gossip is small and late gossip costs peers their standing, so it goes first.
const PRIORITY: i32 = 2;

/// Carries chitchat's messages over the link. One socket may be open at a time.
#[derive(Clone, Debug)]
pub struct GossipTransport {
    pub(super) shared: Arc<Shared>,
}

#[async_trait]
impl Transport for GossipTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let inbox = self.shared.inbox_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let inbox = inbox.ok_or_else(|| anyhow::anyhow!("the gossip of this link is already listened to"))?;
        Ok(Box::new(GossipSocket { shared: Arc::clone(&self.shared), inbox: Some(inbox) }))
    }
}

struct GossipSocket {
    shared: Arc<Shared>,
    inbox: Option<mpsc::Receiver<Gossip>>,
}

#[async_trait]
impl Socket for GossipSocket {
    /// Only queues: it is awaited in the one task that does all of the membership's work.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let shared = &self.shared;
        let Some(peer) = shared.peers.by_address(&to) else {
            add(&shared.counters.gossip_dropped);
            Dials::want(shared, to, Wish::Mentioned);
            return Ok(());
        };
        let frame = Frame::encode(Envelope::Plain, Kind::MembershipGossip, &message.serialize_to_vec())?;
        match peer.gossip.try_send(frame) {
            Ok(()) => add(&shared.counters.gossip_sent),
            Err(_) => add(&shared.counters.gossip_dropped),
        }
        Ok(())
    }

    /// Never fails: an error would end the membership for the sake of one peer.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        if let Some(inbox) = &mut self.inbox
            && let Some(gossip) = inbox.recv().await
        {
            return Ok(gossip);
        }
        std::future::pending().await
    }
}

impl Drop for GossipSocket {
    fn drop(&mut self) {
        *self.shared.inbox_end.lock().unwrap_or_else(PoisonError::into_inner) = self.inbox.take();
    }
}

/// Sends what is queued for a peer.
pub(super) async fn send(shared: Arc<Shared>, peer: Arc<Peer>, mut queue: mpsc::Receiver<Bytes>) {
    loop {
        let frame = tokio::select! {
            biased;
            frame = queue.recv() => frame,
            () = peer.gone.cancelled() => None,
        };
        let Some(frame) = frame else { return };
        let written = async {
            let mut stream: SendStream = peer.connection.open_uni().await?;
            // These fail only on a stream that is finished or reset, which a new one is not.
            let _ = stream.set_priority(PRIORITY);
            stream.write_chunk(frame).await.map_err(StreamError::Write)?;
            let _ = stream.finish();
            Ok::<_, StreamError>(())
        };
        if let Err(error) = written.await {
            debug!(peer = %peer.id, %error, "gossip not sent");
            add(&shared.counters.gossip_dropped);
        }
    }
}

/// Takes a peer's messages to the membership.
pub(super) async fn receive(shared: Arc<Shared>, peer: Arc<Peer>) {
    let mut bucket = Bucket::new(shared.limits.gossip_per_second, shared.limits.gossip_burst, Instant::now());
    while let Ok(mut stream) = peer.connection.accept_uni().await {
        if !bucket.take(Instant::now()) {
            cut_flood(&shared, &peer);
            return;
        }
        // A task each, so that one that lingers does not hold up the others; QUIC's stream limit bounds them.
        let (task, from) = (Arc::clone(&shared), Arc::clone(&peer));
        shared.spawn(async move {
            let message = match read_one(&mut stream).await {
                Ok((kind, payload)) => understand(kind, &payload),
                Err(error) => match error.breach() {
                    Some(breach) => Err(breach),
                    None => return,
                },
            };
            match message {
                Ok(message) => {
                    add(&task.counters.gossip_received);
                    if task.inbox.try_send((from.address, message)).is_err() {
                        add(&task.counters.gossip_dropped);
                    }
                }
                Err(breach) => task.cut(&from.connection, &breach),
            }
        });
    }
}

fn understand(kind: Kind, payload: &[u8]) -> Result<ChitchatMessage, WireError> {
    if kind != Kind::MembershipGossip {
        return Err(WireError::Misplaced(kind));
    }
    let mut rest = payload;
    let message = ChitchatMessage::deserialize(&mut rest)
        .map_err(|error| WireError::Payload { kind, reason: error.to_string() })?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(WireError::Payload { kind, reason: format!("{} bytes too many", rest.len()) })
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_second: u32, burst: u32, now: Instant) -> Bucket {
        Bucket { per_second: per_second.into(), burst: burst.into(), tokens: burst.into(), at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let refill = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + refill).min(self.burst);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_bytes_of_gossip_never_change() {
        // Chitchat's own encoding: magic, version 0, type 3. A new version of it must be a new kind of ours.
        assert_eq!(ChitchatMessage::BadCluster.serialize_to_vec(), [0x53, 0xb0, 0, 3]);
        assert_eq!(understand(Kind::MembershipGossip, &[0x53, 0xb0, 0, 3]), Ok(ChitchatMessage::BadCluster));
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(200, 400, start);
        assert_eq!((0..1000).filter(|_| bucket.take(start)).count(), 400);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| bucket.take(later)).count(), 200);
    }
}
