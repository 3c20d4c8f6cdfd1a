//! One listener for the node; each accepted connection goes to the data-plane thread that holds the fewest.
//!
//! A listener per thread (SO_REUSEPORT) spreads connections by a hash of their addresses. Behind a balancer that keeps
//! a few connections for a long time, that can put most of the load on one thread; counting cannot.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::{error, warn};

use super::drain::{Drain, Phase};
use super::worker::WorkerHandle;

const BACKLOG: i32 = 4096;

/// Binds the data or admin port. The error names the address and what to change.
pub fn bind(address: SocketAddr, setting: &'static str) -> Result<StdListener, BindError> {
    let open = || -> io::Result<StdListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
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
pub async fn accept_loop(listener: StdListener, workers: Vec<WorkerHandle>, drain: Drain) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(source) => {
            error!(%source, "the data listener could not be registered; this node accepts nothing");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.reached(Phase::Closing) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) else { return };
                worker.hand_over(stream);
            }
            Err(source) if is_of_one_connection(&source) => {}
            Err(source) => {
                // Out of file descriptors or memory: the connection waits in the backlog meanwhile.
                warn!(%source, "cannot accept connections; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
