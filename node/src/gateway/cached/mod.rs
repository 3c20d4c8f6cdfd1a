//! The cache's part in a request: whether it takes part, the look-up, and what is kept of the answer.

mod explain;
mod fill;
mod follow;
mod judge;
mod meaning;
mod replay;
mod saving;
mod turn;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use peerway_cache::policy::{self, Rules};
use peerway_cache::semantic::Asks;
use peerway_cache::{Boarding, Ending, Entry, EntryId, Lead, NamespaceId, Place, Question, RingCache, TenantScope};
use tokio::runtime::Handle;
use tracing::{debug, warn};

use super::AnswerCache;
use super::plan::Plan;
use crate::config::{self, Activation, Scope};
use crate::dialect::openai::{Replay, Usage};
use crate::governance::VirtualKey;
pub(super) use explain::explain;
pub(crate) use explain::{ExplainError, Explained, Pair};
pub(super) use fill::Fill;
use follow::follow;
pub(super) use judge::Judge;
pub(super) use meaning::Judged;
use meaning::{Meaning, Measure};
use replay::replayed;
pub(super) use saving::Counting;
use wishes::wishes;

/// The operation of the ids made here: one body may be valid for two of them.
const OPERATION: &str = "chat/completions";

/// So often a request follows another one that is given up, or leads; then it goes its own way.
const MAX_BOARDINGS: usize = 3;

/// A request that takes part.
#[derive(Debug)]
pub(super) struct Participation {
    cache: RingCache,
    runtime: Handle,
    id: EntryId,
    namespace: NamespaceId,
    generation: u64,
    read: bool,
    keep_for: Option<Duration>,
    rules: Rules,
    /// Where the answer to another request would do too.
    measure: Option<Measure>,
    /// Who is asked about what the guard doubts.
    judge: Option<Judge>,
}

/// What a look-up came to.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub found: Found,
    /// What the guard said, if it was asked.
    pub judged: Option<Judged>,
    /// What the answer is to be found by, besides its id, if it is kept.
    pub question: Option<Question>,
}

#[derive(Debug)]
pub(super) enum Found {
    Hit(Hit),
    /// The same, which only the backend had.
    Behind(Hit),
    /// By the answer to a request that means the same, which is this entry.
    Similar {
        hit: Hit,
        id: EntryId,
    },
    /// By the answer to a request that was the same and under way.
    Coalesced(Hit),
    /// The provider is to be asked, and where there is a lead others wait for that.
    Miss(Option<Lead>),
}

/// A hit, in the form that the client asked for.
#[derive(Debug)]
pub(super) struct Hit {
    pub response: Response,
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub usage: Option<Usage>,
}

impl Participation {
    /// `None`: the request passes the cache by.
    pub(super) fn of(
        plan: &Plan,
        key: Option<&VirtualKey>,
        headers: &HeaderMap,
        body: &Bytes,
        answers: &AnswerCache,
    ) -> Option<Self> {
        let rules = rules(plan);
        let policy::Participation::Takes { namespace: name, read, keep_for, threshold } =
            policy::participation(&rules, &wishes(headers))
        else {
            return None;
        };
        let cache = answers.cache.clone();
        let scope = tenant(plan.cache.scope, key);
        match cache.identify(&scope, name, OPERATION, body) {
            Ok((id, namespace)) => {
                let generation = cache.generation(&namespace);
                let runtime = answers.runtime.clone();
                let history = plan.cache.semantic.history;
                let measure = threshold.map(|threshold| Measure {
                    scope,
                    namespace: name.to_owned(),
                    threshold,
                    raises: rules.threshold.is_some_and(|rule| threshold <= rule),
                    asks: asks(&plan.cache.semantic),
                    history,
                });
                Some(Self { cache, runtime, id, namespace, generation, read, keep_for, rules, measure, judge: None })
            }
            Err(error) => {
                debug!(%error, "a request has no cache id and passes the cache by");
                None
            }
        }
    }

    /// With somebody who is asked about what the guard doubts.
    pub(super) fn with_judge(self, judge: Option<Judge>) -> Self {
        Self { judge, ..self }
    }

    /// Who is asked about what the guard doubts.
    pub(super) fn judge(&self) -> Option<&Judge> {
        self.judge.as_ref()
    }

    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    /// How sure it must be that a kept answer serves, where one may serve by its meaning.
    pub(super) fn threshold(&self) -> Option<f32> {
        self.measure.as_ref().map(|measure| measure.threshold)
    }

    /// Looks the answer up: the same request's, then that of one that means the same. On a miss one request of all that are
    /// the same asks the provider, and the others wait here.
    pub(super) async fn look_up(&self, body: &Bytes, replay: Replay, counting: Counting<'_>) -> LookedUp {
        let mut meaning = Meaning::new(self, body);
        let found = self.find(&mut meaning, replay, counting).await;
        // Of an answer that was found by its id in the end, it says nothing.
        let judged = meaning.judged.filter(|_| matches!(found, Found::Similar { .. } | Found::Miss(_)));
        let is_kept = matches!(found, Found::Miss(_)) && self.keep_for.is_some();
        let question = if is_kept { meaning.into_question() } else { None };
        LookedUp { found, judged, question }
    }

    async fn find(&self, meaning: &mut Meaning<'_>, replay: Replay, counting: Counting<'_>) -> Found {
        if !self.read {
            return Found::Miss(None);
        }
        // What is not to be kept is of no use to others.
        if self.keep_for.is_none() {
            if let Some((entry, place)) = self.cache.get_from(&self.id, &self.namespace).await {
                return self.found(&entry, replay, place);
            }
            return meaning.look_up(replay).await.unwrap_or(Found::Miss(None));
        }
        for _ in 0..MAX_BOARDINGS {
            match self.cache.board(&self.id, &self.namespace).await {
                Boarding::Hit(entry) => return self.found(&entry, replay, Place::Nodes),
                Boarding::Behind(entry) => return self.found(&entry, replay, Place::Backend),
                Boarding::Lead(lead) => match meaning.look_up(replay).await {
                    // Given up, the lead has those who follow look for themselves, each by its own measure.
                    Some(found) => return found,
                    None => return Found::Miss(Some(lead)),
                },
                Boarding::Alone => break,
                Boarding::Follow(follower) => match follow(self, follower, replay, counting).await {
                    Ok(hit) => {
                        self.cache.coalesced();
                        return Found::Coalesced(hit);
                    }
                    Err(ending) => {
                        if let Some(found) = meaning.look_up(replay).await {
                            return found;
                        }
                        if ending != Ending::Lost {
                            break;
                        }
                    }
                },
            }
        }
        meaning.look_up(replay).await.unwrap_or(Found::Miss(None))
    }

    /// What was found by its id; of no use, the provider is asked.
    fn found(&self, entry: &Entry, replay: Replay, place: Place) -> Found {
        match (self.hit(entry, replay), place) {
            (Some(hit), Place::Nodes) => Found::Hit(hit),
            (Some(hit), Place::Backend) => Found::Behind(hit),
            (None, _) => Found::Miss(None),
        }
    }

    /// The entry in the form asked for; none if it cannot be had in that form.
    fn hit(&self, entry: &Entry, replay: Replay) -> Option<Hit> {
        let response = replayed(&entry.content.recorded, replay)
            .inspect_err(|error| {
                let id = self.id;
                warn!(%id, %error, "a cached answer cannot be replayed in the form asked for; asking the provider");
            })
            .ok()?;
        Some(Hit {
            response,
            provider: entry.content.provider.as_str().into(),
            model: entry.content.model.as_str().into(),
            usage: used(entry),
        })
    }

    /// What keeps the answer, unless the client does not want that. As long as it is there, others may wait for it.
    pub(super) fn into_fill(self, lead: Option<Lead>, question: Option<Question>) -> Option<Fill> {
        self.keep_for.map(|keep_for| Fill { participation: self, keep_for, lead, question })
    }
}

/// What a second opinion is asked for.
fn asks(settings: &config::Semantic) -> Asks {
    match settings.confirm {
        config::Confirm::Doubts => Asks::Doubts,
        config::Confirm::All => Asks::All,
    }
}

/// What the provider said that an entry took.
fn used(entry: &Entry) -> Option<Usage> {
    entry.content.usage.map(|used| Usage {
        prompt_tokens: used.prompt_tokens,
        completion_tokens: used.completion_tokens,
        ..Usage::default()
    })
}

fn rules(plan: &Plan) -> Rules {
    Rules {
        activation: match plan.cache.activation {
            Activation::Header => policy::Activation::Header,
            Activation::Always => policy::Activation::Always,
            Activation::Off => policy::Activation::Off,
        },
        ttl: plan.cache.ttl.get(),
        max_entry: usize::try_from(plan.cache.max_entry.get()).unwrap_or(usize::MAX),
        keep_tool_calls: false,
        threshold: plan.cache.semantic.enabled.then_some(plan.cache.semantic.threshold as f32),
    }
}

/// The tenant whose answers these are. Somebody without a team shares with nobody, whatever the setting.
fn tenant(scope: Scope, key: Option<&VirtualKey>) -> TenantScope {
    // No key has an empty id, so those who need no key share among themselves only.
    let id = key.map_or("", |key| &*key.id);
    let team = key.and_then(|key| key.team_id());
    let customer = key.and_then(|key| key.customer_id());
    match (scope, team, customer) {
        (Scope::Cluster, ..) => TenantScope::cluster(),
        (Scope::Team, Some(team), _) => TenantScope::team(team),
        (Scope::Customer, _, Some(customer)) => TenantScope::customer(customer),
        _ => TenantScope::key(id),
    }
}
