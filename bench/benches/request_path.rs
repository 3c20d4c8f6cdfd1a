//! What one request costs on its way, step by step.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peerway::dialect::openai::Event;
use peerway::operation::Operation;
use peerway::relay::EventCutter;
use peerway::surface::{Call, Envelope, Rewrite};
use peerway_cache::{Alone, CacheConfig, Content, Entry, Recorded, RingCache, TenantScope};
use peerway_cluster::ring::{Partition, Ring, RingMember};
use peerway_dialect::Dialect;

/// A chat request of about 1.7 KiB, as an application sends it.
fn request() -> Bytes {
    let history: Vec<serde_json::Value> = (0..6)
        .map(|turn| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            serde_json::json!({"role": role, "content": "What does the harbour master do when two ships ask for \
                the same berth at the same hour, and who pays for the one that has to wait outside? Please be brief, \
                and say which rule you take that from. \"Quote\" it."})
        })
        .collect();
    let body = serde_json::json!({
        "messages": history, "model": "openai/gpt-4o-mini", "temperature": 0.2, "max_tokens": 256, "stream": true,
    });
    Bytes::from(body.to_string())
}

/// Forty chunks of a stream, as OpenAI writes them.
fn stream() -> Bytes {
    let mut text = String::new();
    for token in 0..40 {
        text.push_str(&format!(
            "data: {{\"id\":\"chatcmpl-9x1\",\"object\":\"chat.completion.chunk\",\"created\":1763700000,\"model\":\
             \"gpt-4o-mini\",\"system_fingerprint\":\"fp_1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\
             \" token{token}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
        ));
    }
    text.push_str("data: [DONE]\n\n");
    Bytes::from(text)
}

fn envelope(c: &mut Criterion) {
    let body = request();
    let mut group = c.benchmark_group("envelope");
    group.throughput(Throughput::Bytes(body.len() as u64));
    let chat = Call::new(Dialect::OpenAiChat, Operation::Chat);
    group.bench_function("scan", |b| b.iter(|| Envelope::scan(&chat, black_box(&body)).expect("the request is valid")));
    let envelope = Envelope::scan(&chat, &body).expect("the request is valid");
    let rewrite = Rewrite { model: Some("gpt-4o-mini"), ask_for_usage: true, ..Rewrite::default() };
    group.bench_function("rewrite", |b| b.iter(|| envelope.rewrite(black_box(&body), rewrite)));
    group.finish();
}

fn sse(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Elements(41));
    group.bench_function("cut 41 events", |b| {
        b.iter(|| {
            let mut cutter = EventCutter::new(1 << 20);
            cutter.push(stream.clone());
            let mut events = 0;
            while let Ok(Some(event)) = cutter.next_event() {
                events += black_box(event).len();
            }
            events
        });
    });
    group.bench_function("cut and read 41 events", |b| {
        b.iter(|| {
            let mut cutter = EventCutter::new(1 << 20);
            cutter.push(stream.clone());
            while let Ok(Some(event)) = cutter.next_event() {
                black_box(Event::read(&event));
            }
        });
    });
    group.finish();
}

fn cache(c: &mut Criterion) {
    let body = request();
    let me = "node-1".parse().expect("a valid name");
    let cache = RingCache::new(CacheConfig::new([7; 32]), Arc::new(Alone::new(me)));
    let scope = TenantScope::key("search");
    let mut group = c.benchmark_group("cache");
    group.bench_function("entry id, 1.7 KiB", |b| {
        b.iter(|| cache.identify(&scope, "faq", "chat/completions", black_box(&body)).expect("the request is valid"));
    });
    let (id, namespace) = cache.identify(&scope, "faq", "chat/completions", &body).expect("the request is valid");
    let now = cache_clock();
    let entry = Entry {
        id,
        namespace,
        generation: cache.generation(&namespace),
        created_ms: now,
        expires_ms: now + Duration::from_secs(3600).as_millis() as u64,
        content: Content {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            usage: None,
            recorded: Recorded::Plain { body: Bytes::from(vec![b'x'; 1500]) },
        },
    };
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(cache.put(entry));
    group.bench_function("exact hit at the owner", |b| {
        b.iter(|| cache.get_local(black_box(&id), &namespace).expect("the entry is there"));
    });
    group.bench_function("id and exact hit at the owner", |b| {
        b.iter(|| {
            let (id, namespace) =
                cache.identify(&scope, "faq", "chat/completions", black_box(&body)).expect("the request is valid");
            cache.get_local(&id, &namespace).expect("the entry is there")
        });
    });
    group.finish();
}

fn cache_clock() -> u64 {
    peerway_cache::Clock::system().now_ms()
}

fn ring(c: &mut Criterion) {
    let members = (0..10)
        .map(|n| RingMember { id: format!("node-{n}").parse().expect("a valid name"), weight: 1.0, zone: None })
        .collect::<Vec<_>>();
    let ring = Ring::build(members.clone());
    let mut hash = [0u8; 32];
    c.bench_function("ring/look-up", |b| {
        b.iter(|| {
            hash[0] = hash[0].wrapping_add(1);
            ring.owners(Partition::of(black_box(&hash))).owner.cloned()
        });
    });
    c.bench_function("ring/build, 10 nodes", |b| b.iter(|| Ring::build(black_box(members.clone()))));
}

criterion_group!(benches, envelope, sse, cache, ring);
criterion_main!(benches);
