//! `choices[].logprobs` of chat completions.

use serde::Serialize;

use crate::canonical::{Logprobs, TokenLogprob, TopLogprob};
use crate::json::{DecodeError, Item, Object};

#[derive(Debug, Serialize)]
pub(crate) struct WireLogprobs<'a> {
    content: Option<Vec<WireToken<'a>>>,
    refusal: Option<Vec<WireToken<'a>>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct WireToken<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Option<&'a [u8]>,
    top_logprobs: Vec<WireTop<'a>>,
}

#[derive(Debug, Serialize)]
struct WireTop<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Option<&'a [u8]>,
}

pub(crate) fn encode(logprobs: &Logprobs) -> WireLogprobs<'_> {
    WireLogprobs { content: tokens(&logprobs.content), refusal: tokens(&logprobs.refusal) }
}

fn tokens(told: &[TokenLogprob]) -> Option<Vec<WireToken<'_>>> {
    (!told.is_empty()).then(|| told.iter().map(wire_token).collect())
}

pub(crate) fn wire_token(told: &TokenLogprob) -> WireToken<'_> {
    WireToken {
        token: &told.token,
        logprob: told.logprob,
        bytes: told.bytes.as_deref(),
        top_logprobs: told.top.iter().map(wire_top).collect(),
    }
}

fn wire_top(told: &TopLogprob) -> WireTop<'_> {
    WireTop { token: &told.token, logprob: told.logprob, bytes: told.bytes.as_deref() }
}

/// `None` if there is nothing in it.
pub(crate) fn decode(mut object: Object<'_>) -> Result<Option<Logprobs>, DecodeError> {
    let mut list = |key| -> Result<Vec<TokenLogprob>, DecodeError> {
        object.list(key)?.unwrap_or_default().into_iter().map(token).collect()
    };
    let logprobs = Logprobs { content: list("content")?, refusal: list("refusal")? };
    Ok((logprobs != Logprobs::default()).then_some(logprobs))
}

pub(crate) fn token(item: Item<'_>) -> Result<TokenLogprob, DecodeError> {
    let mut object = item.object()?;
    let top = object.list("top_logprobs")?.unwrap_or_default().into_iter().map(|item| {
        let mut object = item.object()?;
        let (token, logprob, bytes) = common(&mut object)?;
        Ok(TopLogprob { token, logprob, bytes })
    });
    let top = top.collect::<Result<_, DecodeError>>()?;
    let (token, logprob, bytes) = common(&mut object)?;
    Ok(TokenLogprob { token, logprob, bytes, top })
}

fn common(object: &mut Object<'_>) -> Result<(String, f64, Option<Vec<u8>>), DecodeError> {
    let bytes = object.list("bytes")?.map(|bytes| {
        let byte = |item: Item<'_>| {
            item.unsigned().ok().and_then(|byte| u8::try_from(byte).ok()).ok_or_else(|| item.expected("a byte"))
        };
        bytes.into_iter().map(byte).collect::<Result<_, _>>()
    });
    Ok((object.need("token")?.string()?, object.need("logprob")?.number()?, bytes.transpose()?))
}
