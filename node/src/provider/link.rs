//! One connection of HTTP/1.1 without a task of its own: whoever waits for something of it drives it.
//!
//! So it is the request itself that the socket wakes, and not a task that has to wake the request; and a connection that
//! is dropped in the middle of an answer is closed by that.

use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest};
use tokio::task::unconstrained;
use tracing::debug;

use super::connect::Stream;

type Outgoing = Request<Full<Bytes>>;

pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None` when it is closed.
    connection: Option<Connection<Stream, Full<Bytes>>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

/// For what the connection hands over: it does that while it is driven, and who drives it looks afterwards.
fn unwatched() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Link {
    pub(super) fn new(sender: SendRequest<Full<Bytes>>, connection: Connection<Stream, Full<Bytes>>) -> Self {
        Self { sender, connection: Some(connection) }
    }

    /// Sends a request and waits for the head of its answer. To be dropped if it is not waited for.
    pub(super) async fn exchange(&mut self, request: Outgoing) -> Result<Response<Incoming>, TrySendError<Outgoing>> {
        // An answer that is there is seen whatever else the task has done: nobody would tell of it a second time.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        std::future::poll_fn(|context| {
            self.drive(context);
            answer.as_mut().poll(&mut unwatched())
        })
        .await
    }

    /// The next piece of an answer's body.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut body = Pin::new(body);
        if let Poll::Ready(frame) = body.as_mut().poll_frame(&mut unwatched()) {
            return Poll::Ready(frame);
        }
        self.drive(context);
        body.poll_frame(&mut unwatched())
    }

    /// Whether it is open and can take a request: the last answer was read to its end, or what is left of it is here.
    pub(super) fn is_free(&mut self) -> bool {
        self.drive(&mut unwatched());
        self.connection.is_some() && self.sender.is_ready()
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(end) = Pin::new(connection).poll(context)
        {
            // Whoever still waits for something of it is told so by this.
            self.connection = None;
            if let Err(error) = end {
                debug!(%error, "a connection to a provider ended badly");
            }
        }
    }
}
