//! The data-plane threads. A request lives and dies on one of them: its connection, its upstream pool and its
//! counters are that thread's own, so nothing on its way is shared or locked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::drain::{Drain, Phase};

/// Connections that wait to be picked up by their thread.
const QUEUE: usize = 1024;
/// How long a connection may stay without a whole request head. The library knows one time for idle connections and slow
/// heads, and balancers want the former to be longer than their own (60 s is common), or they send into a closing one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
const MAX_HEADER_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
const H2_STREAMS: u32 = 128;

/// Hands connections to one thread.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    connections: Arc<AtomicUsize>,
    queue: mpsc::Sender<std::net::TcpStream>,
}

impl WorkerHandle {
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Gives the connection to this thread; with its queue full the connection is closed, which tells the client to
    /// go elsewhere.
    pub fn hand_over(&self, stream: TcpStream) {
        let Ok(stream) = stream.into_std() else { return };
        self.connections.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(stream).is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            warn!("a data-plane thread is {QUEUE} connections behind: closed a new one");
        }
    }
}

/// Starts one data-plane thread. `service` is called on that thread, inside its runtime.
pub fn start(
    index: usize,
    drain: Drain,
    service: impl FnOnce() -> Router + Send + 'static,
) -> io::Result<(WorkerHandle, JoinHandle<()>)> {
    let (queue, incoming) = mpsc::channel(QUEUE);
    let connections = Arc::new(AtomicUsize::new(0));
    let handle = WorkerHandle { connections: Arc::clone(&connections), queue };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name(format!("http-{index}")).spawn(move || {
        runtime.block_on(async move { serve(incoming, connections, service(), drain).await });
    })?;
    Ok((handle, thread))
}

async fn serve(
    mut incoming: mpsc::Receiver<std::net::TcpStream>,
    connections: Arc<AtomicUsize>,
    router: Router,
    drain: Drain,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(30));
    // The channel closes when the acceptor and every handle are gone, after the drain.
    while let Some(stream) = incoming.recv().await {
        let counted = drain.connection();
        let builder = builder.clone();
        let service = TowerToHyperService::new(router.clone());
        let drain = drain.clone();
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            if let Err(reason) = serve_connection(builder, stream, service, &drain).await {
                debug!(%reason, "a client connection ended badly");
            }
            connections.fetch_sub(1, Ordering::Relaxed);
            drop(counted);
        });
    }
    // Connections that were handed over still end by themselves: the process waits for them in `Drain::finished`.
    std::future::pending::<()>().await;
}

async fn serve_connection(
    builder: auto::Builder<TokioExecutor>,
    stream: std::net::TcpStream,
    service: TowerToHyperService<Router>,
    drain: &Drain,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::from_std(stream)?;
    // Without it the kernel holds small events back for up to 40 ms.
    stream.set_nodelay(true)?;
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = drain.reached(Phase::Closing) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
