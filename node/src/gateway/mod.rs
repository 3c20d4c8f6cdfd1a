//! The request's way, one file a step:
//! `authenticate` -> `admission` -> `plan` (route) -> `cached` (look-up) -> `reserve` -> `send` (each `attempt` of what
//! `outbound` prepares) -> `crate::relay` or `answer` -> `exchange` (record). `operations` goes the same way with whatever
//! is not a chat. `whole` reads what is no stream, `verdict` tells what a failure means, `hooks` lets others look on.

mod admission;
mod answer;
mod answer_cache;
mod attempt;
mod attended;
mod authenticate;
mod cached;
mod chat;
mod deadline;
mod enter;
mod exchange;
mod extra_fields;
pub mod headers;
pub mod hooks;
pub(crate) mod ladder;
mod limits;
mod models;
mod operations;
mod outbound;
mod plan;
mod reserve;
mod router;
mod send;
mod verdict;
mod whole;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::governance::{CurrentAccess, Reserve};
use crate::health::Health;
use crate::http::drain::Drain;
use crate::http::request_id::RequestIds;
use crate::routing::Observed;
use crate::telemetry::{AccessLog, Shard};

pub use admission::{Admission, Admitted};
pub use answer_cache::AnswerCache;
pub use attended::Unattended;
pub(crate) use cached::{ExplainError, Pair};
pub use exchange::{CacheResult, Exchange, Outcome};
pub use hooks::Hooks;
pub use plan::{Plan, PlanError};
pub use router::router;
pub(crate) use verdict::judge_broken;

/// What all data-plane threads of a node share; read-only but for the plan, which a reload swaps, and the access, which
/// the registry changes too.
#[derive(Debug)]
pub struct Gateway {
    pub plan: ArcSwap<Plan>,
    pub access: Arc<CurrentAccess>,
    pub cache: AnswerCache,
    pub admission: Admission,
    pub health: Health,
    pub drain: Drain,
    pub request_ids: RequestIds,
    pub access_log: AccessLog,
    pub unattended: Unattended,
    pub ledger: Arc<dyn Reserve>,
    /// What is seen of the upstreams, for choosing between them.
    pub observed: Arc<dyn Observed>,
    pub hooks: Hooks,
    /// The value of `x-peerway-node`.
    pub node_id: HeaderValue,
}

/// The gateway as one data-plane thread sees it.
#[derive(Debug, Clone)]
pub struct Worker {
    pub gateway: Arc<Gateway>,
    pub index: usize,
    pub shard: Arc<Shard>,
}
