//! What is kept of an answer.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::Either;
use http::StatusCode;
use peerway_cache::policy::{self, Finish};
use peerway_cache::{Content, Entry, Lead, Origin, Question, Recorded, Recorder, Stored};
use tracing::debug;

use super::Participation;
use crate::dialect::openai::{Answer, Usage};
use crate::relay::{Finished, OnFinish};
use crate::routing::Target;

/// Keeps the answer of a request that was a miss, if the policy lets it.
#[derive(Debug)]
pub(in crate::gateway) struct Fill {
    pub(super) participation: Participation,
    pub(super) keep_for: std::time::Duration,
    /// Others wait for the answer. Dropped, one of them asks the provider in turn.
    pub(super) lead: Option<Lead>,
    /// What requests that mean the same find the answer by.
    pub(super) question: Option<Question>,
}

impl Fill {
    pub(in crate::gateway) fn plain(self, status: StatusCode, answer: &Answer, target: &Target, body: &Bytes) {
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
    pub(in crate::gateway) fn into_stream(self, target: Target) -> (Recorder, OnFinish) {
        let origin = || Origin { provider: target.upstream.name.to_string(), model: target.model.to_string() };
        let recorder = match &self.lead {
            Some(lead) => lead.recorder(origin()),
            None => Recorder::new(self.participation.rules.max_entry),
        };
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

    /// The provider has answered, or failed, with what is of no use to others.
    pub(in crate::gateway) fn over(self) {
        if let Some(lead) = self.lead {
            lead.over();
        }
    }

    fn keep(
        mut self,
        facts: &policy::Answer,
        target: &Target,
        usage: Option<Usage>,
        recorded: impl FnOnce() -> Option<Recorded>,
    ) {
        let lead = self.lead.take();
        self.put(facts, target, usage, recorded);
        // Kept, it has ended the flight already.
        if let Some(lead) = lead {
            lead.over();
        }
    }

    fn put(
        self,
        facts: &policy::Answer,
        target: &Target,
        usage: Option<Usage>,
        recorded: impl FnOnce() -> Option<Recorded>,
    ) {
        let Self { participation, keep_for, question, .. } = self;
        let Participation { cache, runtime, id, namespace, generation, rules, .. } = participation;
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
            expires_ms: policy::expires_ms(&id, created_ms, keep_for),
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
        let learnt = question.map(|question| cache.learn(question, &entry));
        // This node has the entry at once; the client does not wait for the peers.
        let given = match cache.put(entry) {
            Either::Left(stored) => match stored.into_inner() {
                Stored::Refused => return debug!(%id, "the cache refused an answer"),
                _ => None,
            },
            Either::Right(given) => Some(given),
        };
        if given.is_none() && learnt.is_none() {
            return debug!(%id, "kept an answer, here alone");
        }
        // Peers are given it on the runtime of their connections: this thread would be woken for each of their answers.
        runtime.spawn(async move {
            let began = Instant::now();
            let stored = match given {
                Some(given) => given.await,
                None => Stored::Acknowledged,
            };
            // What its vector leads to is there by then.
            if let Some(learnt) = learnt {
                learnt.await;
            }
            debug!(%id, ?stored, took = ?began.elapsed(), "kept an answer");
        });
    }
}
