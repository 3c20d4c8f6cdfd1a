//! Requests in progress on one node, and a short queue.
//!
//! Free places are taken and given back without a lock. The queue is there for bursts: who comes last is served first
//! and a queue that does not empty waits less long ("adaptive LIFO" and "controlled delay", Maurer, "Fail at scale", ACM
//! Queue 13(8), 2015). Under overload some are then served at once and the others told so at once, where first come,
//! first served would have all of them wait for as long as their clients do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hurried;
use crate::http::shed::Shed;

/// Waiting requests; a queue that is longer could not be served within the longest wait by any node.
const MAX_QUEUE: usize = 1024;

#[derive(Debug)]
pub(super) struct Concurrency(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    max_wait: Duration,
    used: AtomicUsize,
    /// The queue's length, for whoever would rather not lock it.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// The oldest first.
    waiters: VecDeque<oneshot::Sender<Permit>>,
    was_empty: Instant,
}

/// One request in progress, until dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Arc<Shared>>);

impl Concurrency {
    pub(super) fn new(limit: usize, max_wait: Duration) -> Self {
        Self(Arc::new(Shared {
            limit,
            max_wait,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue { waiters: VecDeque::new(), was_empty: Instant::now() }),
        }))
    }

    pub(super) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// A place, at once or within the wait.
    pub(super) async fn enter(&self) -> Result<Permit, Shed> {
        if let Some(permit) = self.0.try_enter() {
            return Ok(permit);
        }
        if self.0.max_wait.is_zero() {
            return Err(Shed::Concurrency);
        }
        let Some((place, wait)) = self.0.line_up() else { return Err(Shed::Concurrency) };
        match tokio::time::timeout(wait, place).await {
            Ok(Ok(permit)) => Ok(permit),
            // Put out by somebody newer.
            Ok(Err(_)) => Err(Shed::Concurrency),
            Err(_) => Err(Shed::Queue),
        }
    }
}

impl Shared {
    fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let one_more = |used: usize| (used < self.limit).then_some(used + 1);
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Permit(Some(Arc::clone(self))))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the queue, and how long it is worth to wait there.
    fn line_up(self: &Arc<Self>) -> Option<(oneshot::Receiver<Permit>, Duration)> {
        let mut queue = self.queue();
        let (sender, receiver) = oneshot::channel();
        if queue.waiters.len() >= MAX_QUEUE.min(self.limit.max(1)) {
            queue.waiters.retain(|waiter| !waiter.is_closed());
        }
        if queue.waiters.len() >= MAX_QUEUE.min(self.limit.max(1)) {
            // The oldest has waited in vain for longest, and its client is the likeliest to be gone.
            queue.waiters.pop_front();
        }
        let now = Instant::now();
        if queue.waiters.is_empty() {
            queue.was_empty = now;
        }
        let overloaded = now.duration_since(queue.was_empty) > self.max_wait;
        let wait = if overloaded { hurried(self.max_wait) } else { self.max_wait };
        queue.waiters.push_back(sender);
        self.waiting.store(queue.waiters.len(), Ordering::SeqCst);
        // One may have become free before whoever left it could see that somebody waits.
        if let Some(permit) = self.try_enter() {
            self.hand_over(&mut queue, permit);
        }
        Some((receiver, wait))
    }

    /// Gives a place to the newest who still waits.
    fn hand_over(&self, queue: &mut Queue, mut permit: Permit) {
        while let Some(waiter) = queue.waiters.pop_back() {
            self.waiting.store(queue.waiters.len(), Ordering::SeqCst);
            match waiter.send(permit) {
                Ok(()) => return,
                Err(back) => permit = back,
            }
        }
        // Nobody: given back without another look at the queue, which is locked.
        permit.0 = None;
        self.used.fetch_sub(1, Ordering::SeqCst);
    }

    fn leave(self: &Arc<Self>) {
        self.used.fetch_sub(1, Ordering::SeqCst);
        // Who lines up looks for a free place afterwards, so one of both sees the other.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            let mut queue = self.queue();
            if let Some(permit) = self.try_enter() {
                self.hand_over(&mut queue, permit);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concurrency(limit: usize) -> Concurrency {
        Concurrency::new(limit, Duration::from_millis(100))
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_goes_to_the_newest() {
        let places = Arc::new(concurrency(1));
        let first = places.enter().await.unwrap();
        let wait = |places: &Arc<Concurrency>| {
            let places = Arc::clone(places);
            tokio::spawn(async move { places.enter().await.map(|permit| (Instant::now(), permit)) })
        };
        // With a limit of one a single request waits; the newer puts the older out.
        let old = wait(&places);
        tokio::task::yield_now().await;
        let new = wait(&places);
        tokio::task::yield_now().await;
        assert_eq!(old.await.unwrap().unwrap_err(), Shed::Concurrency);
        drop(first);
        let (_, permit) = new.await.unwrap().unwrap();
        assert_eq!((places.used(), places.waiting()), (1, 0));
        drop(permit);
        assert_eq!(places.used(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_wait() {
        let places = concurrency(2);
        let _held = (places.enter().await.unwrap(), places.enter().await.unwrap());
        let began = Instant::now();
        assert_eq!(places.enter().await.unwrap_err(), Shed::Queue);
        assert!(began.elapsed() >= Duration::from_millis(100));
        let none = Concurrency::new(0, Duration::ZERO);
        assert_eq!(none.enter().await.unwrap_err(), Shed::Concurrency, "no wait, no queue");
    }

    #[tokio::test]
    async fn who_gives_up_takes_no_place_with_it() {
        let places = concurrency(4);
        let held: Vec<Permit> = futures_util::future::join_all((0..4).map(|_| places.enter()))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        for _ in 0..10 {
            let waiting = places.enter();
            assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
        }
        drop(held);
        assert_eq!(places.used(), 0, "those who left are passed over");
        assert!(places.enter().await.is_ok());
    }

    #[test]
    fn threads_never_exceed_the_limit_and_lose_no_place() {
        let places = Arc::new(concurrency(3));
        let most = Arc::new(AtomicUsize::new(0));
        let now = Arc::new(AtomicUsize::new(0));
        let threads = (0..4).map(|_| {
            let (places, most, now) = (Arc::clone(&places), Arc::clone(&most), Arc::clone(&now));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..50 {
                        let work = (0..8).map(|_| async {
                            if let Ok(_permit) = places.enter().await {
                                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                now.fetch_sub(1, Ordering::SeqCst);
                            }
                        });
                        futures_util::future::join_all(work).await;
                    }
                });
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert_eq!(places.used(), 0);
    }
}
