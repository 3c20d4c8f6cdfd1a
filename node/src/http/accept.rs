//! One listener for the node; each accepted connection goes to the data-plane thread that holds the fewest.
//!
//! A listener per thread (SO_REUSEPORT) spreads connections by a hash of their addresses. Behind a balancer that keeps
//! a few connections for a long time, that can put most of the load on one thread; counting cannot.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, error, warn};

use super::drain::{Drain, Phase};
use super::edge::{Edge, Open};
use super::error::ApiError;
use super::error_form::ErrorForm;
use super::head::Paths;
use super::shed::Shed;
use super::worker::WorkerHandle;
use super::written::answer_and_close;
use super::{connection, descriptors};

const BACKLOG: i32 = 4096;
/// What the kernel holds of an answer besides what is on its way.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;
/// How long connections wait in the backlog when there is no descriptor for them.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How often the log says that connections are refused.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Binds the data or admin port. The error names the address and what to change.
pub fn bind(address: SocketAddr, setting: &'static str) -> Result<StdListener, BindError> {
    let open = || -> io::Result<StdListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Connections have it from their listener. Else the kernel takes megabytes for a client that reads nothing.
        #[cfg(target_os = "linux")]
        socket.set_tcp_notsent_lowat(UNSENT)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| BindError { address, setting, source })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}/tcp: {source}; free that port or change {setting}")]
pub struct BindError {
    pub address: SocketAddr,
    pub setting: &'static str,
    pub source: io::Error,
}

/// Accepts until the drain closes the listener.
pub async fn accept_loop(listener: StdListener, workers: Vec<WorkerHandle>, edge: Arc<Edge>, drain: Drain) {
    accept(listener, edge, drain, |stream, open| {
        if let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) {
            worker.hand_over(stream, open);
        }
    })
    .await;
}

/// Serves a listener on the runtime that this is called in, for as long as the process lives.
pub async fn serve(listener: StdListener, router: Router, edge: Arc<Edge>) {
    let builder = connection::builder(&edge);
    let serving = Arc::clone(&edge);
    accept(listener, edge, Drain::default(), move |stream, open| {
        let (builder, router, edge) = (builder.clone(), router.clone(), Arc::clone(&serving));
        tokio::spawn(async move {
            if let Err(reason) = connection::serve(builder, stream, router, edge, Drain::default()).await {
                debug!(%reason, "a connection ended badly");
            }
            drop(open);
        });
    })
    .await;
}

async fn accept(listener: StdListener, edge: Arc<Edge>, drain: Drain, mut serve: impl FnMut(TcpStream, Open)) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(source) => {
            error!(%source, "a listener could not be registered; nothing is accepted there");
            return;
        }
    };
    let mut complaint = Complaint::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.reached(Phase::Closing) => return,
        };
        match accepted {
            // What is kept is kept for the control plane, too.
            Ok((stream, _)) if edge.paths == Paths::Data && descriptors::is_of_reserve(&stream) => {
                complaint.say("few file descriptors are left: raise the limit of open files (`ulimit -n`)");
                refuse(&edge, stream).await;
                tokio::time::sleep(BACK_OFF).await;
            }
            Ok((stream, client)) => match Open::admit(&edge, client.ip()) {
                Ok(open) => serve(stream, open),
                Err(_) => {
                    complaint.say("there are as many connections as `http.max_connections` or `http.max_connections_per_client` allows");
                    refuse(&edge, stream).await;
                }
            },
            Err(source) if is_of_one_connection(&source) => {}
            Err(source) => {
                // Out of file descriptors or memory: the connection waits in the backlog meanwhile.
                warn!(%source, "cannot accept connections; trying again in 100 ms");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// Says why on the connection, and closes it.
async fn refuse(edge: &Edge, stream: TcpStream) {
    edge.shed.count(Shed::Connections);
    // A socket is not writable before its runtime has looked at it, and a new one always is.
    let _ = tokio::time::timeout(Duration::from_millis(10), stream.writable()).await;
    let error = ApiError::Overloaded(Shed::Connections);
    answer_and_close(&stream, &error, ErrorForm::default(), &edge.request_ids.fresh());
}

/// Something that would be said for each of many connections, said now and then.
#[derive(Default)]
struct Complaint {
    said: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    fn say(&mut self, why: &'static str) {
        self.unsaid += 1;
        if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            warn!(connections = self.unsaid, why, "refused connections");
            *self = Self { said: Some(Instant::now()), unsaid: 0 };
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
