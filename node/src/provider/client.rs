//! The HTTP client of one provider on one data-plane thread: its own pool, no redirects, checked addresses.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use http_body_util::Full;
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{Body, Held, UnknownCoding};
use super::connect::{BoxError, Connector, Proxy};
use super::http1::{self, Keep};
use super::lanes::{self, Lanes};
use super::resolve::{Resolve, System};
use crate::config::Http2;

/// Of connections that carry several requests at once, or may turn out to.
type Shared = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// Idle connections kept a provider and thread; more than a thread ever has in flight at once would be waste.
const IDLE_CONNECTIONS: usize = 1024;
/// Below the minute after which most servers and balancers close; a name is looked up again for what comes after.
const IDLE_FOR: Duration = Duration::from_secs(50);
/// The largest head of an answer that is read: more is no provider's. Of header fields the HTTP library reads a hundred.
const MAX_HEAD: usize = 64 << 10;
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
        let connector = Connector::new(way, &self.tls, &self.resolve);
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let shared = (way.http2 != Http2::Never).then(|| Lanes::new(lanes::MOST, || shared(way, &connector)));
        let keep = Keep { most: IDLE_CONNECTIONS, within: IDLE_FOR };
        Client { http1: http1::Pool::new(connector, builder, keep), shared, http2: way.http2 }
    }
}

fn shared(way: &Way, connector: &Connector) -> Shared {
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(MAX_HEAD)
        .http2_only(way.http2 == Http2::Always)
        .http2_max_header_list_size(MAX_HEAD as u32)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_WITHIN)
        .build(connector.clone())
}

/// The connections to one provider.
#[derive(Debug)]
pub struct Client {
    http1: http1::Pool,
    /// Where HTTP/2 may be spoken.
    shared: Option<Lanes<Shared>>,
    http2: Http2,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no connection")]
    Connect(#[source] BoxError),
    #[error(transparent)]
    Transport(hyper::Error),
    #[error(transparent)]
    Shared(#[from] hyper_util::client::legacy::Error),
    #[error(transparent)]
    Coding(#[from] UnknownCoding),
    #[error("the URL names no host")]
    NoHost,
}

impl Client {
    /// The head of the answer; a redirect is one like any other.
    pub async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, SendError> {
        let (response, held) = match self.shared(&request) {
            None => {
                let (response, lease) = self.http1.request(request).await?;
                (response, Held::Alone(lease))
            }
            Some(lanes) => {
                let (shared, seat) = lanes.take();
                (shared.request(request).await?, Held::Shared(seat))
            }
        };
        let (mut head, incoming) = response.into_parts();
        let body = Body::new(incoming, &mut head.headers, held)?;
        Ok(Response::from_parts(head, body))
    }

    /// The connections for a request that may be sent by HTTP/2, which is agreed on in TLS unless it is always spoken.
    fn shared(&self, request: &Request<Full<Bytes>>) -> Option<&Lanes<Shared>> {
        let is_agreed_on = || request.uri().scheme() != Some(&Scheme::HTTP);
        self.shared.as_ref().filter(|_| self.http2 == Http2::Always || is_agreed_on())
    }
}

impl SendError {
    /// Whether the provider may have seen the request: not if there was no connection, nor if it was closed before.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Connect(_) | Self::NoHost => false,
            Self::Transport(error) => !error.is_canceled(),
            Self::Shared(error) => {
                let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<hyper::Error>());
                !error.is_connect() && !cause.is_some_and(hyper::Error::is_canceled)
            }
            Self::Coding(_) => true,
        }
    }

    /// Whether the provider's connect timeout has struck. One of the system's has a number of the system's.
    pub fn is_late(&self) -> bool {
        let is_connect = match self {
            Self::Connect(_) => true,
            Self::Shared(error) => error.is_connect(),
            _ => false,
        };
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
        is_connect && causes.any(|cause| cause.kind() == io::ErrorKind::TimedOut && cause.raw_os_error().is_none())
    }
}
