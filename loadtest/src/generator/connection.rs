//! Keep-alive connections of one thread to one target: the one used last is used next.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Target;
use crate::failure::Failure;

/// One open connection.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// The idle connections to one target.
#[derive(Debug)]
pub(super) struct Connections {
    target: Target,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    opened: u64,
}

impl Connections {
    pub(super) fn new(target: Target) -> Connections {
        Connections { target, state: Mutex::new(State::default()) }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// How many connections were opened.
    pub(super) fn opened(&self) -> u64 {
        self.state().opened
    }

    /// Sends the request and waits for the answer's head. A request that an idle
    /// connection gave back unsent, since the other side had closed it, goes out on a
    /// fresh one, as any HTTP client would do; a request that was sent is never sent again.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        loop {
            let reused = self.idle().await;
            let fresh = reused.is_none();
            let mut connection = match reused {
                Some(connection) => connection,
                None => self.open().await?,
            };
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(Failure::Reset),
                },
            }
        }
    }

    /// Gives a connection back whose answer was read to the end.
    pub(super) fn give_back(&self, connection: Connection) {
        if !connection.is_closed() {
            self.state().idle.push(connection);
        }
    }

    async fn idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.state().idle.pop()?;
            // Its task may not yet have run since the last answer ended.
            if connection.is_ready() || connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(self.target.address).await.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
        self.state().opened += 1;
        // The driver ends with the connection; what went wrong reaches the request itself.
        tokio::spawn(async move { drop(driver.await) });
        Ok(connection)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
