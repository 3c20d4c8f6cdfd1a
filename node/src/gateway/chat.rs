//! A chat in whichever dialect, one straight line: authenticate, route, look up, send, relay.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use peerway_cache::Recorder;
use peerway_dialect::Dialect;

use super::attempt::Sent;
use super::cached::{Counting, Found, Judge, LookedUp, Participation};
use super::enter::enter;
use super::headers::returned;
use super::hooks::{Answered, Refusal};
use super::outbound::Outbound;
use super::send::send;
use super::{CacheResult, Exchange, deadline, ladder, reserve};
use crate::dialect::content_type;
use crate::dialect::openai::Replay;
use crate::governance::Account;
use crate::governance::account::Asked;
use crate::http::error::ApiError;
use crate::http::scrub;
use crate::relay::{Feed, Limits, OnFinish, StreamRelay};
use crate::routing::Target;
use crate::surface::{Call, Envelope};
use crate::telemetry::savings::HitKind;

/// Answers the request, whichever way it goes.
pub(super) async fn complete(mut exchange: Exchange, call: Call, request: Request) -> Response {
    match answer(&mut exchange, &call, request).await {
        Ok(Ready::Plain(response)) => exchange.whole(response).await,
        Ok(Ready::Stream(relay)) => relay.start(exchange),
        Err(error) => exchange.failed(&error).await,
    }
}

enum Ready {
    Plain(Response),
    Stream(Box<PendingStream>),
}

/// A stream that has begun to answer, and of which the client has seen nothing.
struct PendingStream {
    headers: HeaderMap,
    content_type: &'static str,
    feed: Feed,
    strip_usage: bool,
    limits: Limits,
    fill: Option<(Recorder, OnFinish)>,
}

async fn answer(exchange: &mut Exchange, call: &Call, request: Request) -> Result<Ready, ApiError> {
    let gateway = std::sync::Arc::clone(&exchange.worker().gateway);
    let plan = gateway.plan.load_full();
    exchange.tells_extra_fields = plan.extra_fields;
    let (head, body) = request.into_parts();
    let (key, body) = enter(exchange, &plan, &head.headers, body).await?;
    let envelope = Envelope::scan(call, &body)?;
    exchange.stream = envelope.stream;
    exchange.deadline = deadline::of(&head.headers);
    let route = ladder::route(&plan, key.as_deref(), &envelope.model)?;
    let fallbacks = ladder::fallbacks(&plan, key.as_deref(), envelope.fallbacks(&body))?;
    exchange.set_route(route.label.clone());

    let replay = if envelope.stream { Replay::Stream { include_usage: envelope.include_usage } } else { Replay::Plain };
    let is_kept = call.dialect == Dialect::OpenAiChat;
    let cleared = envelope.cleared(&body);
    let participation =
        is_kept.then(|| Participation::of(&plan, key.as_deref(), &head.headers, &cleared, &gateway.cache)).flatten();
    let mut fill = None;
    if let Some(participation) = participation {
        let participation = participation.with_judge(Judge::of(exchange, &plan));
        exchange.cache_id = Some(participation.id());
        exchange.cache_threshold = participation.threshold();
        let shard = std::sync::Arc::clone(&exchange.worker().shard);
        let counting = Counting { plan: &plan, shard: &shard };
        let LookedUp { found, judged, question } = participation.look_up(&cleared, replay, counting).await;
        exchange.cache_judged = judged;
        if let Some(judge) = participation.judge() {
            exchange.beside = judge.spent();
            exchange.add_upstream_wait(judge.waited());
        }
        let (result, hit) = match found {
            Found::Hit(hit) => (CacheResult::HitDirect, Some((HitKind::Direct, hit))),
            Found::Behind(hit) => (CacheResult::HitDirect, Some((HitKind::Backend, hit))),
            Found::Similar { hit, id } => {
                exchange.cache_id = Some(id.to_string());
                (CacheResult::HitSemantic, Some((HitKind::Semantic, hit)))
            }
            Found::Coalesced(hit) => (CacheResult::HitCoalesced, Some((HitKind::Coalesced, hit))),
            Found::Miss(lead) => {
                fill = participation.into_fill(lead, question);
                (CacheResult::Miss, None)
            }
        };
        exchange.cache = result;
        if let Some((kind, hit)) = hit {
            counting.hit(kind, &hit);
            exchange.usage = hit.usage;
            exchange.set_served(hit.provider, route.metric_label(&hit.model), hit.model);
            return Ok(Ready::Plain(hit.response));
        }
    }

    let mut account = Account::new(Asked::new(call.dialect, body.clone(), plan.default_output));
    let charges = reserve::charges(key.as_deref())?;
    let ladder = ladder::ladder(exchange, &plan, (&route, &fallbacks), charges, &head.headers, account.asked())?;
    if let Some(charges) = charges {
        let (worker, asked) = (exchange.worker(), account.asked_mut());
        let targets = ladder.targets();
        let reserved = reserve::reserve_worst_case(worker, charges.always(), asked, &plan.prices, targets).await?;
        exchange.reserved = reserved;
    }
    exchange.account = Some(account);
    let mut outbound = Outbound::new(call, &envelope, &body);
    let sent = match send(exchange, &plan.prices, &ladder, &mut outbound, &head.headers).await {
        Ok(sent) => sent,
        Err(error) => {
            // Who waited asks for itself, and hears its own error.
            if let Some(fill) = fill {
                fill.over();
            }
            return Err(error);
        }
    };
    match sent {
        Sent::Plain { target, status, headers, body, answer, .. } => {
            exchange.usage = answer.as_ref().and_then(|answer| answer.usage);
            refused_by_hook(exchange, call, &target, status, &body)?;
            match (fill, &answer) {
                (Some(fill), Some(answer)) => fill.plain(status, answer, &target, &body),
                (Some(fill), None) => fill.over(),
                (None, _) => {}
            }
            Ok(Ready::Plain(plain_response(status, headers, body)))
        }
        // Of a chat nothing goes on unread.
        Sent::Raw(_) => Err(ApiError::Upstream {
            status: StatusCode::BAD_GATEWAY,
            attempts: "the provider answered a chat with bytes of another operation".to_owned(),
            retry_after: None,
        }),
        Sent::Stream { target, headers, feed, .. } => {
            let upstream = &target.upstream;
            let limits = Limits {
                provider: std::sync::Arc::clone(&upstream.name),
                idle: upstream.idle,
                total: upstream.total,
                least_pace: upstream.min_tokens_per_s,
            };
            Ok(Ready::Stream(Box::new(PendingStream {
                headers: returned(&headers),
                content_type: content_type(call.dialect, call.form),
                feed: *feed,
                strip_usage: !envelope.include_usage,
                limits,
                fill: fill.map(|fill| fill.into_stream(target)),
            })))
        }
    }
}

pub(super) fn refused_by_hook(
    exchange: &Exchange,
    call: &Call,
    target: &Target,
    status: StatusCode,
    body: &[u8],
) -> Result<(), ApiError> {
    let answered = Answered {
        key: exchange.key().map(|key| &*key.id),
        provider: &target.upstream.name,
        model: &target.model,
        dialect: call.dialect,
        status,
        body,
    };
    exchange.worker().gateway.hooks.after(&answered).map_err(|Refusal(why)| ApiError::Refused(why))
}

impl PendingStream {
    fn start(self: Box<Self>, mut exchange: Exchange) -> Response {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        exchange.stamp(&mut response);
        let (recorder, on_finish) = self.fill.unzip();
        let relay = StreamRelay::new(self.feed, exchange, self.strip_usage, self.limits, recorder, on_finish);
        *response.body_mut() = Body::new(relay);
        response
    }
}

pub(super) fn plain_response(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Response {
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let body = if status.is_success() { body } else { scrub::body(body) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
