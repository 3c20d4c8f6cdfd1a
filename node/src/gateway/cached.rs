//! The cache's part in a request: whether it takes part, the look-up, and what is kept of the answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use peerway_cache::policy::{self, CacheType, Finish, Rules, Wishes};
use peerway_cache::{Content, Entry, EntryId, NamespaceId, Recorded, Recorder, RingCache, TenantScope};
use tokio::runtime::Handle;
use tracing::{debug, warn};

use super::AnswerCache;
use super::plan::Plan;
use crate::config::{Activation, Scope};
use crate::dialect::openai::{self, Answer, Event, Replay, Usage};
use crate::governance::VirtualKey;
use crate::relay::{Finished, OnFinish};
use crate::routing::Target;

/// What a client wishes, in a header of ours or in Bifrost's of the same meaning.
type Names = [HeaderName; 2];
static KEY: Names = [HeaderName::from_static("x-peerway-cache-key"), HeaderName::from_static("x-bf-cache-key")];
static TYPE: Names = [HeaderName::from_static("x-peerway-cache-type"), HeaderName::from_static("x-bf-cache-type")];
static NO_STORE: Names =
    [HeaderName::from_static("x-peerway-cache-no-store"), HeaderName::from_static("x-bf-cache-no-store")];
static NO_READ: Names =
    [HeaderName::from_static("x-peerway-cache-no-read"), HeaderName::from_static("x-bf-cache-no-read")];
static TTL: Names = [HeaderName::from_static("x-peerway-cache-ttl"), HeaderName::from_static("x-bf-cache-ttl")];

/// The operation of the ids made here: one body may be valid for two of them.
const OPERATION: &str = "chat/completions";

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
        let policy::Participation::Takes { namespace, read, keep_for, .. } =
            policy::participation(&rules, &wishes(headers))
        else {
            return None;
        };
        let cache = answers.cache.clone();
        let scope = tenant(plan.cache.scope, key);
        match cache.identify(&scope, namespace, OPERATION, body) {
            Ok((id, namespace)) => {
                let generation = cache.generation(&namespace);
                let runtime = answers.runtime.clone();
                Some(Self { cache, runtime, id, namespace, generation, read, keep_for, rules })
            }
            Err(error) => {
                debug!(%error, "a request has no cache id and passes the cache by");
                None
            }
        }
    }

    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    pub(super) async fn look_up(&self, replay: Replay) -> Option<Hit> {
        if !self.read {
            return None;
        }
        let entry = match self.cache.get_local(&self.id, &self.namespace) {
            Some(entry) => entry,
            None => self.cache.get(&self.id, &self.namespace).await?,
        };
        match replayed(&entry.content.recorded, replay) {
            Ok(response) => Some(Hit {
                response,
                provider: entry.content.provider.as_str().into(),
                model: entry.content.model.as_str().into(),
                usage: entry.content.usage.map(|u| Usage {
                    prompt_tokens: u.prompt_tokens,
                    completion_tokens: u.completion_tokens,
                    ..Usage::default()
                }),
            }),
            Err(error) => {
                warn!(id = %self.id, %error, "a cached answer cannot be replayed in the form asked for; asking the provider");
                None
            }
        }
    }

    /// What keeps the answer, unless the client does not want that.
    pub(super) fn into_fill(self) -> Option<Fill> {
        self.keep_for.map(|keep_for| Fill { participation: self, keep_for })
    }
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

fn wishes(headers: &HeaderMap) -> Wishes<'_> {
    let header = |[ours, theirs]: &Names| {
        headers.get(ours).or_else(|| headers.get(theirs)).and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let is_set = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    Wishes {
        cache_key: header(&KEY),
        cache_type: match header(&TYPE) {
            Some("direct") => Some(CacheType::Direct),
            Some("semantic") => Some(CacheType::Semantic),
            _ => None,
        },
        no_store: is_set(header(&NO_STORE)),
        no_read: is_set(header(&NO_READ)),
        ttl: header(&TTL).and_then(ttl),
    }
}

/// `30s`, `5m` or plain seconds.
fn ttl(text: &str) -> Option<Duration> {
    text.parse().map(Duration::from_secs).ok().or_else(|| text.parse().map(crate::config::Period::get).ok())
}

fn replayed(recorded: &Recorded, replay: Replay) -> Result<Response, openai::ReplayError> {
    Ok(match (recorded, replay) {
        (Recorded::Plain { body }, Replay::Plain) => plain(body.clone()),
        (Recorded::Stream { events }, Replay::Plain) => {
            plain(openai::plain_from_events(events.iter().map(|event| event.bytes.as_ref()))?)
        }
        (Recorded::Plain { body }, Replay::Stream { include_usage }) => {
            events(openai::stream_from_plain(body, include_usage)?)
        }
        (Recorded::Stream { events: recorded }, Replay::Stream { include_usage }) => {
            let wanted =
                |event: &Bytes| include_usage || !matches!(Event::read(event), Event::Chunk(facts) if facts.only_usage);
            events(recorded.iter().map(|event| event.bytes.clone()).filter(wanted).collect())
        }
    })
}

fn plain(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn events(events: Vec<Bytes>) -> Response {
    let frames = stream::iter(events.into_iter().map(|event| Ok::<_, Infallible>(Frame::data(event))));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Keeps the answer of a request that was a miss, if the policy lets it.
#[derive(Debug)]
pub(super) struct Fill {
    participation: Participation,
    keep_for: Duration,
}

impl Fill {
    pub(super) fn plain(self, status: StatusCode, answer: &Answer, target: &Target, body: &Bytes) {
        let facts = policy::Answer {
            status: status.as_u16(),
            finish: if answer.finished { Finish::Stop } else { Finish::Other },
            complete: true,
            has_tool_calls: answer.has_tool_calls,
            bytes: body.len(),
        };
        // A copy of its own: the body may be a slice of a larger network buffer.
        self.keep(&facts, target, answer.usage, || Some(Recorded::Plain { body: Bytes::copy_from_slice(body) }));
    }

    /// A recorder for the relay, and what is to be done when the stream has ended whole.
    pub(super) fn into_stream(self, target: Target) -> (Recorder, OnFinish) {
        let recorder = Recorder::new(self.participation.rules.max_entry);
        let on_finish = move |finished: Finished| {
            let facts = policy::Answer {
                status: 200,
                finish: if finished.all_stopped { Finish::Stop } else { Finish::Other },
                complete: true,
                has_tool_calls: finished.has_tool_calls,
                // The recorder has kept the size within bounds.
                bytes: 0,
            };
            self.keep(&facts, &target, finished.usage, || finished.recorder.and_then(Recorder::finish));
        };
        (recorder, Box::new(on_finish))
    }

    fn keep(
        self,
        facts: &policy::Answer,
        target: &Target,
        usage: Option<Usage>,
        recorded: impl FnOnce() -> Option<Recorded>,
    ) {
        let Participation { cache, runtime, id, namespace, generation, rules, .. } = self.participation;
        if let Err(reason) = policy::keep(&rules, facts) {
            return debug!(%id, ?reason, "the answer is not kept");
        }
        let Some(recorded) = recorded() else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = now.as_millis() as u64;
        let entry = Entry {
            id,
            namespace,
            generation,
            created_ms,
            expires_ms: created_ms.saturating_add(self.keep_for.as_millis() as u64),
            content: Content {
                provider: target.upstream.name.to_string(),
                model: target.model.to_string(),
                usage: usage.map(|usage| peerway_cache::Usage {
                    prompt_tokens: usage.prompt_tokens,
                    completion_tokens: usage.completion_tokens,
                }),
                recorded,
            },
        };
        // This node has the entry at once; the client does not wait for the peers.
        let Either::Right(given) = cache.put(entry) else { return debug!(%id, "kept an answer, here alone") };
        // Peers are given it on the runtime of their connections: this thread would be woken for each of their answers.
        runtime.spawn(async move {
            let began = Instant::now();
            let stored = given.await;
            debug!(%id, ?stored, took = ?began.elapsed(), "kept an answer");
        });
    }
}
