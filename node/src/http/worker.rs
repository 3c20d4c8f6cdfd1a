//! The data-plane threads. A request lives and dies on one of them: its connection, its upstream pool and its
//! counters are that thread's own, so nothing on its way is shared or locked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::connection;
use super::drain::Drain;
use super::edge::{Edge, Open};

/// Connections that wait to be picked up by their thread.
const QUEUE: usize = 1024;

type Accepted = (std::net::TcpStream, Open);

/// Hands connections to one thread.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    connections: Arc<AtomicUsize>,
    queue: mpsc::Sender<Accepted>,
}

impl WorkerHandle {
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Gives the connection to this thread; with its queue full the connection is closed, which tells the client to
    /// go elsewhere.
    pub fn hand_over(&self, stream: TcpStream, open: Open) {
        let Ok(stream) = stream.into_std() else { return };
        self.connections.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send((stream, open)).is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            warn!("a data-plane thread is {QUEUE} connections behind: closed a new one");
        }
    }
}

/// Starts one data-plane thread. `service` is called on that thread, inside its runtime.
pub fn start(
    index: usize,
    edge: Arc<Edge>,
    drain: Drain,
    service: impl FnOnce() -> Router + Send + 'static,
) -> io::Result<(WorkerHandle, JoinHandle<()>)> {
    let (queue, incoming) = mpsc::channel(QUEUE);
    let connections = Arc::new(AtomicUsize::new(0));
    let handle = WorkerHandle { connections: Arc::clone(&connections), queue };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(format!("http-{index}")).spawn(move || {
        runtime.block_on(async move { serve(incoming, connections, service(), edge, drain).await });
    })?;
    Ok((handle, thread))
}

async fn serve(
    mut incoming: mpsc::Receiver<Accepted>,
    connections: Arc<AtomicUsize>,
    router: Router,
    edge: Arc<Edge>,
    drain: Drain,
) {
    let builder = connection::builder(&edge);
    // The channel closes when the acceptor and every handle are gone, after the drain.
    while let Some((stream, open)) = incoming.recv().await {
        let counted = drain.connection();
        let (builder, router) = (builder.clone(), router.clone());
        let (edge, drain) = (Arc::clone(&edge), drain.clone());
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            let served = match TcpStream::from_std(stream) {
                Ok(stream) => connection::serve(builder, stream, router, edge, drain).await,
                Err(error) => Err(error.into()),
            };
            if let Err(reason) = served {
                debug!(%reason, "a client connection ended badly");
            }
            connections.fetch_sub(1, Ordering::Relaxed);
            drop((counted, open));
        });
    }
    // Connections that were handed over still end by themselves: the process waits for them in `Drain::finished`.
    std::future::pending::<()>().await;
}
