//! One request from its head to the last byte of its answer: what is known of it, written down when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::Worker;
use crate::dialect::openai::Usage;
use crate::governance::{Mode, NanoUsd, Price, VirtualKey};
use crate::http::drain::InFlight;
use crate::http::request_id::{REQUEST_ID, X_REQUEST_ID};
use crate::routing::Target;
use crate::telemetry::access_log::Line;
use crate::telemetry::shard::RequestLabels;

static X_NODE: HeaderName = HeaderName::from_static("x-peerway-node");
static X_PROVIDER: HeaderName = HeaderName::from_static("x-peerway-provider");
static X_MODEL: HeaderName = HeaderName::from_static("x-peerway-model");
static X_ATTEMPTS: HeaderName = HeaderName::from_static("x-peerway-attempts");
static X_CACHE: HeaderName = HeaderName::from_static("x-peerway-cache");
static X_CACHE_ID: HeaderName = HeaderName::from_static("x-peerway-cache-id");
static X_COST: HeaderName = HeaderName::from_static("x-peerway-cost-usd");
static X_OVERHEAD: HeaderName = HeaderName::from_static("x-peerway-overhead-us");

/// How the cache took part, as `x-peerway-cache` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    Miss,
    HitDirect,
    Bypass,
}

impl CacheResult {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::HitDirect => "hit-direct",
            Self::Bypass => "bypass",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// Refused or failed with this error code.
    Failed(&'static str),
    /// The upstream broke the stream after its first byte.
    Cut,
    /// Dropped before its end: the client went away.
    ClientGone,
}

#[derive(Debug)]
struct Served {
    provider: Arc<str>,
    label: Arc<str>,
    model: Arc<str>,
}

/// Recorded when it is dropped, whichever way the request ends.
#[derive(Debug)]
pub struct Exchange {
    worker: Worker,
    _in_flight: InFlight,
    started: Instant,
    /// Time spent waiting for upstreams so far.
    upstream_wait: Duration,
    overhead: Option<Duration>,
    first_event: Option<Duration>,
    request_id: HeaderValue,
    method: Method,
    path: String,
    key: Option<Arc<VirtualKey>>,
    route: Option<Arc<str>>,
    served: Option<Served>,
    pub stream: bool,
    pub attempts: u32,
    pub cache: CacheResult,
    pub cache_id: Option<String>,
    pub usage: Option<Usage>,
    /// Of the model that answered, as it was when the request was sent; `None`: nobody knows it.
    pub price: Option<Arc<Price>>,
    status: StatusCode,
    pub outcome: Outcome,
}

impl Exchange {
    pub fn begin(worker: Worker, request_id: HeaderValue, method: Method, path: String) -> Self {
        Self {
            _in_flight: worker.gateway.drain.request(),
            worker,
            started: Instant::now(),
            upstream_wait: Duration::ZERO,
            overhead: None,
            first_event: None,
            request_id,
            method,
            path,
            key: None,
            route: None,
            served: None,
            stream: false,
            attempts: 0,
            cache: CacheResult::Bypass,
            cache_id: None,
            usage: None,
            price: None,
            status: StatusCode::OK,
            outcome: Outcome::ClientGone,
        }
    }

    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    pub fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    pub fn set_key(&mut self, key: Option<Arc<VirtualKey>>) {
        self.key = key;
    }

    pub fn set_route(&mut self, route: Arc<str>) {
        self.route = Some(route);
    }

    pub fn set_target(&mut self, target: &Target) {
        let (provider, label, model) = (&target.upstream.name, &target.label, &target.model);
        self.set_served(Arc::clone(provider), Arc::clone(label), Arc::clone(model));
    }

    /// Who gave the answer; `label` is the model's name in metrics.
    pub fn set_served(&mut self, provider: Arc<str>, label: Arc<str>, model: Arc<str>) {
        self.served = Some(Served { provider, label, model });
    }

    pub fn add_upstream_wait(&mut self, wait: Duration) {
        self.upstream_wait += wait;
    }

    /// What this request costs by what is known of it so far. A hit costs nothing; an unknown price or usage is not
    /// nothing.
    pub fn cost(&self) -> Option<NanoUsd> {
        if self.cache == CacheResult::HitDirect {
            return Some(NanoUsd::ZERO);
        }
        Some(self.price.as_ref()?.cost(self.usage.as_ref()?, Mode::Standard))
    }

    pub fn first_event_seen(&mut self) {
        self.first_event.get_or_insert_with(|| self.started.elapsed());
    }

    /// Puts what the client should know of this request into the answer's headers.
    pub fn stamp(&mut self, response: &mut axum::response::Response) {
        self.status = response.status();
        let overhead = self.started.elapsed().saturating_sub(self.upstream_wait);
        self.overhead = Some(overhead);
        let headers = response.headers_mut();
        headers.insert(&X_REQUEST_ID, self.request_id.clone());
        headers.insert(&REQUEST_ID, self.request_id.clone());
        headers.insert(&X_NODE, self.worker.gateway.node_id.clone());
        headers.insert(&X_CACHE, HeaderValue::from_static(self.cache.as_str()));
        headers.insert(&X_OVERHEAD, HeaderValue::from(overhead.as_micros() as u64));
        headers.insert(&X_ATTEMPTS, HeaderValue::from(self.attempts));
        if let Some(id) = self.cache_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(&X_CACHE_ID, id);
        }
        if let Some(cost) = self.cost().and_then(|cost| HeaderValue::try_from(cost.to_string()).ok()) {
            headers.insert(&X_COST, cost);
        }
        if let Some(served) = &self.served {
            for (name, text) in [(&X_PROVIDER, &served.provider), (&X_MODEL, &served.model)] {
                if let Ok(value) = HeaderValue::from_str(text) {
                    headers.insert(name, value);
                }
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let shard = &self.worker.shard;
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed(code) => code,
            Outcome::Cut => {
                shard.cut_streams.fetch_add(1, Ordering::Relaxed);
                "cut"
            }
            Outcome::ClientGone => "client_gone",
        };
        let status = if self.outcome == Outcome::ClientGone { 499 } else { self.status.as_u16() };
        let none = || Arc::from("none");
        shard.request(RequestLabels {
            route: self.route.clone().unwrap_or_else(none),
            provider: self.served.as_ref().map_or_else(none, |served| Arc::clone(&served.provider)),
            model: self.served.as_ref().map_or_else(none, |served| Arc::clone(&served.label)),
            status,
        });
        shard.duration.observe(duration);
        if let Some(overhead) = self.overhead {
            shard.overhead.observe(overhead);
        }
        if let Some(first) = self.first_event {
            shard.time_to_first_token.observe(first);
        }
        if let Some(usage) = self.usage {
            shard.prompt_tokens.fetch_add(usage.prompt_tokens, Ordering::Relaxed);
            shard.completion_tokens.fetch_add(usage.completion_tokens, Ordering::Relaxed);
        }
        let cost = self.cost();
        if let Some(cost) = cost {
            shard.add_cost(cost);
        }
        self.worker.gateway.access_log.write(&Line {
            time_unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64),
            request_id: self.request_id.to_str().unwrap_or_default(),
            method: self.method.as_str(),
            path: &self.path,
            status,
            duration_us: duration.as_micros() as u64,
            overhead_us: self.overhead.map_or(0, |overhead| overhead.as_micros() as u64),
            ttft_us: self.first_event.map(|first| first.as_micros() as u64),
            key: self.key.as_ref().map(|key| &*key.id),
            provider: self.served.as_ref().map(|served| &*served.provider),
            model: self.served.as_ref().map(|served| &*served.model),
            stream: self.stream,
            attempts: self.attempts,
            cache: self.cache.as_str(),
            prompt_tokens: self.usage.map(|usage| usage.prompt_tokens),
            completion_tokens: self.usage.map(|usage| usage.completion_tokens),
            cost_nano_usd: cost.map(NanoUsd::get),
            outcome,
        });
    }
}
