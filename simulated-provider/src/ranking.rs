//! Documents ranked by how near they are to a query, for every dialect's rerank.

use serde_json::{Map, Value};

use crate::embedding;
use crate::error::ApiError;
use crate::value::{list, number, string};

const MOST_DOCUMENTS: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Ranking {
    query: String,
    pub(crate) documents: Vec<String>,
    most: usize,
    pub(crate) prompt_tokens: u64,
}

impl Ranking {
    /// Documents are texts, or objects with one.
    pub(crate) fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let invalid = |message: String| ApiError::invalid(message, None, None);
        let query = string(body.get("query")).to_owned();
        if query.is_empty() {
            return Err(invalid("invalid request: query must not be empty".to_owned()));
        }
        let text = |document: &Value| match document {
            Value::String(text) => text.clone(),
            other => string(other.get("text")).to_owned(),
        };
        let documents: Vec<String> = list(body.get("documents")).iter().map(text).collect();
        if documents.is_empty() || documents.len() > MOST_DOCUMENTS {
            return Err(invalid(format!("invalid request: list of documents must hold 1 to {MOST_DOCUMENTS}")));
        }
        let most =
            number(body.get("top_n")).map_or(documents.len(), |most| usize::try_from(most).unwrap_or(usize::MAX));
        let prompt_tokens = std::iter::once(&query).chain(&documents).map(|text| embedding::tokens(text)).sum();
        Ok(Self { query, documents, most, prompt_tokens })
    }

    /// Index and score of the best documents, the best one first.
    pub(crate) fn results(&self) -> impl Iterator<Item = (usize, f64)> {
        let score = |document: &String| embedding::similarity(&self.query, document);
        let mut scores: Vec<_> = self.documents.iter().map(score).enumerate().collect();
        scores.sort_by(|(_, first), (_, second)| second.total_cmp(first));
        scores.into_iter().take(self.most)
    }
}
