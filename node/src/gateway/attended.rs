//! Requests whose client went away. What has been sent to a provider will be billed, so where a budget pays for it, it is
//! waited for in the background, a bounded number of times and for a bounded time; what is then not known is estimated.
//! Where nobody counts it, the provider is left at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use tokio::runtime::Handle;

/// Answers that are read to their end for nobody, on one node.
const MOST: usize = 64;
const LONGEST: Duration = Duration::from_secs(30);

/// The node's answers that are read to their end for nobody.
#[derive(Debug, Clone, Default)]
pub struct Unattended(Arc<AtomicUsize>);

#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

impl Unattended {
    /// Carries `work` on in the background; drops it when there is too much of that already, and after a while.
    pub fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime the process is at its end.
        let (Some(permit), Ok(runtime)) = (self.permit(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            let _ = tokio::time::timeout(LONGEST, work).await;
            drop(permit);
        });
    }

    pub fn running(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn permit(&self) -> Option<Permit> {
        let more = |running: usize| (running < MOST).then_some(running + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit(Arc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a request and the connection that it came by know of one another.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// An attempt is under way: it may be billed.
    sent: AtomicBool,
    /// What the attempt costs is counted.
    charged: AtomicBool,
    client_gone: AtomicBool,
}

impl Waits {
    pub(super) fn set_sent(&self, sent: bool) {
        self.sent.store(sent, Ordering::Relaxed);
    }

    pub(super) fn set_charged(&self, charged: bool) {
        self.charged.store(charged, Ordering::Relaxed);
    }

    fn is_worth_waiting(&self) -> bool {
        self.sent.load(Ordering::Relaxed) && self.charged.load(Ordering::Relaxed)
    }

    pub(super) fn client_gone(&self) {
        self.client_gone.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_client_gone(&self) -> bool {
        self.client_gone.load(Ordering::Relaxed)
    }
}

type Work = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A request's work while its client waits. Dropped before its end, as the server does when the client goes away, it
/// carries on in the background if a provider has been asked for something that is counted.
pub(super) struct Attended {
    work: Option<Work>,
    waits: Arc<Waits>,
    unattended: Unattended,
}

impl Attended {
    pub(super) fn new(
        work: impl Future<Output = Response> + Send + 'static,
        waits: Arc<Waits>,
        unattended: Unattended,
    ) -> Self {
        Self { work: Some(Box::pin(work)), waits, unattended }
    }
}

impl Future for Attended {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let response = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(response)
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.waits.client_gone();
        if self.waits.is_worth_waiting() {
            // A stream that begins only then carries on by itself.
            self.unattended.carry_on(async move { drop(work.await) });
        }
    }
}
