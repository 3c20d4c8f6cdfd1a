//! One request from its head to the last byte of its answer: what is known of it, written down when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Method, StatusCode};

use peerway_dialect::Dropped;
use tracing::debug;

use super::attempt::Sent;
use super::attended::Waits;
use super::cached::Judged;
use super::extra_fields::{self, CacheDebug, ExtraFields};
use super::ladder::X_EXPLANATION;
use super::{Admitted, Worker, limits};
use crate::dialect::openai::Usage;
use crate::governance::{Account, Amounts, NanoUsd, Price, Reason, Reserved, VirtualKey};
use crate::health::{self, Call, Verdict};
use crate::http::drain::InFlight;
use crate::http::error::ApiError;
use crate::http::error_form::ErrorForm;
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
static X_CACHE_SIMILARITY: HeaderName = HeaderName::from_static("x-peerway-cache-similarity");
static X_CACHE_GUARD: HeaderName = HeaderName::from_static("x-peerway-cache-guard");
static X_COST: HeaderName = HeaderName::from_static("x-peerway-cost-usd");
static X_OUTPUT_LIMIT: HeaderName = HeaderName::from_static("x-peerway-output-limit");
static X_DROPPED: HeaderName = HeaderName::from_static("x-peerway-dropped");
static X_OVERHEAD: HeaderName = HeaderName::from_static("x-peerway-overhead-us");

/// How the cache took part, as `x-peerway-cache` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    Miss,
    HitDirect,
    /// By the answer to a request that means the same.
    HitSemantic,
    /// By the answer to a request that was the same and under way.
    HitCoalesced,
    Bypass,
}

impl CacheResult {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::HitDirect => "hit-direct",
            Self::HitSemantic => "hit-semantic",
            Self::HitCoalesced => "hit-coalesced",
            Self::Bypass => "bypass",
        }
    }

    fn is_hit(self) -> bool {
        matches!(self, Self::HitDirect | Self::HitSemantic | Self::HitCoalesced)
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
    /// What the guard said of the nearest prompt, if it was asked.
    pub(super) cache_judged: Option<Judged>,
    /// What was paid for this request besides its answer; recorded where it was paid.
    pub(super) beside: NanoUsd,
    /// How sure it had to be.
    pub(super) cache_threshold: Option<f32>,
    /// The answer carries `extra_fields`.
    pub(super) tells_extra_fields: bool,
    /// As the answer states it, be it the provider's or the cache's.
    pub usage: Option<Usage>,
    /// What the attempts cost; there from when a provider may be asked.
    pub account: Option<Account>,
    /// Taken for whatever answers.
    pub(super) reserved: Option<Reserved>,
    /// Taken for the provider that is being asked, and what had been spent before it.
    at_provider: Option<(Reserved, Amounts)>,
    /// The stream that answers, as its target's health sees it.
    call: Option<Call>,
    waits: Arc<Waits>,
    /// What of the request the provider was not told, and what of the answer the client is not, because the other's
    /// dialect has no words for it.
    pub(crate) dropped: Dropped,
    /// When the client stops waiting for the beginning of an answer, if it says so.
    pub(super) deadline: Option<tokio::time::Instant>,
    /// Its place among the requests in progress.
    pub(super) admitted: Option<Admitted>,
    /// Set when the client is gone and the rest happens without it.
    ended: Option<Duration>,
    status: StatusCode,
    pub outcome: Outcome,
    /// Why its targets are tried in this order, if the client wants to know.
    pub(super) explanation: Option<HeaderValue>,
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
            cache_judged: None,
            beside: NanoUsd::ZERO,
            cache_threshold: None,
            tells_extra_fields: false,
            usage: None,
            account: None,
            reserved: None,
            at_provider: None,
            call: None,
            waits: Arc::default(),
            dropped: Dropped::new(),
            deadline: None,
            admitted: None,
            ended: None,
            status: StatusCode::OK,
            outcome: Outcome::ClientGone,
            explanation: None,
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

    /// What this request costs, once that is known. A hit costs nothing; an unknown price or usage is not nothing.
    pub fn cost(&self) -> Option<NanoUsd> {
        if self.cache.is_hit() {
            return Some(NanoUsd::ZERO);
        }
        self.account.as_ref()?.cost()
    }

    /// What this request and the client's connection know of one another.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// An attempt is about to be sent, to a model of this price.
    pub(super) fn sent(&mut self, price: Option<Arc<Price>>) {
        if let Some(account) = &mut self.account {
            account.begin(price);
            self.waits.set_sent(true);
        }
        self.waits.set_charged(self.is_charged());
    }

    /// Whether what the answer costs is counted against a budget or a limit: then its cost is worth waiting for when the
    /// client has gone.
    pub fn is_charged(&self) -> bool {
        let at_provider = self.at_provider.as_ref().map(|(reserved, _)| reserved);
        self.reserved.iter().chain(at_provider).any(Reserved::counts_usage)
    }

    /// Another provider will be asked, for which this was taken.
    pub(super) fn enter_provider(&mut self, reserved: Option<Reserved>) {
        self.leave_provider();
        let before = self.spent();
        self.at_provider = reserved.map(|reserved| (reserved, before));
    }

    fn leave_provider(&mut self) {
        if let Some((reserved, before)) = self.at_provider.take() {
            reserved.settle(&self.spent().since(&before));
        }
    }

    fn spent(&self) -> Amounts {
        self.account.as_ref().map(Amounts::spent).unwrap_or_default()
    }

    /// The cost is known: charges it and gives the rest of what was taken back.
    pub fn settle(&mut self) {
        self.leave_provider();
        if let Some(reserved) = self.reserved.take() {
            reserved.settle(&self.spent());
        }
    }

    pub(super) fn key(&self) -> Option<&Arc<VirtualKey>> {
        self.key.as_ref()
    }

    /// Ends with an answer that is whole.
    pub(super) async fn whole(mut self, mut response: axum::response::Response) -> axum::response::Response {
        self.outcome = Outcome::Ok;
        if self.tells_extra_fields && response.status() == StatusCode::OK {
            response = extra_fields::added(response, &self.extra_fields()).await;
        }
        self.stamp(&mut response);
        response
    }

    /// Ends with the answer to a client that cannot have another one.
    pub(super) async fn failed(mut self, error: &ApiError) -> axum::response::Response {
        debug!(code = error.code(), %error, "refused or failed a request");
        self.outcome = Outcome::Failed(error.code());
        let mut response = error.response(ErrorForm::of_path(&self.path), &self.request_id);
        if self.tells_extra_fields {
            response = extra_fields::added(response, &self.extra_fields()).await;
        }
        self.stamp(&mut response);
        response
    }

    fn extra_fields(&self) -> ExtraFields<'_> {
        ExtraFields {
            provider: self.served.as_ref().map(|served| &*served.provider),
            model: self.served.as_ref().map(|served| &*served.model),
            latency: self.started.elapsed().as_millis() as u64,
            cache_debug: (self.cache != CacheResult::Bypass).then(|| CacheDebug {
                cache_hit: self.cache.is_hit(),
                hit_type: self.cache.as_str().strip_prefix("hit-"),
                // The same number as in the header.
                similarity: self.cache_judged.and_then(|judged| judged.told_similarity().parse().ok()),
                threshold: self.cache_judged.and(self.cache_threshold),
                cache_id: self.cache_id.as_deref(),
            }),
        }
    }

    /// The attempt has been answered, or has failed.
    pub(super) fn answered(&mut self, charge: impl FnOnce(&mut Account)) {
        self.account.as_mut().map(charge);
        self.waits.set_sent(false);
    }

    pub(super) fn is_client_gone(&self) -> bool {
        self.waits.is_client_gone()
    }

    /// The client is gone, and the rest of the answer is read for its cost only.
    pub fn client_gone(&mut self) {
        self.waits.client_gone();
        self.ended.get_or_insert_with(|| self.started.elapsed());
    }

    pub fn first_event_seen(&mut self) {
        self.first_event.get_or_insert_with(|| self.started.elapsed());
    }

    /// An attempt has answered. Of a stream only the beginning is there.
    pub(super) fn watch(&mut self, call: Call, sent: &Sent) {
        match sent {
            Sent::Stream { .. } | Sent::Raw(_) => {
                call.has_output();
                self.call = Some(call);
            }
            // An answer, or an error that is the client's own fault.
            Sent::Plain { status, .. } => {
                let is_answer = status.is_success();
                call.end(if is_answer { Verdict::of(&health::Outcome::Ok) } else { Verdict::CLIENT }, None);
            }
        }
    }

    /// The stream has ended, well or not.
    pub fn judge(&mut self, verdict: Verdict) {
        if let Some(call) = self.call.take() {
            call.end(verdict, None);
        }
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
        if let Some(judged) = &self.cache_judged {
            headers.insert(&X_CACHE_GUARD, HeaderValue::from_static(judged.guard()));
            if let Ok(similarity) = HeaderValue::try_from(judged.told_similarity()) {
                headers.insert(&X_CACHE_SIMILARITY, similarity);
            }
        }
        if let Some(explanation) = &self.explanation {
            headers.insert(&X_EXPLANATION, explanation.clone());
        }
        let cost = self.cost().map(|cost| cost.saturating_add(self.beside));
        if let Some(cost) = cost.and_then(|cost| HeaderValue::try_from(cost.to_string()).ok()) {
            headers.insert(&X_COST, cost);
        }
        if let Some(charges) = self.key.as_ref().and_then(|key| key.charges()) {
            limits::stamp(charges, headers);
        }
        if let Some(cap) = self.account.as_ref().and_then(|account| account.asked().cap()) {
            headers.insert(&X_OUTPUT_LIMIT, HeaderValue::from(cap));
        }
        if let Some(dropped) = self.dropped.header_value().and_then(|names| HeaderValue::try_from(names).ok()) {
            headers.insert(&X_DROPPED, dropped);
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
        // An attempt that is still open here has nobody left who could tell what became of it.
        if let Some(account) = self.account.as_mut().filter(|account| account.is_open()) {
            account.prompt_only(Reason::ClientGone);
        }
        self.settle();
        if self.outcome == Outcome::Ok {
            self.judge(Verdict::of(&health::Outcome::Ok));
        }
        if self.waits.is_client_gone() {
            self.outcome = Outcome::ClientGone;
        }
        let duration = self.ended.unwrap_or_else(|| self.started.elapsed());
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
        let charged = self.account.as_ref().and_then(Account::tokens);
        let tokens = charged.or(self.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)));
        if let Some((prompt_tokens, completion_tokens)) = tokens {
            shard.prompt_tokens.fetch_add(prompt_tokens, Ordering::Relaxed);
            shard.completion_tokens.fetch_add(completion_tokens, Ordering::Relaxed);
        }
        let estimated = self.account.as_ref().and_then(Account::estimated);
        if let Some(estimated) = estimated {
            shard.add_estimated(estimated.reason, estimated.cost);
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
            cache_similarity: self.cache_judged.map(|judged| judged.similarity),
            cache_guard: self.cache_judged.map(|judged| judged.guard()),
            prompt_tokens: tokens.map(|(prompt_tokens, _)| prompt_tokens),
            completion_tokens: tokens.map(|(_, completion_tokens)| completion_tokens),
            cost_nano_usd: cost.map(NanoUsd::get),
            estimated: estimated.is_some(),
            estimated_because: estimated.map(|estimated| estimated.reason.as_str()),
            dropped: self.dropped.header_value(),
            outcome,
        });
    }
}
