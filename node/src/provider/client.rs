//! The HTTP client of one provider on one data-plane thread: its own pool, no redirects, checked addresses.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::address::is_public;

pub type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// Idle connections kept a provider and thread; more than a thread ever has in flight at once would be waste.
const IDLE_CONNECTIONS: usize = 1024;
const IDLE_FOR: Duration = Duration::from_secs(50);

/// Makes clients that share one TLS configuration and nothing else.
#[derive(Debug, Clone)]
pub struct ClientFactory {
    tls: Arc<rustls::ClientConfig>,
}

impl ClientFactory {
    /// Fails when the TLS library has no usable protocol version, which would be a fault of the build.
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_webpki_roots()
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    pub fn client(&self, connect_timeout: Duration, allow_private: bool) -> Client {
        let mut connector = HttpConnector::new_with_resolver(Resolver { allow_private });
        connector.set_nodelay(true);
        connector.set_keepalive(Some(Duration::from_secs(60)));
        connector.set_connect_timeout(Some(connect_timeout));
        connector.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config((*self.tls).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector)
    }
}

/// Resolves a name and drops every address that the provider may not live at, so that the address which was checked
/// is the one that is dialled. Literal addresses never come here: `provider::Upstream` checks them.
#[derive(Debug, Clone)]
pub struct Resolver {
    allow_private: bool,
}

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!("{name} resolves to private addresses only; set `allow_private: true` on the provider"),
                ));
            }
            Ok(allowed.into_iter())
        })
    }
}
