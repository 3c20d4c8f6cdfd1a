//! No URL of the configuration leads into the gateway's own machine or network unless the operator allows it: each URL of
//! a long list is put into each field that takes one, and dialled for real where it is not refused before. A canary
//! listens on every address of this machine; every name resolves to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerway::config;
use peerway::operation::Operation;
use peerway::provider::resolve::{Resolve, Resolving};
use peerway::provider::{ClientFactory, Upstream, UpstreamCall};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Hosts, for `http://HOST:PORT/v1`.
const HOSTS: [&str; 63] = [
    // IPv4, as it is and in every other notation
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7F.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "127.1",
    "127.0.1",
    "0",
    "0x0",
    "127.0.0.1.",
    "127.0.0.1..",
    ".127.0.0.1",
    "127.0.0.256",
    // IPv6, and IPv4 inside it
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:807f:fffe]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[::1%25lo]",
    "[fec0::1]",
    "[ff02::1]",
    "[::1",
    // Names of this machine and of clouds' metadata
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.b.localhost",
    "localhost.localdomain",
    "metadata.google.internal",
    "metadata",
    "instance-data",
    // Names that look like somebody else's, and resolve to this machine
    "api.openai.com",
    "127.0.0.1.example.com",
];

/// Whole URLs; `PORT` is the canary's.
const URLS: [&str; 20] = [
    "http://api.openai.com@127.0.0.1:PORT/v1",
    "http://127.0.0.1:PORT@api.openai.com/v1",
    "http://api.openai.com:80@127.0.0.1:PORT/v1",
    "http://api.openai.com%40127.0.0.1:PORT/v1",
    "http://127.0.0.1%00.example.com:PORT/v1",
    "http://127.0.0.1%2eexample.com:PORT/v1",
    "http://127.0.0.1%23.example.com:PORT/v1",
    "http://127.0.0.1\\@api.openai.com:PORT/v1",
    "http://api.openai.com\\.127.0.0.1:PORT/v1",
    "http:\\\\127.0.0.1:PORT/v1",
    "http:127.0.0.1:PORT/v1",
    "http:///127.0.0.1:PORT/v1",
    "//127.0.0.1:PORT/v1",
    "http://127。0。0。1:PORT/v1",
    "http://127.0.0.1:PORT/v1",
    "http://①②⑦.⓪.⓪.①:PORT/v1",
    "http://ⓛocalhost:PORT/v1",
    "http://127.0.0.1:PORT/v1#@api.openai.com",
    "http://127.0.0.1:PORT/v1?.openai.com",
    "gopher://127.0.0.1:PORT/_v1",
];

/// What the text of a URL does not tell: left to a proxy that looks names up itself.
const PUBLIC_NAMES: [&str; 2] = ["http://api.openai.com:", "http://127.0.0.1.example.com:"];

fn urls(port: u16) -> Vec<String> {
    let hosts = HOSTS.iter().map(|host| format!("http://{host}:{port}/v1"));
    hosts.chain(URLS.iter().map(|url| url.replace("PORT", &port.to_string()))).collect()
}

/// Counts the connections that reach it, and keeps what they say.
struct Canary {
    port: u16,
    reached: Arc<AtomicUsize>,
}

impl Canary {
    async fn new() -> Self {
        let any: IpAddr = "::".parse().unwrap();
        let listener = match TcpListener::bind(SocketAddr::new(any, 0)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let reached = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reached);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                });
            }
        });
        Self { port, reached }
    }

    /// A connection of our own comes last, so whatever was on its way before has been counted.
    async fn reached(&self) -> usize {
        let before = self.reached.load(Ordering::SeqCst);
        let mut probe = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        probe.write_all(b"?").await.unwrap();
        probe.read_exact(&mut [0; 1]).await.unwrap();
        let reached = self.reached.fetch_sub(1, Ordering::SeqCst) - 1;
        assert!(reached >= before);
        reached
    }
}

/// Answers each look-up with the next of its answers, the last for ever.
#[derive(Debug)]
struct Scripted {
    answers: Mutex<Vec<Vec<&'static str>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        let mut answers: Vec<Vec<&'static str>> = answers.iter().map(|answer| answer.to_vec()).collect();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Scripted {
    fn resolve(&self, _: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
        let addresses: Vec<SocketAddr> =
            answer.unwrap().iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

fn factory(resolver: &Arc<Scripted>) -> ClientFactory {
    ClientFactory::new().unwrap().with_resolver(Arc::clone(resolver) as _)
}

fn provider(fields: &Value) -> config::Provider {
    let mut provider = json!({"name": "p", "type": "openai_compatible", "keys": [{"id": "main", "value": "sk-secret"}],
        "timeouts": {"connect": "300ms"}});
    for (name, value) in fields.as_object().unwrap() {
        provider[name] = value.clone();
    }
    serde_json::from_value(provider).unwrap()
}

/// What became of a request to a provider.
#[derive(Debug)]
enum Fate {
    /// By the configuration's check, and by the start as well.
    RefusedAtLoad,
    /// When it came to dialling, or to asking for a token.
    RefusedAtUse(String),
    Answered(http::StatusCode),
}

async fn try_it(provider: &config::Provider, resolver: &Arc<Scripted>) -> Fate {
    let whole = config::Config { providers: vec![provider.clone()], ..Default::default() };
    let checked = config::verify(&whole);
    let upstream = match (Upstream::prepare(provider, 1, &factory(resolver)), checked) {
        (Ok(upstream), Ok(())) => upstream,
        (Err(_), Err(_)) => return Fate::RefusedAtLoad,
        (prepared, checked) => panic!("check and start do not agree: {checked:?}, {:?}", prepared.err()),
    };
    let key = upstream.keys().first();
    let call = UpstreamCall {
        operation: Operation::Chat,
        dialect: upstream.chat_dialect(peerway_dialect::Dialect::OpenAiChat, "m"),
        model: "m",
        stream: false,
        content_type: None,
    };
    let request = match upstream.request(&call, key, Bytes::from_static(b"{}")).await {
        Ok(request) => request,
        Err(error) => return Fate::RefusedAtUse(error.to_string()),
    };
    match upstream.client(0).request(request).await {
        Ok(response) => Fate::Answered(response.status()),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            Fate::RefusedAtUse(text)
        }
    }
}

/// Every URL of the list in the field that `fields` fills: none is dialled, and none merely fails by chance.
async fn none_gets_through(fields: impl Fn(&str) -> Value, skip: &[&str]) {
    let canary = Canary::new().await;
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    let list = urls(canary.port);
    assert!(list.len() >= 60);
    for url in list {
        if skip.iter().any(|start| url.starts_with(start)) {
            continue;
        }
        match try_it(&provider(&fields(&url)), &resolver).await {
            Fate::RefusedAtLoad => {}
            Fate::RefusedAtUse(why) => {
                let by_rule = why.contains("private addresses only") || why.contains("where no provider is called");
                assert!(by_rule, "{url}: {why}");
            }
            Fate::Answered(status) => panic!("{url} was answered: {status}"),
        }
        assert_eq!(canary.reached.load(Ordering::SeqCst), 0, "{url}");
    }
    assert_eq!(canary.reached().await, 0);
}

fn account(token_uri: &str) -> String {
    let key = include_str!("providers/fixtures/service_account.pem");
    json!({"type": "service_account", "client_email": "a@b.example", "private_key": key, "project_id": "p",
        "token_uri": token_uri})
    .to_string()
}

#[tokio::test]
async fn no_base_url_leads_inside() {
    none_gets_through(|url| json!({"base_url": url}), &[]).await;
}

#[tokio::test]
async fn no_proxy_is_inside() {
    none_gets_through(
        |url| json!({"base_url": "https://api.openai.com/v1", "proxy": {"url": url.replace("/v1", "")}}),
        &[],
    )
    .await;
}

#[tokio::test]
async fn no_token_uri_leads_inside() {
    let fields =
        |url: &str| json!({"type": "vertex", "location": "global", "keys": [{"id": "main", "value": account(url)}]});
    none_gets_through(fields, &[]).await;
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_what_is_inside() {
    let proxy = Canary::new().await;
    let fields = |url: &str| json!({"base_url": url, "proxy": {"url": format!("http://127.0.0.1:{}", proxy.port), "allow_private": true}});
    none_gets_through(fields, &PUBLIC_NAMES).await;
    assert_eq!(proxy.reached().await, 0);
}

#[test]
fn there_is_no_other_field_for_a_url() {
    let schema = peerway::cli::schema::schema().to_string();
    let fields: Vec<&str> = schema
        .split('"')
        .filter(|word| ["url", "uri", "endpoint", "webhook"].iter().any(|part| word.contains(part)))
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect();
    let mut known: Vec<&str> = fields.clone();
    known.sort_unstable();
    known.dedup();
    // `urls` are the nodes of the operator's own Redis Cluster, which is asked for nothing that a request names.
    assert_eq!(known, ["base_url", "url", "urls"], "a new field for a URL needs a test in this file");
}

#[tokio::test]
async fn allowed_is_what_the_operator_allows_and_no_more() {
    let canary = Canary::new().await;
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    for host in ["127.0.0.1", "localhost", "api.openai.com"] {
        let url = format!("http://{host}:{}/v1", canary.port);
        let fate = try_it(&provider(&json!({"base_url": url, "allow_private": true})), &resolver).await;
        assert!(matches!(fate, Fate::Answered(http::StatusCode::OK)), "{host}: {fate:?}");
    }
    for host in
        ["169.254.169.254", "168.63.129.16", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[fe80::1]", "224.0.0.1"]
    {
        let url = format!("http://{host}:{}/v1", canary.port);
        let fate = try_it(&provider(&json!({"base_url": url, "allow_private": true})), &resolver).await;
        assert!(matches!(fate, Fate::RefusedAtLoad), "{host}: {fate:?}");
    }
    let metadata = Scripted::new(&[&["169.254.169.254"]]);
    let url = format!("http://inside.example:{}/v1", canary.port);
    let fate = try_it(&provider(&json!({"base_url": url, "allow_private": true})), &metadata).await;
    assert!(matches!(&fate, Fate::RefusedAtUse(why) if why.contains("metadata")), "{fate:?}");
}

#[tokio::test]
async fn a_name_that_changes_between_look_ups_changes_nothing() {
    let canary = Canary::new().await;
    // Public first, then this machine, then both at once. The public address is documented to belong to nobody.
    let nobody = "2001:4860:ffff:ffff::1";
    let resolver = Scripted::new(&[&[nobody], &["127.0.0.1"], &["127.0.0.1", "::1", "10.0.0.1"]]);
    let provider = provider(&json!({"base_url": format!("http://rebind.example:{}/v1", canary.port)}));
    let upstream = Upstream::prepare(&provider, 1, &factory(&resolver)).unwrap();
    for attempt in 1..=3 {
        let request = http::Request::post(format!("http://rebind.example:{}/v1/chat/completions", canary.port));
        let request = request.body(http_body_util::Full::new(Bytes::new())).unwrap();
        let sent = tokio::time::timeout(Duration::from_secs(5), upstream.client(0).request(request)).await.unwrap();
        assert!(sent.is_err());
        // Judged and dialled are one answer: nobody asks again in between.
        assert_eq!(resolver.asked.load(Ordering::SeqCst), attempt);
    }
    assert_eq!(canary.reached().await, 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let canary = Canary::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = canary.port;
    tokio::spawn(async move {
        for status in [301, 302, 303, 307, 308] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.windows(6).any(|window| window == b"\r\n\r\n{}") {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            }
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: http://127.0.0.1:{target}/v1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let resolver = Scripted::new(&[&["127.0.0.1"]]);
    let fields = json!({"base_url": format!("http://{address}/v1"), "allow_private": true});
    for status in [301, 302, 303, 307, 308] {
        let fate = try_it(&provider(&fields), &resolver).await;
        assert!(matches!(fate, Fate::Answered(answered) if answered.as_u16() == status), "{fate:?}");
    }
    assert_eq!(canary.reached().await, 0);
}
