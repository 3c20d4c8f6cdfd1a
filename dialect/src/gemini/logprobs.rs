//! `logprobsResult` of a candidate.

use serde::Serialize;

use crate::canonical::{Logprobs, TokenLogprob, TopLogprob};
use crate::json::{DecodeError, Item};

use super::fields::Fields;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLogprobs<'a> {
    chosen_candidates: Vec<WireToken<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_candidates: Vec<WireTop<'a>>,
}

#[derive(Debug, Serialize)]
struct WireTop<'a> {
    candidates: Vec<WireToken<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireToken<'a> {
    token: &'a str,
    log_probability: f64,
}

/// Tokens of refusals are told as the others: there is one text here.
pub(super) fn encode(logprobs: &Logprobs) -> WireLogprobs<'_> {
    let tokens = || logprobs.content.iter().chain(&logprobs.refusal);
    fn chosen(told: &TokenLogprob) -> WireToken<'_> {
        WireToken { token: &told.token, log_probability: told.logprob }
    }
    fn top(told: &TokenLogprob) -> WireTop<'_> {
        let each = told.top.iter().map(|top| WireToken { token: &top.token, log_probability: top.logprob });
        WireTop { candidates: each.collect() }
    }
    WireLogprobs {
        chosen_candidates: tokens().map(chosen).collect(),
        top_candidates: if tokens().any(|told| !told.top.is_empty()) {
            tokens().map(top).collect()
        } else {
            Vec::new()
        },
    }
}

/// `None` if there is nothing in it.
pub(super) fn decode(mut fields: Fields<'_>) -> Result<Option<Logprobs>, DecodeError> {
    let tops = fields.list("topCandidates")?.into_iter().map(|item| {
        let each = Fields::of(item)?.list("candidates")?.into_iter().map(token);
        each.map(|told| told.map(|(token, logprob)| TopLogprob { token, logprob, bytes: None })).collect()
    });
    let mut tops = tops.collect::<Result<Vec<Vec<TopLogprob>>, DecodeError>>()?.into_iter();
    let content = fields.list("chosenCandidates")?.into_iter().map(|item| {
        let (token, logprob) = token(item)?;
        Ok(TokenLogprob { token, logprob, bytes: None, top: tops.next().unwrap_or_default() })
    });
    let content = content.collect::<Result<Vec<_>, DecodeError>>()?;
    Ok((!content.is_empty()).then(|| Logprobs { content, refusal: Vec::new() }))
}

fn token(item: Item<'_>) -> Result<(String, f64), DecodeError> {
    let mut fields = Fields::of(item)?;
    Ok((fields.string("token")?.unwrap_or_default(), fields.number("logProbability")?.unwrap_or(0.0)))
}
