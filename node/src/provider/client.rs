//! The HTTP client of one provider on one data-plane thread: its own pool, no redirects, checked addresses.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{Body, UnknownCoding};
use super::connect::{Connector, Proxy};
use super::lanes::{self, Lanes};
use super::resolve::{Resolve, System};
use crate::config::Http2;

type Pool = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// Idle connections kept a provider and thread; more than a thread ever has in flight at once would be waste.
const IDLE_CONNECTIONS: usize = 1024;
/// Below the minute after which most servers and balancers close; a name is looked up again for what comes after.
const IDLE_FOR: Duration = Duration::from_secs(50);
/// The largest head of an answer that is read: more is no provider's.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// What an HTTP/2 provider may send before we have read it: of one answer, and of all on a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// A connection that is silent for this long is asked for a sign of life, and closed when it gives none.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// How a provider is reached.
#[derive(Debug, Clone)]
pub struct Way {
    /// To the open connection, by proxy and TLS where there are.
    pub connect: Duration,
    pub allow_private: bool,
    pub proxy: Option<Arc<Proxy>>,
    pub http2: Http2,
}

/// Makes clients that share one TLS configuration, one way to look up names and nothing else.
#[derive(Debug, Clone)]
pub struct ClientFactory {
    tls: rustls::ClientConfig,
    resolve: Arc<dyn Resolve>,
}

impl ClientFactory {
    /// Fails when the TLS library has no usable protocol version, which would be a fault of the build.
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_webpki_roots()
            .with_no_client_auth();
        Ok(Self { tls, resolve: Arc::new(System) })
    }

    /// Trusts what `tls` says instead of the public authorities. It must not name protocols (ALPN).
    #[must_use]
    pub fn with_tls(self, tls: rustls::ClientConfig) -> Self {
        Self { tls, ..self }
    }

    /// Looks names up by other means than the system's.
    #[must_use]
    pub fn with_resolver(self, resolve: Arc<dyn Resolve>) -> Self {
        Self { resolve, ..self }
    }

    pub fn client(&self, way: &Way) -> Client {
        let lanes = if way.http2 == Http2::Never { 1 } else { lanes::MOST };
        Client { lanes: Lanes::new(lanes, || self.pool(way)) }
    }

    fn pool(&self, way: &Way) -> Pool {
        let connector = Connector::new(way, &self.tls, &self.resolve);
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_headers(MAX_HEADERS)
            .http1_max_buf_size(MAX_HEAD)
            .http2_only(way.http2 == Http2::Always)
            .http2_max_header_list_size(MAX_HEAD as u32)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_WITHIN)
            .build(connector)
    }
}

/// A pool of connections to one provider.
#[derive(Debug)]
pub struct Client {
    lanes: Lanes<Pool>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Http(#[from] hyper_util::client::legacy::Error),
    #[error(transparent)]
    Coding(#[from] UnknownCoding),
}

impl Client {
    /// The head of the answer; a redirect is one like any other.
    pub async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, SendError> {
        let (pool, seat) = self.lanes.take();
        let (mut head, incoming) = pool.request(request).await?.into_parts();
        let body = Body::new(incoming, &mut head.headers, seat)?;
        Ok(Response::from_parts(head, body))
    }
}

impl SendError {
    /// Whether the provider may have seen the request: not if there was no connection, nor if it was closed before.
    pub fn was_sent(&self) -> bool {
        let Self::Http(error) = self else { return true };
        let canceled = std::error::Error::source(error)
            .and_then(|cause| cause.downcast_ref::<hyper::Error>())
            .is_some_and(hyper::Error::is_canceled);
        !error.is_connect() && !canceled
    }

    /// Whether the provider's connect timeout has struck. One of the system's has a number of the system's.
    pub fn is_late(&self) -> bool {
        let Self::Http(error) = self else { return false };
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
        error.is_connect()
            && causes.any(|cause| cause.kind() == io::ErrorKind::TimedOut && cause.raw_os_error().is_none())
    }
}
