//! From what a request names to the targets that are tried for it: which model and which fallbacks, if the key may use
//! them, in which session, and why in this order.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Exchange;
use super::plan::Plan;
use super::reserve::is_priced;
pub(crate) use super::reserve::only_priced;
use crate::governance::account::Asked;
use crate::governance::{Charges, VirtualKey};
use crate::http::error::ApiError;
use crate::routing::{Ladder, LadderRequest, Named, Route, Session, fallbacks, header_value};

/// So much of a name that leads nowhere is repeated to whoever sent it.
const MOST_SHOWN: usize = 256;

pub(super) static X_EXPLANATION: HeaderName = HeaderName::from_static("x-peerway-explanation");
static SESSION: [HeaderName; 2] =
    [HeaderName::from_static("x-peerway-session-id"), HeaderName::from_static("x-bf-session-id")];
static EXPLAIN: [HeaderName; 2] =
    [HeaderName::from_static("x-peerway-explain"), HeaderName::from_static("x-bf-explain")];

/// The route of the model, if the key may use it. The hints name only what this key may use.
pub(crate) fn route(plan: &Plan, key: Option<&VirtualKey>, model: &str) -> Result<Arc<Route>, ApiError> {
    let may_use = |names: &[&str]| key.is_none_or(|key| key.allows(names));
    let is_named = |provider: &str| key.is_some_and(|key| key.provider(provider).is_some());
    let route = plan.routes.resolve_for(model, may_use, is_named).map_err(|missing| {
        let known: Vec<String> = super::models::allowed(plan, key).into_iter().take(8).collect();
        let known = if known.is_empty() { "none by name".to_owned() } else { known.join(", ") };
        let hint = format!("{} This key may use: {known}; GET /v1/models lists them all.", missing.why);
        ApiError::ModelNotFound { model: model.chars().take(MOST_SHOWN).collect(), hint }
    })?;
    let Some(key) = key else { return Ok(route) };
    // A client that names the provider too, as most do, is let in by the first.
    if key.allows(&[model]) || route.full_names().iter().any(|full| key.allows(&[full.as_str()])) {
        return Ok(route);
    }
    let hint = format!("It may use: {}.", key.models());
    Err(ApiError::ModelNotAllowed { model: model.to_owned(), hint })
}

/// The routes of the fallbacks that the request names (`told`: the JSON of its list), each of which the key must be able to use: a fallback that could
/// only fail is a mistake that its client should hear of before it needs it.
pub(crate) fn fallbacks(
    plan: &Plan,
    key: Option<&VirtualKey>,
    told: Option<&[u8]>,
) -> Result<Vec<Arc<Route>>, ApiError> {
    let named = told.map(fallbacks::read).transpose()?.unwrap_or_default();
    let charges = key.and_then(|key| key.charges());
    let resolve = |named: &Named| {
        let route = route(plan, key, &named.model).map_err(|error| at(error, &named.place))?;
        let usable = |charges| route.targets().any(|target| is_priced(charges, &plan.prices, target));
        if charges.is_none_or(usable) {
            return Ok(route);
        }
        Err(ApiError::UnpricedModel { model: named.model.clone() })
    };
    named.iter().map(resolve).collect()
}

/// Says where in the request the model is named.
fn at(error: ApiError, place: &str) -> ApiError {
    let at = |hint: String| format!("`{place}` names it. {hint}");
    match error {
        ApiError::ModelNotFound { model, hint } => ApiError::ModelNotFound { model, hint: at(hint) },
        ApiError::ModelNotAllowed { model, hint } => ApiError::ModelNotAllowed { model, hint: at(hint) },
        error => error,
    }
}

/// The targets to try for a request, without those that its budgets cannot count.
pub(super) fn ladder(
    exchange: &mut Exchange,
    plan: &Plan,
    (route, fallbacks): (&Route, &[Arc<Route>]),
    charges: Option<&Charges>,
    headers: &HeaderMap,
    asked: &Asked,
) -> Result<Ladder, ApiError> {
    let session = wish(headers, &SESSION).map(|id| {
        let tenant = exchange.key().map_or("", |key| &*key.id);
        Session::new(tenant, id)
    });
    let explain = wish(headers, &EXPLAIN).is_some_and(|wish| wish == b"true" || wish == b"1");
    let mut ladder = route.ladder(&LadderRequest {
        session,
        fallbacks,
        size: asked,
        prices: &plan.prices,
        weighs: &|provider| weight(exchange.key().map(|key| &**key), provider),
        observed: &*exchange.worker().gateway.observed,
        explain,
    });
    let priced = charges.map_or(Ok(()), |charges| only_priced(charges, &plan.prices, &mut ladder));
    exchange.explanation = ladder.explanation().and_then(header_value);
    priced.map(|()| ladder)
}

/// What a key makes of a provider's weight.
pub(crate) fn weight(key: Option<&VirtualKey>, provider: &str) -> f64 {
    key.and_then(|key| key.provider(provider)).map_or(1.0, |provider| provider.weight)
}

/// What the client asks for in a header of ours, or in Bifrost's of the same meaning. An empty one asks for nothing.
fn wish<'a>(headers: &'a HeaderMap, [ours, theirs]: &[HeaderName; 2]) -> Option<&'a [u8]> {
    let value = headers.get(ours).or_else(|| headers.get(theirs)).map(HeaderValue::as_bytes)?.trim_ascii();
    (!value.is_empty()).then_some(value)
}
