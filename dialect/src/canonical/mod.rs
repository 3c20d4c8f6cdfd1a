//! The model in the middle: requests, answers, stream events, usage and failures that every dialect maps to.
//!
//! Plain data. JSON that belongs to the user (schemas, tool arguments) stays text, see [`crate::Json`]. Each type says
//! how the dialects map to it; what a type cannot hold is dropped and named, or refused (see the crate's documentation).

mod answer;
mod collect;
mod completeness;
mod embed;
mod event;
mod failure;
mod logprobs;
mod message;
mod request;
mod rerank;
mod serial;
mod strict;
mod tool;
mod usage;

pub use answer::{ChatAnswer, Choice, Finish};
pub use collect::{Collector, replay};
pub(crate) use completeness::Completeness;
pub use embed::{EmbedAnswer, EmbedInput, EmbedRequest, VectorEncoding};
pub use event::StreamEvent;
pub use failure::{Failure, FailureKind, UPSTREAM_ERROR};
pub use logprobs::{Logprobs, TokenLogprob, TopLogprob};
pub use message::{CacheMark, Content, Message, Part, Role, Signature, Source};
pub use request::{ChatRequest, Effort, Extra, LogprobsWanted, Reasoning, ResponseFormat, ThinkingMode};
pub use rerank::{RerankAnswer, RerankRequest, RerankResult};
pub use serial::Serial;
pub(crate) use strict::Strictness;
pub use tool::{Function, Tool, ToolChoice, made_call_id};
pub use usage::Usage;

pub(crate) use tool::fnv1a;
