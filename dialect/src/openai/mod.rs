//! OpenAI's dialects, as the API reference of 2026 has them, and what the many providers that are alike add to them.
//!
//! - [`chat`]: chat completions
//! - [`completions`]: text completions, as a form of chat
//! - [`embeddings`]
//! - [`responses`]: responses, without what is kept at the provider
//! - [`error`], [`usage`], [`logprobs`]: what they share

pub mod chat;
mod chunks;
pub mod completions;
mod effort;
pub mod embeddings;
pub mod error;
pub mod logprobs;
pub mod responses;
pub mod usage;
