//! The end of a node in three steps: not ready, no new connections, nothing in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not yet in the cluster's ring.
    Starting,
    Serving,
    /// `/readyz` fails, connections are still accepted, so that balancers have time to notice.
    Noticing,
    /// No new connections; open ones end with their current request.
    Closing,
}

/// Shared by the listener, the data-plane threads and the admin plane.
#[derive(Debug, Clone)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    in_flight: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Starting)),
            in_flight: Arc::default(),
            connections: Arc::default(),
        }
    }
}

impl Drain {
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Phases only go forward.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let forward = phase > *current;
            if forward {
                *current = phase;
            }
            forward
        });
    }

    pub async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|current| *current >= phase).await;
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request until the guard is dropped, which for streams is when the last byte is gone.
    pub fn request(&self) -> InFlight {
        InFlight::count(&self.in_flight)
    }

    pub fn connection(&self) -> InFlight {
        InFlight::count(&self.connections)
    }

    /// Waits until no connection is left, at most `limit`. Returns how many were cut.
    pub async fn finished(&self, limit: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + limit;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while self.connections.load(Ordering::Relaxed) > 0 && tokio::time::Instant::now() < deadline {
            tick.tick().await;
        }
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drain {
    /// Waits until no request is left, at most `limit`: some go on when their connections are gone.
    pub async fn emptied(&self, limit: Duration) {
        let deadline = tokio::time::Instant::now() + limit;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while self.in_flight() > 0 && tokio::time::Instant::now() < deadline {
            tick.tick().await;
        }
    }
}

/// One more of something, until dropped.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
