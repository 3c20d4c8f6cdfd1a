//! One gateway in this process, in front of a simulated provider, both on free ports.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

pub mod dialects;
pub mod scripted;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use peerway::config::Config;
use peerway::gateway::{Admission, AnswerCache, Gateway, Hooks, Plan, Unattended, Worker, router};
use peerway::governance::CurrentAccess;
use peerway::governance::access::Base;
use peerway::governance::local::LocalLedger;
use peerway::health::Health;
use peerway::http::drain::{Drain, Phase};
use peerway::http::head::Paths;
use peerway::http::request_id::RequestIds;
use peerway::http::shed::ShedCounts;
use peerway::http::{Edge, accept, worker};
use peerway::routing::Observed;
use peerway::telemetry::{AccessLog, Shards};
use peerway_cache::semantic::StaticEmbedder;
use peerway_cache::{Alone, CacheConfig, RingCache, SemanticConfig};
use peerway_cluster::identity::{Generation, Identity, Incarnation};
use peerway_simulated_provider as simulated;
use serde_json::{Value, json};

pub const KEY: &str = "sk-test";

pub struct Setup {
    pub gateway: SocketAddr,
    pub provider: SocketAddr,
    pub shards: Shards,
    pub state: Arc<Gateway>,
    pub edge: Arc<Edge>,
    pub shed: Arc<ShedCounts>,
    pub ledger: Arc<LocalLedger>,
    log: Mutex<mpsc::Receiver<String>>,
    client: Client<HttpConnector, Full<Bytes>>,
    _provider: simulated::Running,
}

/// Gives the access log's lines to the test; those beyond the queue are nobody's.
struct LogSink(mpsc::SyncSender<String>);

impl io::Write for LogSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(bytes).lines() {
            let _ = self.0.try_send(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The payloads of a stream's events.
    pub fn events(&self) -> Vec<String> {
        let text = std::str::from_utf8(&self.body).unwrap();
        assert!(text.is_empty() || text.ends_with("\n\n"), "the last event is whole: {text:?}");
        text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    /// The text that a stream's deltas make.
    pub fn streamed_text(&self) -> String {
        let chunks = self.events().into_iter().filter(|event| event != "[DONE]");
        let chunks = chunks.map(|event| serde_json::from_str::<Value>(&event).unwrap());
        chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
    }
}

/// Two providers (`demo` and `other`, the same simulated one behind both), one alias with a fallback, two keys.
pub async fn setup(change: impl FnOnce(&mut Value)) -> Setup {
    setup_with(change, Hooks::default(), None).await
}

/// The same with a node that chooses by this, whatever it has seen of its upstreams.
pub async fn setup_seeing(observed: Arc<dyn Observed>, change: impl FnOnce(&mut Value)) -> Setup {
    setup_with(change, Hooks::default(), Some(observed)).await
}

pub async fn setup_with_hooks(change: impl FnOnce(&mut Value), hooks: Hooks) -> Setup {
    setup_with(change, hooks, None).await
}

async fn setup_with(change: impl FnOnce(&mut Value), hooks: Hooks, observed: Option<Arc<dyn Observed>>) -> Setup {
    let provider = simulated::start(simulated::Options::default()).await.unwrap();
    let base_url = format!("http://{}/v1", provider.address);
    let upstream = |name: &str, key: &str| {
        json!({"name": name, "type": "simulated", "base_url": base_url, "allow_private": true, "retries": 1,
            "models": ["echo", "slow"], "keys": [{"id": "main", "value": key}],
            "timeouts": {"first_byte": "2s", "idle": "500ms"}})
    };
    let mut config = json!({
        "http": {"max_body": "64KiB"},
        "providers": [upstream("demo", "sk-up-demo"), upstream("other", "sk-up-other")],
        "routes": [{"model": "smart", "targets": [{"provider": "demo", "model": "echo"}],
            "fallbacks": [{"provider": "other", "model": "echo"}]}],
        "governance": {"keys": [
            {"id": "test", "value": KEY, "models": ["demo/*", "smart"]},
            {"id": "second", "value": "sk-second", "models": ["*"]},
        ]},
    });
    change(&mut config);
    let config: Config = serde_json::from_value(config).unwrap();
    let drain = Drain::default();
    let shed = Arc::new(ShedCounts::default());
    let edge = Arc::new(Edge::new(&config.http, Paths::Data, Arc::clone(&shed)));
    let semantic = Some(SemanticConfig::new(Arc::new(StaticEmbedder::new())));
    let cache = CacheConfig { semantic, ..CacheConfig::new([1; 32]) };
    let cache = RingCache::new(cache, Arc::new(Alone::new("node-1".parse().unwrap())));
    let (lines, log) = mpsc::sync_channel(1_000);
    let ledger = Arc::new(LocalLedger::default());
    let identity = Identity {
        cluster: "test".parse().unwrap(),
        node_id: "node-1".parse().unwrap(),
        incarnation: Incarnation(1),
        generation: Generation(1),
    };
    let health = Health::new(&identity, &config.health);
    let gateway = Arc::new(Gateway {
        plan: arc_swap::ArcSwap::from_pointee(Plan::compile(&config, 1).unwrap()),
        access: Arc::new(CurrentAccess::new(Base::new(&config), None).charged_to(Arc::clone(&ledger) as _)),
        cache: AnswerCache::new(cache, tokio::runtime::Handle::current()),
        admission: Admission::new(&config.http, Arc::clone(&shed), drain.clone()),
        observed: observed.unwrap_or_else(|| Arc::new(health.clone())),
        health,
        drain: drain.clone(),
        request_ids: RequestIds::new(7),
        access_log: AccessLog::to(LogSink(lines)).unwrap(),
        unattended: Unattended::default(),
        ledger: Arc::clone(&ledger) as _,
        hooks,
        node_id: HeaderValue::from_static("node-1"),
    });
    let shards = Shards::new(1);
    let state = Arc::clone(&gateway);
    let seat = Worker { gateway, index: 0, shard: shards.of(0) };
    let (handle, _thread) = worker::start(0, Arc::clone(&edge), drain.clone(), move || router(seat)).unwrap();
    let listener = accept::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "http.listen").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(accept::accept_loop(listener, vec![handle], Arc::clone(&edge), drain.clone()));
    drain.enter(Phase::Serving);
    let client = Client::builder(TokioExecutor::new()).build_http();
    Setup {
        gateway: address,
        provider: provider.address,
        shards,
        state,
        edge,
        shed,
        ledger,
        log: Mutex::new(log),
        client,
        _provider: provider,
    }
}

/// What this process holds in memory, both sides of every connection included.
pub fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

impl Setup {
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// As `send`; tells when the first piece of the answer's body has come.
    pub async fn send_telling(&self, request: Request<Full<Bytes>>, first: &tokio::sync::Notify) -> Answer {
        let (head, mut body) = self.client.request(request).await.unwrap().into_parts();
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            whole.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
            first.notify_one();
        }
        Answer { status: head.status, headers: head.headers, body: whole.into() }
    }

    /// As `send`, for an answer whose body may break off.
    pub async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// A chat request with these headers over the usual ones.
    pub async fn chat_with(&self, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(format!("http://{}/v1/chat/completions", self.gateway))
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        self.send(request).await
    }

    pub async fn chat(&self, body: Value) -> Answer {
        self.chat_with(body.to_string(), &[]).await
    }

    /// Talks to the simulated provider's own controls.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(format!("http://{}{path}", self.gateway))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("http://{}{path}", self.gateway))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::default())
            .unwrap();
        self.send(request).await
    }

    pub async fn provider(&self, method: &str, path: &str, body: &str) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.provider))
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let answer = self.send(request).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// The access log's next line.
    pub fn next_log_line(&self) -> Value {
        let line = self.log.lock().unwrap().recv_timeout(Duration::from_secs(10)).expect("a line of the access log");
        serde_json::from_str(&line).unwrap()
    }

    /// A counter on the metrics page, by its name and labels.
    pub fn metric(&self, name: &str) -> String {
        let mut page = peerway::telemetry::exposition::Page::default();
        self.shards.write(&mut page);
        let page = page.finish();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).to_owned()
    }

    pub async fn fault(&self, rule: Value) {
        self.provider("POST", "/faults", &json!([rule]).to_string()).await;
    }

    /// What the provider charges so far, in nano-USD.
    pub async fn bill(&self) -> u64 {
        self.provider("GET", "/bill", "").await["cost_nano_usd"].as_u64().unwrap()
    }

    /// A client that goes away when it has read so many of the answer's events, or after a while.
    pub async fn chat_and_leave(&self, body: Value, events: usize, after: Duration) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let body = body.to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = tokio::net::TcpStream::connect(self.gateway).await.unwrap();
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        let reading = async {
            let mut read = Vec::new();
            while memchr::memmem::find_iter(&read, b"data: ").count() < events {
                assert!(connection.read_buf(&mut read).await.unwrap() > 0, "the gateway closed first");
            }
        };
        let _ = tokio::time::timeout(after, reading).await;
    }

    /// How many requests reached the provider and were charged.
    pub async fn billed(&self) -> u64 {
        self.provider("GET", "/bill", "").await["requests"].as_u64().unwrap()
    }
}

/// Answers that ended otherwise than well, with their types: refused or cut finishes, each as a body and as a stream, and
/// streams that say `stop` and break then.
pub fn not_to_keep() -> Vec<(String, &'static str)> {
    let mut answers = Vec::new();
    for finish in [json!("content_filter"), json!("refusal"), json!("length"), json!(null)] {
        let choice = |name: &str, finish: &Value| json!({"index": 0, name: {"role": "assistant", "content": "I cannot."}, "finish_reason": finish});
        let body = |object: &str, choice: Value| json!({"id": "c1", "object": object, "created": 7, "model": "echo", "choices": [choice]});
        answers.push((body("chat.completion", choice("message", &finish)).to_string(), "application/json"));
        let first = body("chat.completion.chunk", choice("delta", &json!(null)));
        let last = body("chat.completion.chunk", json!({"index": 0, "delta": {}, "finish_reason": finish}));
        answers.push((format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n"), "text/event-stream"));
    }
    let stopped = answers[1].0.replace(r#""content_filter""#, r#""stop""#);
    assert!(stopped.contains("stop"));
    let cut = stopped.replace("data: [DONE]\n\n", "");
    let error = cut.clone() + "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
    answers.extend([cut, error.clone(), error + "data: [DONE]\n\n"].map(|stream| (stream, "text/event-stream")));
    answers
}

pub fn hello() -> Value {
    json!({"model": "demo/echo", "messages": [{"role": "user", "content": "hello"}]})
}

pub fn hello_stream() -> Value {
    let mut body = hello();
    body["stream"] = json!(true);
    body
}
