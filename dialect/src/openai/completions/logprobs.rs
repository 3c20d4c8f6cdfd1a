//! The older form of logprobs: lists side by side, with each token's place in the text.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::Logprobs;

#[derive(Debug, Serialize)]
pub(super) struct WireLogprobs<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Option<Vec<BTreeMap<&'a str, f64>>>,
    text_offset: Vec<usize>,
}

/// `offset` is the place of the first token, in characters, and is moved past the last.
pub(super) fn encode<'a>(logprobs: &'a Logprobs, offset: &mut usize) -> WireLogprobs<'a> {
    let told = &logprobs.content;
    let alternatives = told.iter().any(|token| !token.top.is_empty());
    let mut text_offset = Vec::with_capacity(told.len());
    for token in told {
        text_offset.push(*offset);
        *offset += token.token.chars().count();
    }
    let top = |token: &'a crate::canonical::TokenLogprob| {
        token.top.iter().map(|top| (top.token.as_str(), top.logprob)).collect()
    };
    WireLogprobs {
        tokens: told.iter().map(|token| token.token.as_str()).collect(),
        token_logprobs: told.iter().map(|token| token.logprob).collect(),
        top_logprobs: alternatives.then(|| told.iter().map(top).collect()),
        text_offset,
    }
}
