//! Dialling: one task for each wanted address, which waits while the peer there is connected.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::DialStatus;
use super::greet::{self, DialError};
use super::peers::Peer;
use super::shared::Shared;
use crate::identity::NodeId;

/// An address that only gossip mentioned is dialled for this long after the last mention.
const MENTION: Duration = Duration::from_secs(60);
/// A mention ends the pause before the next dial at most this often.
const NUDGE_EVERY: Duration = Duration::from_secs(1);

/// Who wants an address dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The configuration or discovery: until it is forgotten.
    Lasting,
    /// Gossip: while it goes on mentioning the address.
    Mentioned,
}

#[derive(Debug, Default)]
pub(super) struct Dials {
    entries: Mutex<HashMap<SocketAddr, Arc<Dial>>>,
}

#[derive(Debug)]
struct Dial {
    address: SocketAddr,
    state: Mutex<State>,
    nudge: Notify,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    lasting: bool,
    mentioned: Instant,
    nudged: Instant,
    attempts: u32,
    last_error: Option<String>,
    /// Who answered here last; its advertised address may be another.
    peer: Option<NodeId>,
    /// The address leads back to this node.
    oneself: bool,
}

impl Dial {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn connected(&self, shared: &Shared) -> Option<Arc<Peer>> {
        let last = self.with(|state| state.peer.clone());
        shared.peers.by_address(&self.address).or_else(|| last.and_then(|id| shared.peers.by_id(&id)))
    }

    fn is_wanted(&self) -> bool {
        self.with(|state| state.lasting || state.mentioned.elapsed() < MENTION)
    }
}

impl Dials {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<SocketAddr, Arc<Dial>>) -> T) -> T {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn want(shared: &Arc<Shared>, address: SocketAddr, wish: Wish) {
        if address == shared.advertised || address == shared.local || shared.cancel.is_cancelled() {
            return;
        }
        let now = Instant::now();
        let started = shared.dials.with(|entries| {
            if let Some(dial) = entries.get(&address) {
                let nudge = dial.with(|state| {
                    state.lasting |= wish == Wish::Lasting;
                    state.mentioned = now;
                    let nudge = now.duration_since(state.nudged) >= NUDGE_EVERY;
                    if nudge {
                        state.nudged = now;
                    }
                    nudge
                });
                if nudge {
                    dial.nudge.notify_one();
                }
                return None;
            }
            if entries.len() >= shared.limits.max_dials {
                debug!(%address, "too many addresses are dialled already");
                return None;
            }
            let dial = Arc::new(Dial {
                address,
                state: Mutex::new(State {
                    lasting: wish == Wish::Lasting,
                    mentioned: now,
                    nudged: now,
                    attempts: 0,
                    last_error: None,
                    peer: None,
                    oneself: false,
                }),
                nudge: Notify::new(),
                stop: shared.cancel.child_token(),
            });
            entries.insert(address, Arc::clone(&dial));
            Some(dial)
        });
        if let Some(dial) = started {
            let task = Arc::clone(shared);
            shared.spawn(async move {
                tokio::select! {
                    biased;
                    () = run(&task, &dial) => {}
                    () = dial.stop.cancelled() => {}
                }
            });
        }
    }

    /// Ends the pause of an address whose peer has just come by itself, so that the dialler waits for its end instead.
    pub(super) fn nudge(&self, address: &SocketAddr) {
        if let Some(dial) = self.with(|entries| entries.get(address).cloned()) {
            dial.nudge.notify_one();
        }
    }

    pub(super) fn forget(&self, address: &SocketAddr) {
        if let Some(dial) = self.with(|entries| entries.remove(address)) {
            dial.stop.cancel();
        }
    }

    pub(super) fn status(&self, shared: &Shared) -> Vec<DialStatus> {
        let dials: Vec<Arc<Dial>> = self.with(|entries| entries.values().cloned().collect());
        let mut list: Vec<DialStatus> = dials
            .iter()
            .map(|dial| {
                let connected = dial.connected(shared).map(|peer| peer.id.clone());
                dial.with(|state| DialStatus {
                    address: dial.address,
                    connected,
                    attempts: state.attempts,
                    last_error: state.last_error.clone(),
                    oneself: state.oneself,
                })
            })
            .collect();
        list.sort_by_key(|dial| dial.address);
        list
    }
}

async fn run(shared: &Arc<Shared>, dial: &Dial) {
    loop {
        if let Some(peer) = dial.connected(shared) {
            dial.with(|state| {
                state.attempts = 0;
                state.last_error = None;
            });
            peer.gone.cancelled().await;
            dial.with(|state| state.mentioned = Instant::now());
            // Both sides lost it at once: who waits longer finds the other's connection.
            sleep(shared.limits.backoff_min.mul_f64(0.5 * shared.jitter())).await;
            continue;
        }
        if !dial.is_wanted() {
            shared.dials.with(|entries| entries.remove(&dial.address));
            return;
        }
        match greet::outbound(shared, dial.address).await {
            Ok(id) => {
                dial.with(|state| state.peer = Some(id));
                // A spare connection of a peer whose other one just ended would make this loop spin.
                sleep(shared.limits.backoff_min.mul_f64(0.1)).await;
                continue;
            }
            Err(DialError::Oneself) => {
                debug!(address = %dial.address, "the address leads back to this node");
                dial.with(|state| {
                    state.oneself = true;
                    state.last_error = Some(DialError::Oneself.to_string());
                });
                // It stays in the table, so that a list of seeds with ourselves in it costs one dial.
                dial.stop.cancelled().await;
                return;
            }
            Err(error) => {
                debug!(address = %dial.address, %error, "no peer");
                let attempt = dial.with(|state| {
                    state.attempts = state.attempts.saturating_add(1);
                    state.last_error = Some(error.to_string());
                    state.attempts
                });
                let limits = &shared.limits;
                let first = sleep(pause(1, limits.backoff_min, limits.backoff_max, shared.jitter()));
                let rest = sleep(pause(attempt, limits.backoff_min, limits.backoff_max, shared.jitter()));
                // Even who is mentioned all the time is not dialled without a pause.
                tokio::join!(first, async {
                    tokio::select! {
                        biased;
                        () = rest => {}
                        () = dial.nudge.notified() => {}
                    }
                });
            }
        }
    }
}

/// Doubles from attempt to attempt; half of it is jitter, so that nodes that lost one peer do not return in step.
fn pause(attempt: u32, min: Duration, max: Duration, jitter: f64) -> Duration {
    let doubled = min.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(max).mul_f64(0.5 + 0.5 * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(10));
        let at = |attempt, jitter| pause(attempt, min, max, jitter).as_millis();
        assert_eq!((at(1, 0.0), at(1, 1.0)), (50, 100));
        assert_eq!((at(4, 1.0), at(8, 1.0), at(40, 1.0), at(u32::MAX, 0.0)), (800, 10_000, 10_000, 5_000));
    }
}
