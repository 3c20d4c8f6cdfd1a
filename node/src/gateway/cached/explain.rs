//! Whether the answer to one request would serve another, told without asking or keeping anything, by the steps that
//! serve requests.

use std::sync::Arc;

use peerway_cache::semantic::confirm::Standing;
use peerway_cache::semantic::embed::EmbedError;
use peerway_cache::semantic::{Check, CheckVerdict, Confirm, Reason};
use peerway_cache::{Comparison, Heard, IdentityError, Measure, Question, RingCache, TenantScope};

use super::judge::Unasked;
use super::meaning::{AGREES, question};
use super::{OPERATION, asks};
use crate::config;

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
    /// Who is asked besides the guard.
    pub heard: Vec<Heard>,
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
const DOUBTS: &str = "doubts";

pub(in crate::gateway) async fn explain(
    cache: &RingCache,
    settings: &config::Semantic,
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
            let asked = |body| question(cache, (&TenantScope::cluster(), ""), settings.history, body);
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
    let judge = settings.judge.is_some().then_some(Unasked(settings));
    let measure = Measure {
        threshold,
        asks: asks(settings),
        raises: threshold <= settings.threshold as f32,
        judge: judge.as_ref().map(|judge| judge as &dyn Confirm),
    };
    match cache.compare(&texts.0, &texts.1, measure).await {
        None => Ok(Explained::not_asked("off", None)),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(compared)) if !compared.is_candidate => Ok(Explained::not_asked("cosine", Some(compared.cosine))),
        Some(Ok(compared)) => Ok(Explained::compared(compared)),
    }
}

impl Explained {
    fn compared(Comparison { cosine, verdict, standing, heard, .. }: Comparison) -> Self {
        let refuses = |heard: &&Heard| heard.sure.is_some_and(|sure| sure < heard.threshold);
        let is_known = heard.iter().all(|heard| heard.sure.is_some());
        let (hit, guard, reason) = match (heard.iter().find(refuses), standing) {
            (Some(heard), _) => (false, heard.who.as_str(), Some(heard.who.as_str())),
            (None, Standing::Sure) => {
                (true, heard.last().filter(|_| is_known).map_or(AGREES, |last| last.who.as_str()), None)
            }
            (None, Standing::Doubt) => match heard.last().filter(|_| is_known) {
                Some(last) => (true, last.who.as_str(), None),
                None => (false, DOUBTS, Some(verdict.reason.unwrap_or(Reason::Doubt).as_str())),
            },
            (None, Standing::Refused) => {
                let contradicts = verdict.checks.iter().any(|check| check.verdict == CheckVerdict::Contradicts);
                let reason = verdict.reason.unwrap_or(Reason::Doubt).as_str();
                (false, if contradicts { "contradicts" } else { DOUBTS }, Some(reason))
            }
        };
        let (cosine, similarity) = (Some(cosine), verdict.similarity);
        Self { hit, is_same: false, cosine, similarity, guard, reason, checks: verdict.checks, heard }
    }

    fn same() -> Self {
        let (cosine, checks) = (Some(1.0), Vec::new());
        Self {
            hit: true,
            is_same: true,
            cosine,
            similarity: 1.0,
            guard: AGREES,
            reason: None,
            checks,
            heard: Vec::new(),
        }
    }

    fn not_asked(reason: &'static str, cosine: Option<f32>) -> Self {
        let (similarity, checks) = (0.0, Vec::new());
        Self {
            hit: false,
            is_same: false,
            cosine,
            similarity,
            guard: NOT_ASKED,
            reason: Some(reason),
            checks,
            heard: Vec::new(),
        }
    }
}
