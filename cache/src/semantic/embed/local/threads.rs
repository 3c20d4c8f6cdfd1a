//! Threads that models run on, apart from those that serve requests.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// A number of threads, shared by whoever has a copy of this.
#[derive(Debug, Clone)]
pub struct Threads(Arc<ThreadPool>);

impl Threads {
    /// Starts so many, at least one.
    pub fn start(count: usize) -> Result<Self, String> {
        // A panic ends the call that it happens in, and not the process.
        let pool = ThreadPoolBuilder::new()
            .num_threads(count.max(1))
            .thread_name(|number| format!("embed-{number}"))
            .panic_handler(|_| ())
            .build();
        pool.map(|pool| Self(Arc::new(pool))).map_err(|error| error.to_string())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// What the work comes to; none: it failed, and the log says where.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (tell, told) = oneshot::channel();
        self.0.spawn(move || {
            // Nobody may be waiting any more.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        });
        told.await.ok()
    }
}
