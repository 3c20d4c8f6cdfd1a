//! Listening: one thread, runtime and `SO_REUSEPORT` socket a worker; a connection lives and dies on its worker.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::anthropic::PromptCache;
use crate::bill::Bill;
use crate::call::Reset;
use crate::faults::Faults;
use crate::options::{Options, StartError};
use crate::random::Random;
use crate::record::Recorder;
use crate::{route, rule};

const BACKLOG: i32 = 4_096;
/// Request line and headers; also how much of a body is read at once.
const LARGEST_HEAD: usize = 64 << 10;

/// What the workers have in common; nothing in it is written on the way of a request but the rules' counters.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) faults: Faults,
    pub(crate) bills: Vec<Arc<Bill>>,
    pub(crate) recorders: Vec<Arc<Recorder>>,
    pub(crate) prompt_cache: PromptCache,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) bill: Arc<Bill>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) random: Arc<Random>,
}

/// A simulated provider at work; dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Closes all connections and waits for the workers to end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let threads = std::mem::take(&mut self.threads);
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        // Fails only while the caller's own runtime shuts down; the workers end all the same.
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Starts a simulated provider; it serves when this returns.
pub async fn start(options: Options) -> Result<Running, StartError> {
    rule::verify(&options.faults)?;
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let (address, listeners) =
        listen(options.listen, workers).map_err(|source| StartError::Listen { address: options.listen, source })?;
    let connections = (options.max_connections / workers).max(1);
    let shared = Arc::new(Shared {
        faults: Faults::new(options.seed, options.faults.clone()),
        bills: (0..workers).map(|_| Arc::default()).collect(),
        recorders: (0..workers).map(|_| Arc::new(Recorder::new(workers))).collect(),
        prompt_cache: PromptCache::default(),
        options,
    });
    let (stop, stopping) = watch::channel(false);
    let mut running = Running { address, stop, threads: Vec::with_capacity(workers) };
    for (index, listener) in listeners.into_iter().enumerate() {
        let worker = Arc::new(Worker {
            bill: Arc::clone(&shared.bills[index]),
            recorder: Arc::clone(&shared.recorders[index]),
            random: Arc::new(Random::new(shared.options.seed.wrapping_add(index as u64))),
            shared: Arc::clone(&shared),
        });
        let failed = |source| StartError::Worker { worker: index, source };
        let (ready, started) = oneshot::channel();
        let stopping = stopping.clone();
        let thread = std::thread::Builder::new()
            .name(format!("simulated-{index}"))
            .spawn(move || work(worker, listener, connections, ready, stopping))
            .map_err(failed)?;
        running.threads.push(thread);
        started.await.unwrap_or_else(|_| Err(std::io::Error::other("the thread ended"))).map_err(failed)?;
    }
    Ok(running)
}

fn listen(address: SocketAddr, workers: usize) -> std::io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    if address.port() != 0 {
        // Sockets with SO_REUSEPORT would silently share a port that another process of this kind holds.
        drop(std::net::TcpListener::bind(address)?);
    }
    let first = bind(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind(address)?);
    }
    Ok((address, listeners))
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn work(
    worker: Arc<Worker>,
    listener: std::net::TcpListener,
    connections: usize,
    ready: oneshot::Sender<std::io::Result<()>>,
    mut stopping: watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        tokio::select! {
            () = accept(worker, listener, connections) => {}
            // An error means that the sender is gone, which is a stop as well.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    });
}

async fn accept(worker: Arc<Worker>, listener: TcpListener, connections: usize) {
    let free = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(Arc::clone(&worker), stream, permit));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors: a pause lets connections end instead of spinning.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn serve(worker: Arc<Worker>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let service = service_fn(move |request| route::route(Arc::clone(&worker), request));
    let mut connection =
        http1::Builder::new().max_buf_size(LARGEST_HEAD).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = (&mut connection).await {
        tracing::debug!(%error, "connection ended");
        if error.source().is_some_and(|source| source.is::<Reset>()) {
            let stream = connection.into_parts().io.into_inner();
            // Closing with linger 0 sends RST.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }
}
