//! Whether the answer to one request would serve another, told without asking or keeping anything, by the steps that
//! serve requests.

use std::sync::Arc;

use peerway_cache::semantic::embed::EmbedError;
use peerway_cache::semantic::{Check, CheckVerdict, Reason};
use peerway_cache::{IdentityError, Question, RingCache, TenantScope};

use super::OPERATION;
use super::meaning::{AGREES, question};

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pair<'a> {
    /// The last texts of two requests that are the same otherwise.
    Texts(&'a str, &'a str),
    /// Two bodies.
    Requests(&'a [u8], &'a [u8]),
}

/// What would become of the second, with the answer to the first kept.
#[derive(Debug)]
pub(crate) struct Explained {
    pub hit: bool,
    /// Whether the two are one request.
    pub is_same: bool,
    /// Where the texts were compared.
    pub cosine: Option<f32>,
    pub similarity: f32,
    pub guard: &'static str,
    pub reason: Option<&'static str>,
    pub checks: Vec<Check>,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("{place}: {error}")]
    Identity { place: &'static str, error: IdentityError },
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// What stands for the guard's word where it is not asked.
const NOT_ASKED: &str = "not_asked";

pub(in crate::gateway) async fn explain(
    cache: &RingCache,
    history: usize,
    pair: Pair<'_>,
    threshold: f32,
) -> Result<Explained, ExplainError> {
    let texts = match pair {
        Pair::Texts(first, second) if first == second => return Ok(Explained::same()),
        Pair::Texts(first, second) => (Arc::from(first), Arc::from(second)),
        Pair::Requests(first, second) => {
            let id = |place, body| {
                let id = cache.identify(&TenantScope::cluster(), "", OPERATION, body);
                id.map_err(|error| ExplainError::Identity { place, error })
            };
            if id("first", first)? == id("second", second)? {
                return Ok(Explained::same());
            }
            let asked = |body| question(cache, (&TenantScope::cluster(), ""), history, body);
            match (asked(first), asked(second)) {
                (Err(unfit), _) | (_, Err(unfit)) => return Ok(Explained::not_asked(unfit.as_str(), None)),
                (Ok(Question { context: a, text: first, .. }), Ok(Question { context: b, text: second, .. })) => {
                    if a != b {
                        return Ok(Explained::not_asked("context", None));
                    }
                    (first, second)
                }
            }
        }
    };
    match cache.compare(&texts.0, &texts.1).await {
        None => Ok(Explained::not_asked("off", None)),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(compared)) if !compared.is_candidate => Ok(Explained::not_asked("cosine", Some(compared.cosine))),
        Some(Ok(compared)) => {
            let verdict = compared.verdict;
            let hit = verdict.similarity >= threshold;
            let contradicts = verdict.checks.iter().any(|check| check.verdict == CheckVerdict::Contradicts);
            let guard = match (hit, contradicts) {
                (true, _) => AGREES,
                (false, true) => "contradicts",
                (false, false) => "doubts",
            };
            let reason = (!hit).then(|| verdict.reason.unwrap_or(Reason::Doubt).as_str());
            let (cosine, similarity) = (Some(compared.cosine), verdict.similarity);
            Ok(Explained { hit, is_same: false, cosine, similarity, guard, reason, checks: verdict.checks })
        }
    }
}

impl Explained {
    fn same() -> Self {
        let (cosine, checks) = (Some(1.0), Vec::new());
        Self { hit: true, is_same: true, cosine, similarity: 1.0, guard: AGREES, reason: None, checks }
    }

    fn not_asked(reason: &'static str, cosine: Option<f32>) -> Self {
        let (similarity, checks) = (0.0, Vec::new());
        Self { hit: false, is_same: false, cosine, similarity, guard: NOT_ASKED, reason: Some(reason), checks }
    }
}
