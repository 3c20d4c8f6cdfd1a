//! `logprobs`: pieces of text with the tokens that they are made of.

use serde::Serialize;

use crate::canonical::{Logprobs, TokenLogprob};
use crate::json::{DecodeError, Item};

#[derive(Debug, Serialize)]
pub(super) struct WireLogprob<'a> {
    text: &'a str,
    /// The ids of another provider's tokens are not known.
    token_ids: [u64; 0],
    logprobs: [f64; 1],
}

pub(super) fn encode(logprobs: &Logprobs) -> Vec<WireLogprob<'_>> {
    let tokens = logprobs.content.iter().chain(&logprobs.refusal);
    let each = tokens.map(|told| WireLogprob { text: &told.token, token_ids: [], logprobs: [told.logprob] });
    each.collect()
}

/// A piece of several tokens is told as one: its probability is their product.
pub(super) fn decode(item: Item<'_>) -> Result<Option<TokenLogprob>, DecodeError> {
    let mut object = item.object()?;
    let token = object.string("text")?.unwrap_or_default();
    let each = object.list("logprobs")?.unwrap_or_default();
    if each.is_empty() {
        return Ok(None);
    }
    let logprob = each.into_iter().map(|item| item.number()).sum::<Result<f64, _>>()?;
    Ok(Some(TokenLogprob { token, logprob, bytes: None, top: Vec::new() }))
}
