//! The look-up by meaning: after the exact one, before the provider, once a request.
//!
//! Each request asks by its own measure, also one that followed another: a client that wants to be surer than others is
//! not served by what was good enough for them.

use bytes::Bytes;
use peerway_cache::semantic::{Asks, Confirm, Confirmer, Reason};
use peerway_cache::{self as cache, Question, Refused, RingCache, Similar, TenantScope};

use super::turn::{Turn, Unfit};
use super::{Found, Participation};
use crate::dialect::openai::Replay;

/// The operation of the ids made of what must be the same: no answer has such an id.
const CONTEXT: &str = "chat/completions but for its last text";

/// What of the configuration and of the client's wishes the look-up needs.
#[derive(Debug)]
pub(super) struct Measure {
    pub scope: TenantScope,
    pub namespace: String,
    pub threshold: f32,
    /// Whether a second opinion may raise what the guard doubts: not for a client that wants to be surer than the rule.
    pub raises: bool,
    pub asks: Asks,
    pub history: usize,
}

/// What the guard says where nothing speaks against a hit.
pub(super) const AGREES: &str = "agrees";

/// What is asked by meaning for this body; the body has an id.
pub(super) fn question(
    cache: &RingCache,
    (scope, namespace): (&TenantScope, &str),
    history: usize,
    body: &[u8],
) -> Result<Question, Unfit> {
    let turn = Turn::of(body, history)?;
    let context = cache.identify(scope, namespace, CONTEXT, &turn.rest(body));
    let (context, namespace) = context.map_err(|_| Unfit::NoQuestion)?;
    Ok(Question { namespace, context: *context.as_bytes(), text: turn.text.into() })
}

/// What the guard said of the nearest kept prompt, as the answer's headers tell it.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Judged {
    pub similarity: f32,
    /// Why its answer was refused; none: it was given.
    pub refused: Option<Reason>,
    /// Whose second opinion decided.
    pub by: Option<Confirmer>,
}

impl Judged {
    /// As `x-peerway-cache-guard` says it.
    pub(in crate::gateway) fn guard(&self) -> &'static str {
        match (self.by, self.refused) {
            (Some(by), _) => by.as_str(),
            (None, Some(reason)) => reason.as_str(),
            (None, None) => AGREES,
        }
    }

    /// As `x-peerway-cache-similarity` says it: rounded down, so that what is below a threshold never looks like it.
    pub(in crate::gateway) fn told_similarity(&self) -> String {
        format!("{:.3}", (self.similarity * 1_000.0).floor() / 1_000.0)
    }
}

/// One request's look-up.
#[derive(Debug)]
pub(super) struct Meaning<'p> {
    participation: &'p Participation,
    body: &'p Bytes,
    state: State,
    pub judged: Option<Judged>,
}

#[derive(Debug)]
enum State {
    NotAsked,
    Asked(Question),
    NotCompared,
}

impl<'p> Meaning<'p> {
    pub(super) fn new(participation: &'p Participation, body: &'p Bytes) -> Self {
        let state = if participation.measure.is_some() { State::NotAsked } else { State::NotCompared };
        Self { participation, body, state, judged: None }
    }

    /// The answer to a request that means the same. Asked a second time it knows no more.
    pub(super) async fn look_up(&mut self, replay: Replay) -> Option<Found> {
        let Participation { cache, measure, judge, .. } = self.participation;
        let measure = measure.as_ref()?;
        if !matches!(self.state, State::NotAsked) {
            return None;
        }
        self.read();
        let State::Asked(question) = &self.state else { return None };
        let judge = judge.as_ref().map(|judge| judge as &dyn Confirm);
        let by = cache::Measure { threshold: measure.threshold, asks: measure.asks, raises: measure.raises, judge };
        match cache.find_similar(question, by).await {
            Similar::Hit { entry, similarity, by, .. } => {
                let hit = self.participation.hit(&entry, replay)?;
                self.judged = Some(Judged { similarity, refused: None, by });
                Some(Found::Similar { hit, id: entry.id })
            }
            Similar::Miss(refused) => {
                self.judged = refused.map(|Refused { similarity, reason, by, .. }| Judged {
                    similarity,
                    refused: Some(reason),
                    by,
                });
                None
            }
        }
    }

    /// What its own answer is to be found by. Read also where nothing was to be looked up.
    pub(super) fn into_question(mut self) -> Option<Question> {
        if matches!(self.state, State::NotAsked) {
            self.read();
        }
        match self.state {
            State::Asked(question) => Some(question),
            State::NotAsked | State::NotCompared => None,
        }
    }

    fn read(&mut self) {
        let Participation { cache, namespace, measure: Some(measure), .. } = self.participation else { return };
        let tenant = (&measure.scope, measure.namespace.as_str());
        let question = || question(cache, tenant, measure.history, self.body).ok();
        self.state = cache.compares(namespace).then(question).flatten().map_or(State::NotCompared, State::Asked);
    }
}
