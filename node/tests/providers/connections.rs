//! How a provider is reached: in time, by a proxy, by HTTP/2 where it offers that, and with what it may send first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peerway::provider::{ClientFactory, Upstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{chat, provider, upstream};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers every request with the version it came in and the headers it had.
async fn serve(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) {
    let acceptor = tls.map(tokio_rustls::TlsAcceptor::from);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| async move {
                let headers: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
                let told = json!({"version": format!("{:?}", request.version()), "headers": headers,
                    "authority": request.uri().authority().map(ToString::to_string)});
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(told.to_string()))))
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            match acceptor {
                Some(acceptor) => {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                }
                None => _ = server.serve_connection(TokioIo::new(stream), answer).await,
            }
        });
    }
}

/// A certificate of its own for `localhost`, the server's side with these protocols, and the client's.
fn tls(protocols: &[&str]) -> (Arc<rustls::ServerConfig>, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let certificate = made.cert.der().clone();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&ring))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), client)
}

async fn ask(upstream: &Upstream) -> Result<(Version, HeaderMap, Value), String> {
    let request = chat(upstream, "m").await;
    let response = upstream.client(0).request(request).await.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    })?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok((head.version, head.headers, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn fields(base_url: String, more: Value) -> Value {
    let mut fields = json!({"type": "openai_compatible", "base_url": base_url, "allow_private": true,
        "keys": [{"id": "main", "value": "sk-secret"}]});
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fields
}

#[tokio::test]
async fn http2_is_spoken_where_both_want_it() {
    for (protocols, setting, expected) in [
        (&["h2", "http/1.1"][..], "auto", Version::HTTP_2),
        (&["http/1.1"], "auto", Version::HTTP_11),
        (&[], "auto", Version::HTTP_11),
        (&["h2", "http/1.1"], "never", Version::HTTP_11),
        (&["h2", "http/1.1"], "always", Version::HTTP_2),
    ] {
        let (server, client) = tls(protocols);
        let (listener, address) = listener().await;
        tokio::spawn(serve(listener, Some(server)));
        let base_url = format!("https://localhost:{}/v1", address.port());
        let provider = provider(fields(base_url, json!({"http2": setting})));
        let upstream = Upstream::prepare(&provider, 1, &ClientFactory::new().unwrap().with_tls(client)).unwrap();
        let (version, _, told) = ask(&upstream).await.unwrap();
        assert_eq!(version, expected, "{protocols:?} {setting}");
        assert_eq!(told["headers"].to_string().contains("\"host\""), expected == Version::HTTP_11, "{told}");
    }
}

#[tokio::test]
async fn http2_without_tls_is_for_those_who_say_so() {
    let (listener, address) = listener().await;
    tokio::spawn(serve(listener, None));
    for (setting, expected) in [("always", Version::HTTP_2), ("auto", Version::HTTP_11)] {
        let upstream = upstream(fields(format!("http://{address}/v1"), json!({"http2": setting})));
        assert_eq!(ask(&upstream).await.unwrap().0, expected, "{setting}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (server, _) = tls(&["http/1.1"]);
    let (listener, address) = listener().await;
    tokio::spawn(serve(listener, Some(server)));
    let upstream = upstream(fields(format!("https://localhost:{}/v1", address.port()), json!({})));
    assert!(ask(&upstream).await.unwrap_err().contains("certificate"));
}

#[tokio::test]
async fn the_time_to_connect_covers_tls() {
    let (listener, address) = listener().await;
    // Accepts, and never says a word.
    let silent = tokio::spawn(async move { listener.accept().await.unwrap() });
    let base_url = format!("https://localhost:{}/v1", address.port());
    let upstream = upstream(fields(base_url, json!({"timeouts": {"connect": "200ms"}})));
    let began = Instant::now();
    let error = ask(&upstream).await.unwrap_err();
    assert!(error.contains("no connection within 200ms"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(silent);
}

/// A proxy that opens every tunnel to one address and notes what it was asked.
async fn proxy(to: SocketAddr, status: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (listener, address) = listener().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            notes.lock().unwrap().push(String::from_utf8(head).unwrap());
            client.write_all(format!("HTTP/1.1 {status}\r\nvia: 1.1 test\r\n\r\n").as_bytes()).await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_proxy_opens_a_tunnel_for_http_and_for_tls() {
    let (server, client) = tls(&["h2", "http/1.1"]);
    let (secure, secure_address) = listener().await;
    tokio::spawn(serve(secure, Some(server)));
    let (plain, plain_address) = listener().await;
    tokio::spawn(serve(plain, None));
    // Names that only the proxy knows where to find.
    for (base_url, to, authority, version) in [
        ("http://llm.example.com/v1", plain_address, "llm.example.com:80", Version::HTTP_11),
        ("http://llm.example.com:8000/v1", plain_address, "llm.example.com:8000", Version::HTTP_11),
        ("https://localhost/v1", secure_address, "localhost:443", Version::HTTP_2),
    ] {
        let (address, asked) = proxy(to, "200 Connection established").await;
        let via = json!({"proxy": {"url": format!("http://{address}"), "allow_private": true,
            "username": "user", "password": "pass"}});
        let provider = provider(fields(base_url.to_owned(), via));
        let factory = ClientFactory::new().unwrap().with_tls(client.clone());
        let upstream = Upstream::prepare(&provider, 1, &factory).unwrap();
        assert_eq!(ask(&upstream).await.unwrap().0, version, "{base_url}");
        let head = asked.lock().unwrap().remove(0);
        let expected = format!(
            "CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        );
        assert_eq!(head, expected, "the proxy learns the host and not the key");
        assert!(!format!("{upstream:?}").contains("dXNlcjpwYXNz"));
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let (_listener, nowhere) = listener().await;
    for (status, expected) in [
        ("407 Proxy Authentication Required", "wants `username` and `password` (407)"),
        ("403 Forbidden", "refuses the tunnel to llm.example.com:80 (403)"),
        ("teapot", "is no HTTP proxy"),
    ] {
        let (address, _) = proxy(nowhere, status).await;
        let via = json!({"proxy": {"url": format!("http://{address}"), "allow_private": true}});
        let upstream = upstream(fields("http://llm.example.com/v1".to_owned(), via));
        let error = ask(&upstream).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// Answers one connection with these bytes.
async fn say(bytes: Vec<u8>) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 4096];
        let _ = stream.read(&mut read).await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.read(&mut read).await;
    });
    address
}

#[tokio::test]
async fn an_answers_head_has_an_end() {
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let large = format!("x-large: {}\r\n", "y".repeat(128 << 10));
    for headers in [many, large] {
        let address = say(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n").into_bytes()).await;
        let upstream = upstream(fields(format!("http://{address}/v1"), json!({})));
        let error = ask(&upstream).await.unwrap_err();
        assert!(error.contains("head") || error.contains("large"), "{error}");
    }
}

#[tokio::test]
async fn what_was_compressed_and_is_not_whole_is_an_error() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"{}").unwrap();
    let whole = encoder.finish().unwrap();
    // Cut behind the head, in the text, and in the sum: of none of them comes more, and only the last one holds text.
    for length in [10, 11, whole.len() - 4, whole.len()] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        let address = say([head.as_bytes(), &whole[..length]].concat()).await;
        let upstream = upstream(fields(format!("http://{address}/v1"), json!({})));
        let response = upstream.client(0).request(chat(&upstream, "m").await).await.unwrap();
        let body = response.into_body().collect().await;
        assert_eq!(body.is_ok(), length == whole.len(), "{length} of {}", whole.len());
    }
}
