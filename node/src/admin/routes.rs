//! `/api/routes/explain`: which targets a request would be sent to, in which order, and why. Nothing is sent.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::{Admin, Problem, resource};
use crate::gateway::ladder;
use crate::routing::{Explanation, LadderRequest, Session, Told};

/// A request, as far as its route depends on it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainRequest {
    /// What a client would send as `model`.
    model: String,
    /// What it would send as `x-peerway-session-id`. Sessions of different keys are different sessions.
    #[serde(default)]
    session_id: Option<String>,
    /// What it would send as `fallbacks`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    fallbacks: Option<serde_json::Value>,
    /// The id of the virtual key that it would send; without one, the answer is for somebody who may use everything.
    #[serde(default)]
    key: Option<String>,
    /// How long its prompt is, for prices and context windows. Default: 0.
    #[serde(default)]
    prompt_tokens: u64,
    /// The most output tokens that it asks for.
    #[serde(default)]
    output_tokens: Option<u64>,
}

/// The targets of a request in the order in which this node would try them, by the code that serves requests. Where the
/// order is drawn, each call draws anew; `share` is the chance of the first place.
#[utoipa::path(post, path = "/api/routes/explain", tag = "routes", request_body = ExplainRequest, responses(
    (status = 200, body = Explanation),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn explain(State(admin): State<Admin>, body: Bytes) -> Result<Json<Explanation>, Problem> {
    let asked: ExplainRequest = resource::read(&body)?;
    let gateway = &admin.gateway;
    let (plan, access) = (gateway.plan.load_full(), gateway.access.load());
    let key = match &asked.key {
        None => None,
        Some(id) => Some(access.keys.get(id.as_str()).ok_or_else(|| Problem::unknown("key", id))?),
    };
    let key = key.map(|key| &**key);
    let refused = |error: crate::http::error::ApiError| Problem::invalid(error.to_string());
    let route = ladder::route(&plan, key, &asked.model).map_err(refused)?;
    let fallbacks = asked.fallbacks.map(|list| list.to_string());
    let fallbacks = ladder::fallbacks(&plan, key, fallbacks.as_deref().map(str::as_bytes)).map_err(refused)?;
    let session = asked.session_id.filter(|id| !id.is_empty());
    let tenant = key.map_or("", |key| &*key.id);
    let mut ladder = route.ladder(&LadderRequest {
        session: session.map(|id| Session::new(tenant, id.as_bytes())),
        fallbacks: &fallbacks,
        size: &Told { prompt_tokens: asked.prompt_tokens, output_tokens: asked.output_tokens },
        prices: &plan.prices,
        weighs: &|provider| ladder::weight(key, provider),
        observed: &*gateway.observed,
        explain: true,
    });
    if let Some(charges) = key.and_then(|key| key.charges()) {
        // Where the budgets can count nobody, the explanation says so of each.
        let _ = ladder::only_priced(charges, &plan.prices, &mut ladder);
    }
    // Asked for, it is always there.
    ladder.explanation().cloned().map(Json).ok_or_else(Problem::not_found)
}
