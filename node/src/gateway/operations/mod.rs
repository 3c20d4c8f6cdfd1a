//! Everything that clients ask for but chat, one straight line: authenticate, route, reserve, send, hand on.
//!
//! - [`work`](Work): what is particular about a family: how a target is asked and how its answer is read
//!   (`embed`, `rerank`, `count` translate between dialects)
//! - `asked`: what a request may take, for its reservation; `usage`: what an answer says it took
//! - `raw`: sound and events that go on to the client as they come; `tally`: what those have taken
//!
//! | operation | who is asked | in which words |
//! |---|---|---|
//! | embeddings | whoever has them | the client's own bytes in the same dialect, else a translation |
//! | rerank | whoever has it | the same, between Cohere's form and that of the many that are alike |
//! | moderations, images, speech, transcriptions, translations | whoever has OpenAI's | the client's own bytes |
//! | token counts | a provider that counts; where none does, the gateway's own upper bound | `x-peerway-count` says which |

mod asked;
mod count;
mod embed;
mod raw;
mod rerank;
mod tally;
mod usage;
mod work;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};

use super::attempt::Sent;
use super::chat::{plain_response, refused_by_hook};
use super::enter::enter;
use super::headers::returned;
use super::outbound::Outbound;
use super::plan::Plan;
use super::send::send;
use super::{Exchange, deadline, ladder, reserve};
use crate::governance::{Account, VirtualKey};
use crate::http::error::ApiError;
use crate::operation::Operation;
use crate::surface::{Call, Envelope, EnvelopeError, Form};

pub(super) use raw::Raw;
pub(super) use usage::stated as stated_usage;
pub(super) use work::{Asks, Done, Work};

static X_COUNT: HeaderName = HeaderName::from_static("x-peerway-count");

/// What moderations are asked of where the request does not say it, as OpenAI has it.
const MODERATION_MODEL: &str = "omni-moderation-latest";

/// Answers the request, whichever way it goes.
pub(super) async fn perform(mut exchange: Exchange, call: Call, request: Request) -> Response {
    match answer(&mut exchange, &call, request).await {
        Ok(Ready::Whole(response)) => exchange.whole(response).await,
        Ok(Ready::Raw(raw)) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = raw.status;
            *response.headers_mut() = returned(&raw.headers);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            exchange.stamp(&mut response);
            *response.body_mut() = Body::new(raw.relay(exchange, call.operation));
            response
        }
        Err(error) => exchange.failed(&error).await,
    }
}

enum Ready {
    Whole(Response),
    /// The head of an answer whose body goes on as it comes.
    Raw(Box<Raw>),
}

async fn answer(exchange: &mut Exchange, call: &Call, request: Request) -> Result<Ready, ApiError> {
    let plan = exchange.worker().gateway.plan.load_full();
    exchange.tells_extra_fields = plan.extra_fields;
    let (head, body) = request.into_parts();
    let (key, body) = enter(exchange, &plan, &head.headers, body).await?;
    let (envelope, form) = scan(call, &head.headers, &body)?;
    exchange.stream = envelope.stream;
    exchange.deadline = deadline::of(&head.headers);
    let route = ladder::route(&plan, key.as_deref(), &envelope.model)?;
    let fallbacks = ladder::fallbacks(&plan, key.as_deref(), envelope.fallbacks(&body))?;
    exchange.set_route(route.label.clone());

    let mut account = Account::new(asked::of(call, &body, form.as_ref(), plan.default_output));
    let mut ladder = ladder::ladder(exchange, &plan, (&route, &fallbacks), None, &head.headers, account.asked())?;
    ladder.retain("its provider does not do this", |target| {
        target.upstream.serves_operation(call.operation, &target.model).is_some()
    });
    if ladder.targets().is_empty() {
        if call.operation == Operation::CountTokens {
            return Ok(Ready::Whole(counted_here(call, &body)?));
        }
        return Err(not_served(&plan, key.as_deref(), call.operation, &envelope.model));
    }
    if let Some(charges) = reserve::charges(key.as_deref())? {
        if !call.operation.is_free() {
            reserve::only_priced(charges, &plan.prices, &mut ladder)?;
        }
        let (worker, asked, targets) = (exchange.worker(), account.asked_mut(), ladder.targets());
        let reserved = reserve::reserve_worst_case(worker, charges.always(), asked, &plan.prices, targets).await?;
        exchange.reserved = reserved;
    }
    exchange.account = Some(account);
    let work = Work::of(call, head.uri.path(), &head.headers, form);
    let mut outbound = Outbound::working(call, &envelope, &body, work);
    match send(exchange, &plan.prices, &ladder, &mut outbound, &head.headers).await? {
        Sent::Plain { target, status, headers, body, spent, .. } => {
            exchange.usage = spent.usage();
            refused_by_hook(exchange, call, &target, status, &body)?;
            let mut response = plain_response(status, headers, body);
            if call.operation == Operation::CountTokens && status.is_success() {
                response.headers_mut().insert(&X_COUNT, HeaderValue::from_static("provider"));
            }
            Ok(Ready::Whole(response))
        }
        Sent::Raw(raw) => Ok(Ready::Raw(raw)),
        // Chats alone are relayed event by event.
        Sent::Stream { .. } => Err(ApiError::Upstream {
            status: http::StatusCode::BAD_GATEWAY,
            attempts: "the provider answered with a stream of events, which this operation does not have".to_owned(),
            retry_after: None,
        }),
    }
}

/// What the body says of itself, and its form if it is one.
fn scan(call: &Call, headers: &http::HeaderMap, body: &Bytes) -> Result<(Envelope, Option<Form>), ApiError> {
    if matches!(call.operation, Operation::ImageEdits | Operation::Transcriptions | Operation::Translations) {
        let form = Form::scan(headers.get(CONTENT_TYPE), body)?;
        return Ok((Envelope::told(call.dialect, form.model.clone(), form.stream), Some(form)));
    }
    match Envelope::scan(call, body) {
        Err(EnvelopeError::Missing { field: "model" }) if call.operation == Operation::Moderations => {
            Ok((Envelope::told(call.dialect, MODERATION_MODEL.to_owned(), false), None))
        }
        scanned => Ok((scanned?, None)),
    }
}

/// The hint names only providers all of whose models this key may use.
fn not_served(plan: &Plan, key: Option<&VirtualKey>, operation: Operation, model: &str) -> ApiError {
    let is_allowed = |name: &str| key.is_none_or(|key| key.allows(&[&format!("{name}/*")]));
    let others: Vec<&str> = plan
        .routes
        .upstreams()
        .iter()
        .filter(|upstream| is_allowed(&upstream.name) && upstream.serves_operation(operation, "").is_some())
        .map(|upstream| &*upstream.name)
        .take(8)
        .collect();
    let others = if others.is_empty() { "none that this key may use".to_owned() } else { others.join(", ") };
    ApiError::NoOperation { model: model.to_owned(), operation: operation.as_str(), others }
}

/// A count of the gateway's own, which is an upper bound.
fn counted_here(call: &Call, body: &Bytes) -> Result<Response, ApiError> {
    let tokens = asked::estimate(call, body).map_err(|_| ApiError::BodyBroken("it is not a JSON object".to_owned()))?;
    let mut response =
        plain_response(http::StatusCode::OK, http::HeaderMap::new(), count::encode(call.dialect, tokens).into());
    response.headers_mut().insert(&X_COUNT, HeaderValue::from_static("estimate"));
    Ok(response)
}
