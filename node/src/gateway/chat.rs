//! `POST chat/completions`, one straight line: authenticate, route, look up, send, relay.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use peerway_cache::Recorder;
use tracing::debug;

use super::attempt::{Sent, returned};
use super::authenticate::authenticate;
use super::cached::Participation;
use super::plan::Plan;
use super::send::send;
use super::{CacheResult, Exchange, Outcome, reserve};
use crate::dialect::openai::{Envelope, Replay};
use crate::governance::account::Asked;
use crate::governance::{Account, VirtualKey};
use crate::http::body::discard;
use crate::http::error::ApiError;
use crate::http::scrub;
use crate::relay::{Limits, OnFinish, StreamRelay};
use crate::routing::Route;

/// Answers the request, whichever way it goes.
pub(super) async fn complete(mut exchange: Exchange, request: Request) -> Response {
    match answer(&mut exchange, request).await {
        Ok(Ready::Plain(mut response)) => {
            exchange.outcome = Outcome::Ok;
            exchange.stamp(&mut response);
            response
        }
        Ok(Ready::Stream(relay)) => relay.start(exchange),
        Err(error) => {
            debug!(code = error.code(), %error, "refused or failed a request");
            exchange.outcome = Outcome::Failed(error.code());
            let mut response = exchange.error(&error);
            exchange.stamp(&mut response);
            response
        }
    }
}

enum Ready {
    Plain(Response),
    Stream(Box<PendingStream>),
}

/// A stream whose upstream has answered but of which nothing has been read.
struct PendingStream {
    upstream: Response<hyper::body::Incoming>,
    strip_usage: bool,
    limits: Limits,
    fill: Option<(Recorder, OnFinish)>,
}

async fn answer(exchange: &mut Exchange, request: Request) -> Result<Ready, ApiError> {
    let gateway = std::sync::Arc::clone(&exchange.worker().gateway);
    let plan = gateway.plan.load_full();
    let (head, body) = request.into_parts();
    let authenticated = authenticate(&plan, &gateway.access.load(), &head.headers);
    let key = match authenticated {
        Ok(key) => key,
        Err(error) => {
            // With its body unread the connection would be closed under the client's next request.
            discard(body).await;
            return Err(error);
        }
    };
    exchange.set_key(key.clone());
    let (admitted, body) = gateway.admission.take(key.as_deref(), &head.headers, body, plan.body).await?;
    exchange.admitted = Some(admitted);
    let envelope = Envelope::scan(&body)?;
    exchange.stream = envelope.stream;
    let route = route(&plan, key.as_deref(), &envelope.model)?;
    exchange.set_route(route.label.clone());

    let replay = if envelope.stream { Replay::Stream { include_usage: envelope.include_usage } } else { Replay::Plain };
    let participation = Participation::of(&plan, key.as_deref(), &head.headers, &body, &gateway.cache);
    if let Some(participation) = &participation {
        exchange.cache_id = Some(participation.id());
        exchange.cache = CacheResult::Miss;
        if let Some(hit) = participation.look_up(replay).await {
            exchange.cache = CacheResult::HitDirect;
            exchange.usage = hit.usage;
            exchange.set_served(hit.provider, route.metric_label(&hit.model), hit.model);
            return Ok(Ready::Plain(hit.response));
        }
    }
    let fill = participation.and_then(Participation::into_fill);

    let mut account = Account::new(Asked::new(body.clone(), plan.default_output));
    let mut ladder = route.ladder();
    if let Some(charges) = reserve::charges(key.as_deref())? {
        ladder = reserve::priced(charges, &plan.prices, ladder)?;
        let (worker, asked) = (exchange.worker(), account.asked_mut());
        let reserved = reserve::reserve_worst_case(worker, charges.always(), asked, &plan.prices, &ladder).await?;
        exchange.reserved = reserved;
    }
    exchange.account = Some(account);
    match send(exchange, &plan.prices, &ladder, &envelope, &body, &head.headers).await? {
        Sent::Plain { target, status, headers, body, answer } => {
            exchange.usage = answer.as_ref().and_then(|answer| answer.usage);
            if let (Some(fill), Some(answer)) = (fill, &answer) {
                fill.plain(status, answer, &target, &body);
            }
            Ok(Ready::Plain(plain_response(status, headers, body)))
        }
        Sent::Stream { target, response } => {
            let limits = Limits { idle: target.upstream.idle, total: target.upstream.total };
            let strip_usage = !envelope.include_usage;
            let fill = fill.map(|fill| fill.into_stream(target));
            Ok(Ready::Stream(Box::new(PendingStream { upstream: response, strip_usage, limits, fill })))
        }
    }
}

impl PendingStream {
    fn start(self: Box<Self>, mut exchange: Exchange) -> Response {
        let (head, upstream) = self.upstream.into_parts();
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = returned(&head.headers);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        exchange.stamp(&mut response);
        let (recorder, on_finish) = self.fill.unzip();
        let relay = StreamRelay::new(upstream, exchange, self.strip_usage, self.limits, recorder, on_finish);
        *response.body_mut() = Body::new(relay);
        response
    }
}

/// The route of the model, if the key may use it. The hints name only what this key may use.
fn route(plan: &Plan, key: Option<&VirtualKey>, model: &str) -> Result<Route, ApiError> {
    let route = plan.routes.resolve(model).map_err(|missing| {
        let known: Vec<String> = super::models::allowed(plan, key).into_iter().take(8).collect();
        let known = if known.is_empty() { "none by name".to_owned() } else { known.join(", ") };
        let hint = format!("{} This key may use: {known}; GET /v1/models lists them all.", missing.why);
        ApiError::ModelNotFound { model: model.to_owned(), hint }
    })?;
    let Some(key) = key else { return Ok(route) };
    let full = route.full_name();
    let names: Vec<&str> = [Some(model), full.as_deref()].into_iter().flatten().collect();
    if key.allows(&names) {
        return Ok(route);
    }
    let hint = format!("It may use: {}.", key.models());
    Err(ApiError::ModelNotAllowed { model: model.to_owned(), hint })
}

fn plain_response(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Response {
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let body = if status.is_success() { body } else { scrub::body(body) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
