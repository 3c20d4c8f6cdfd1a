//! From a URL to an open connection: the address is looked up and checked, a proxy asked for a tunnel, TLS agreed on,
//! all of it within one time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Service;

use super::client::Way;
use super::resolve::{Checked, Resolve, is_allowed, refused};
use super::url::{Host, host};
use crate::config::Http2;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
/// TCP, or TLS to a proxy.
type Carrier = MaybeHttpsStream<TokioIo<TcpStream>>;
/// TLS to the provider, or what would carry it.
pub(super) type Stream = MaybeHttpsStream<Carrier>;

/// The longest answer to CONNECT that is read.
const MAX_TUNNEL_HEAD: usize = 8 << 10;

/// A proxy that opens tunnels.
#[derive(Debug)]
pub struct Proxy {
    pub url: Uri,
    /// `proxy-authorization`
    pub authorization: Option<HeaderValue>,
    pub allow_private: bool,
}

/// The one way in which connections to a provider come to be.
#[derive(Debug, Clone)]
pub struct Connector {
    inner: HttpsConnector<Carry>,
    within: Duration,
}

impl Connector {
    pub(super) fn new(way: &Way, tls: &rustls::ClientConfig, resolve: &Arc<dyn Resolve>) -> Self {
        let dial = |allow_private| Dial::new(Checked { resolve: Arc::clone(resolve), allow_private }, way.connect);
        let carry = match &way.proxy {
            None => Carry::Direct(dial(way.allow_private)),
            Some(proxy) => {
                let to_proxy = HttpsConnectorBuilder::new()
                    .with_tls_config(tls.clone())
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(dial(proxy.allow_private));
                Carry::Tunnel { to_proxy, proxy: Arc::clone(proxy), allow_private: way.allow_private }
            }
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let inner = match way.http2 {
            Http2::Never => builder.enable_http1().wrap_connector(carry),
            Http2::Auto => builder.enable_http1().enable_http2().wrap_connector(carry),
            Http2::Always => builder.enable_http2().wrap_connector(carry),
        };
        Self { inner, within: way.connect }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.inner.call(uri), self.within);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {within:?}"));
            tokio::time::timeout(within, connecting).await.map_err(late)?
        })
    }
}

/// What carries the bytes, or the TLS, to the provider.
#[derive(Debug, Clone)]
enum Carry {
    Direct(Dial),
    Tunnel { to_proxy: HttpsConnector<Dial>, proxy: Arc<Proxy>, allow_private: bool },
}

impl Service<Uri> for Carry {
    type Response = Carrier;
    type Error = BoxError;
    type Future = Connecting<Carrier>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(dial) => dial.poll_ready(cx),
            Self::Tunnel { to_proxy, .. } => to_proxy.poll_ready(cx),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Direct(dial) => {
                let dialling = dial.call(uri);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(dialling.await?)) })
            }
            Self::Tunnel { to_proxy, proxy, allow_private } => {
                // Names are the proxy's to look up; an address is judged here as it would be without one.
                if let Err(error) = check_literal(&uri, *allow_private) {
                    return Box::pin(std::future::ready(Err(error.into())));
                }
                let (connecting, proxy) = (to_proxy.call(proxy.url.clone()), Arc::clone(proxy));
                Box::pin(async move {
                    let mut carrier = connecting.await?;
                    open_tunnel(&mut carrier, &uri, proxy.authorization.as_ref()).await?;
                    Ok(carrier)
                })
            }
        }
    }
}

/// TCP to an address that may be dialled.
#[derive(Debug, Clone)]
struct Dial {
    http: HttpConnector<Checked>,
    allow_private: bool,
}

impl Dial {
    fn new(checked: Checked, within: Duration) -> Self {
        let allow_private = checked.allow_private;
        let mut http = HttpConnector::new_with_resolver(checked);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        http.set_connect_timeout(Some(within));
        http.enforce_http(false);
        Self { http, allow_private }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // An address in the URL is dialled as it is, without the resolver that would have checked it.
        if let Err(error) = check_literal(&uri, self.allow_private) {
            return Box::pin(std::future::ready(Err(error.into())));
        }
        let dialling = self.http.call(uri);
        Box::pin(async move { Ok(dialling.await?) })
    }
}

fn check_literal(uri: &Uri, allow_private: bool) -> io::Result<()> {
    let name = uri.host().unwrap_or_default();
    match host(name).map_err(io::Error::other)? {
        Host::Address(address) if !is_allowed(SocketAddr::new(address, 0), allow_private) => {
            Err(refused(name, allow_private))
        }
        _ => Ok(()),
    }
}

/// Asks a proxy for a tunnel (RFC 9110, 9.3.6).
async fn open_tunnel<T>(carrier: &mut T, target: &Uri, authorization: Option<&HeaderValue>) -> io::Result<()>
where
    T: Read + Write + Unpin,
{
    let port = target.port_u16().unwrap_or(if target.scheme_str() == Some("http") { 80 } else { 443 });
    let authority = format!("{}:{port}", target.host().unwrap_or_default());
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        head.extend_from_slice(b"proxy-authorization: ");
        head.extend_from_slice(authorization.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let mut carrier = TokioIo::new(carrier);
    carrier.write_all(&head).await?;
    carrier.flush().await?;
    let mut answer = Vec::with_capacity(256);
    // Byte for byte, so that nothing behind the head is taken away. It is short, and asked for once a connection.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_TUNNEL_HEAD {
            return Err(io::Error::other("the proxy's answer to CONNECT has no end"));
        }
        answer.push(carrier.read_u8().await?);
    }
    let status = std::str::from_utf8(&answer).ok().and_then(|text| {
        let line = text.lines().next()?.strip_prefix("HTTP/1.")?;
        line.split_ascii_whitespace().nth(1)?.parse::<u16>().ok()
    });
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(io::Error::other("the proxy refuses the tunnel: it wants `username` and `password` (407)")),
        Some(status) => Err(io::Error::other(format!("the proxy refuses the tunnel to {authority} ({status})"))),
        None => Err(io::Error::other("what answers at the proxy's address is no HTTP proxy")),
    }
}
