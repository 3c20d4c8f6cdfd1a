//! Counting the tokens of a request that is not sent.

use serde::Serialize;

use crate::canonical::ChatRequest;
use crate::json::{self, DecodeError, Object};
use crate::{Dropped, Unsupported};

use super::Target;
use super::request_in::decode_common;
use super::request_out::wire;

/// Reads a `count_tokens` request: a messages request without `max_tokens`.
pub fn decode_count_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    decode_common(Object::parse(body)?)
}

/// The body of a `count_tokens` request. What only shapes the answer is left out: it has no tokens.
pub fn encode_count_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    let mut wire = wire(request, Target::for_model(&request.model), dropped)?;
    (wire.max_tokens, wire.temperature, wire.top_p, wire.top_k) = (None, None, None, None);
    (wire.metadata, wire.stream) = (None, None);
    wire.stop_sequences.clear();
    Ok(json::bytes(&wire))
}

#[derive(Debug, Serialize)]
struct Count {
    input_tokens: u64,
}

/// `{"input_tokens": n}`
pub fn encode_count_answer(tokens: u64) -> Vec<u8> {
    json::bytes(&Count { input_tokens: tokens })
}

pub fn decode_count_answer(body: &[u8]) -> Result<u64, DecodeError> {
    Object::parse(body)?.need("input_tokens")?.unsigned()
}
