//! `/api/cache`: purging it, and whether one prompt would be answered like another.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use peerway_cache::Heard;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::problem::ProblemDetails;
use super::{Admin, Problem, resource};
use crate::gateway::{ExplainError, Pair};

/// What to purge: exactly one of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PurgeRequest {
    /// An entry, as `x-peerway-cache-id` names it.
    id: Option<String>,
    /// All under a cache key.
    key: Option<String>,
    /// All of a namespace.
    namespace: Option<String>,
    /// Everything.
    all: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Purged {
    purged: bool,
}

/// Removes cached answers on all nodes.
#[utoipa::path(delete, path = "/api/cache", tag = "cache", params(PurgeRequest), responses(
    (status = 200, body = Purged),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn purge(
    State(admin): State<Admin>,
    query: Result<Query<PurgeRequest>, QueryRejection>,
) -> Result<Json<Purged>, Problem> {
    let what = "say what to purge: exactly one of ?id=, ?key=, ?namespace= or ?all=true";
    let Query(request) = query.map_err(|error| Problem::invalid(format!("{error}; {what}")))?;
    let cache = &admin.gateway.cache;
    let purged = match request {
        PurgeRequest { id: Some(id), key: None, namespace: None, all: None } => cache.purge_id(&id).await,
        PurgeRequest { id: None, key: Some(key), namespace: None, all: None } => cache.purge_key(&key).await,
        PurgeRequest { id: None, key: None, namespace: Some(name), all: None } => cache.purge_namespace(&name).await,
        PurgeRequest { id: None, key: None, namespace: None, all: Some(true) } => cache.purge_all().await,
        _ => return Err(Problem::invalid(what.to_owned())),
    };
    purged.map_err(Problem::invalid)?;
    Ok(Json(Purged { purged: true }))
}

/// Two prompts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptPair {
    /// What was answered: the body of a chat, or the text of its last message.
    #[schema(value_type = Value)]
    first: Box<RawValue>,
    /// What is asked; of the same kind.
    #[schema(value_type = Value)]
    second: Box<RawValue>,
    /// How sure it must be. Default: `cache.semantic.threshold`.
    #[serde(default)]
    threshold: Option<f32>,
}

/// What would become of the second.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheExplanation {
    /// Whether the answer to the first would be given.
    hit: bool,
    /// `direct` where the two are one request, else `semantic`.
    kind: &'static str,
    /// Of the two texts; null where they were not compared.
    cosine: Option<f32>,
    /// What is held against the threshold: 0 to 1.
    similarity: f32,
    threshold: f32,
    /// `agrees`, `contradicts` or `doubts`; `not_asked` where the guard had no say; `cross_encoder` where that decided.
    guard: &'static str,
    /// Why it is no hit. The guard's reasons; or that one of the requests is only answered by the same request (`no_question`,
    /// `history`, `not_text`, `empty`, `too_long`), that they differ in more than their last texts (`context`), that these are
    /// too far apart (`cosine`), or that nothing is answered by meaning (`off`).
    reason: Option<&'static str>,
    checks: Vec<GuardCheck>,
    /// Who has to agree besides the guard, in their order; empty where nobody is asked.
    confirm: Vec<SecondOpinion>,
}

/// Whose second opinion a request with these prompts asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecondOpinion {
    /// `cross_encoder` or `judge`.
    by: &'static str,
    threshold: f32,
    /// How sure it is; null where it was not asked, as no judge is here: its answers cost.
    sure: Option<f32>,
}

/// One check of the guard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GuardCheck {
    name: &'static str,
    /// `same`, `differs` or `contradicts`.
    verdict: &'static str,
    /// The words it was found in.
    detail: String,
}

/// Whether the answer to one prompt would serve another, by the code that serves requests. Nothing is asked or kept; the
/// tenant is taken to be the same.
#[utoipa::path(post, path = "/api/cache/explain", tag = "cache", request_body = PromptPair, responses(
    (status = 200, body = CacheExplanation),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 502, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn explain(State(admin): State<Admin>, body: Bytes) -> Result<Json<CacheExplanation>, Problem> {
    let asked: PromptPair = resource::read(&body)?;
    let plan = admin.gateway.plan.load_full();
    let settings = &plan.cache.semantic;
    let threshold = asked.threshold.unwrap_or(settings.threshold as f32);
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(Problem::invalid(format!("threshold: it is above 0 and at most 1, not {threshold}")));
    }
    let texts = (text(&asked.first), text(&asked.second));
    let pair = match &texts {
        (Some(first), Some(second)) => Pair::Texts(first, second),
        (None, None) => Pair::Requests(asked.first.get().as_bytes(), asked.second.get().as_bytes()),
        _ => return Err(Problem::invalid("first, second: give two texts, or the bodies of two requests".to_owned())),
    };
    let explained = admin.gateway.cache.explain(settings, pair, threshold).await.map_err(|error| match error {
        ExplainError::Identity { .. } => Problem::invalid(error.to_string()),
        ExplainError::Embed(error) => Problem::upstream(error.to_string()),
    })?;
    let (checks, heard) = (explained.checks.into_iter(), explained.heard.into_iter());
    let checks = checks.map(|check| GuardCheck {
        name: check.name.as_str(),
        verdict: check.verdict.as_str(),
        detail: check.detail,
    });
    Ok(Json(CacheExplanation {
        hit: explained.hit,
        kind: if explained.is_same { "direct" } else { "semantic" },
        cosine: explained.cosine,
        similarity: explained.similarity,
        threshold,
        guard: explained.guard,
        reason: explained.reason,
        checks: checks.collect(),
        confirm: heard
            .map(|Heard { who, threshold, sure }| SecondOpinion { by: who.as_str(), threshold, sure })
            .collect(),
    }))
}

fn text(prompt: &RawValue) -> Option<String> {
    serde_json::from_str(prompt.get()).ok()
}
