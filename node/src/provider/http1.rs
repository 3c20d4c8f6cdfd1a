//! Connections of HTTP/1.1 to one provider, on one thread: each carries one request at a time and is kept for the next.
//!
//! - A request takes the connection that was idle for the shortest time, else a new one is opened for it.
//! - One that turns out to be closed before anything of the request was written is left for another one; what was
//!   written is never written twice.
//! - Who does not want the rest of an answer drops it, and so closes the connection; what was read to its end goes back.
//! - None is kept for longer than its time, nor are more than a number of them, nor is any after the pool is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::ServiceExt;

use super::client::SendError;
use super::connect::Connector;
use super::credential::is_default_port;
use super::link::Link;

/// How often idle connections are looked at: closed ones and old ones hold descriptors, here and at the provider.
const LOOK: Duration = Duration::from_secs(5);

/// What is kept of a provider's connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) most: usize,
    pub(super) within: Duration,
}

#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    builder: Builder,
    idle: Arc<Shelf>,
}

/// A connection that carries an answer; goes back to its pool when the answer was read, and is closed else.
#[derive(Debug)]
pub(super) struct Lease {
    link: Option<Box<Link>>,
    origin: Origin,
    idle: Weak<Shelf>,
}

/// Whom a connection goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Pool {
    pub(super) fn new(connector: Connector, builder: Builder, keep: Keep) -> Self {
        Self { connector, builder, idle: Arc::new(Shelf { keep, idle: Mutex::default() }) }
    }

    /// The head of the answer, and the connection that brings the rest.
    pub(super) async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let origin = Origin::take(&mut request).ok_or(SendError::NoHost)?;
        loop {
            let (mut link, is_used) = match self.idle.take(&origin) {
                Some(link) => (link, true),
                // Boxed: it is large and rare, and the request's whole future is moved about with it.
                None => (Box::pin(self.connect(&origin)).await?, false),
            };
            let mut failed = match link.exchange(request).await {
                Ok(response) => {
                    return Ok((response, Lease { link: Some(link), origin, idle: Arc::downgrade(&self.idle) }));
                }
                Err(failed) => failed,
            };
            match failed.take_message().filter(|_| is_used) {
                Some(unsent) => request = unsent,
                None => return Err(SendError::Transport(failed.into_error())),
            }
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Box<Link>, SendError> {
        let stream = self.connector.clone().oneshot(origin.uri()?).await.map_err(SendError::Connect)?;
        let (sender, connection) = self.builder.handshake(stream).await.map_err(SendError::Transport)?;
        Ok(Box::new(Link::new(sender, connection)))
    }
}

impl Lease {
    /// The next piece of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.link {
            Some(link) => link.poll_frame(body, context),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(mut link), Some(idle)) = (self.link.take(), self.idle.upgrade())
            && link.is_free()
        {
            idle.put(link, self.origin.clone());
        }
    }
}

impl Origin {
    /// Takes it out of a request, whose line is to tell the path only.
    fn take<B>(request: &mut Request<B>) -> Option<Self> {
        let parts = std::mem::take(request.uri_mut()).into_parts();
        let origin = Self { scheme: parts.scheme?, authority: parts.authority? };
        *request.uri_mut() = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/")).into();
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, origin.host()?);
        }
        Some(origin)
    }

    fn host(&self) -> Option<HeaderValue> {
        let host = self.authority.host();
        let port = self.authority.port_u16().filter(|port| !is_default_port(Some(self.scheme.as_str()), *port));
        HeaderValue::try_from(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))).ok()
    }

    fn uri(&self) -> Result<Uri, SendError> {
        let builder = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        builder.path_and_query("/").build().map_err(|_| SendError::NoHost)
    }
}

/// The connections that nobody uses, the one that was used last at the end.
#[derive(Debug)]
struct Shelf {
    keep: Keep,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    kept: Vec<Kept>,
    /// Somebody looks after them from time to time.
    is_watched: bool,
}

#[derive(Debug)]
struct Kept {
    link: Box<Link>,
    origin: Origin,
    since: Instant,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, origin: &Origin) -> Option<Box<Link>> {
        let mut idle = self.lock();
        loop {
            let last = idle.kept.iter().rposition(|kept| kept.origin == *origin)?;
            let kept = idle.kept.remove(last);
            // Whether it is still open shows when it is used.
            if kept.since.elapsed() < self.keep.within {
                return Some(kept.link);
            }
        }
    }

    fn put(self: &Arc<Self>, link: Box<Link>, origin: Origin) {
        let mut idle = self.lock();
        if idle.kept.len() < self.keep.most {
            idle.kept.push(Kept { link, origin, since: Instant::now() });
        }
        // Without a runtime the process is at its end.
        if !idle.is_watched
            && let Ok(runtime) = Handle::try_current()
        {
            idle.is_watched = true;
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Closes what is closed on the other side or has been idle for too long. Whether any are left.
    fn look(&self) -> bool {
        let mut idle = self.lock();
        idle.kept.retain_mut(|kept| kept.since.elapsed() < self.keep.within && kept.link.is_free());
        idle.is_watched = !idle.kept.is_empty();
        idle.is_watched
    }
}

/// Looks after idle connections for as long as there are any.
async fn watch(shelf: Weak<Shelf>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !shelf.upgrade().is_some_and(|shelf| shelf.look()) {
            return;
        }
    }
}
