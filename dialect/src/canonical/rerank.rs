//! Documents in the order of their relevance to a query.

use super::{Extra, Usage};
use crate::Json;

/// Cohere `rerank`, and the many that are alike (Jina, vLLM ...).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RerankRequest {
    pub model: String,
    pub query: String,
    /// Each a JSON string or an object with `text`.
    pub documents: Vec<Json>,
    pub top_n: Option<u64>,
    pub return_documents: Option<bool>,
    pub max_tokens_per_doc: Option<u64>,
    pub extra: Extra,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct RerankAnswer {
    pub id: String,
    pub model: String,
    pub results: Vec<RerankResult>,
    pub usage: Option<Usage>,
    /// Cohere bills by searches, not tokens.
    pub search_units: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RerankResult {
    pub index: u64,
    pub score: f64,
    pub document: Option<Json>,
}
