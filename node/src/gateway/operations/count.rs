//! Counting the tokens of a chat that is not sent: a provider's own count in the words of whoever asks.

use bytes::Bytes;
use peerway_dialect::canonical::{ChatRequest, Usage};
use peerway_dialect::{DecodeError, Dialect, Dropped, Unsupported, anthropic, bedrock, gemini};

/// Reads what a client wants counted.
pub(super) fn decode(client: Dialect, body: &[u8]) -> Result<ChatRequest, DecodeError> {
    match client {
        Dialect::Gemini => gemini::decode_count_request(body),
        Dialect::Bedrock => {
            let converse = converse(body).ok_or_else(|| DecodeError::wrong("input.converse", "an object"))?;
            bedrock::decode_request(converse.get().as_bytes())
        }
        _ => anthropic::decode_count_request(body),
    }
}

fn converse(body: &[u8]) -> Option<Box<serde_json::value::RawValue>> {
    #[derive(serde::Deserialize)]
    struct Body {
        input: Input,
    }
    #[derive(serde::Deserialize)]
    struct Input {
        converse: Box<serde_json::value::RawValue>,
    }
    serde_json::from_slice::<Body>(body).ok().map(|body| body.input.converse)
}

/// Writes it for a provider that counts.
pub(super) fn encode_request(
    provider: Dialect,
    request: &ChatRequest,
    dropped: &mut Dropped,
) -> Result<Bytes, Unsupported> {
    let body = match provider {
        Dialect::Gemini => gemini::encode_count_request(request, dropped)?,
        _ => anthropic::encode_count_request(request, dropped)?,
    };
    Ok(body.into())
}

/// A provider's count.
pub(super) fn read(provider: Dialect, body: &[u8]) -> Result<u64, DecodeError> {
    match provider {
        Dialect::Gemini => gemini::decode_count(body).map(|told| told.input),
        _ => anthropic::decode_count_answer(body),
    }
}

/// A count in a client's words.
pub(super) fn encode(client: Dialect, tokens: u64) -> Vec<u8> {
    match client {
        Dialect::Gemini => gemini::encode_count(&Usage { input: tokens, ..Usage::default() }),
        Dialect::Bedrock => format!("{{\"inputTokens\":{tokens}}}").into_bytes(),
        _ => anthropic::encode_count_answer(tokens),
    }
}
