//! Embeddings from one dialect into another.

use peerway_dialect::canonical::{EmbedAnswer, EmbedRequest};
use peerway_dialect::{DecodeError, Dialect, Dropped, Unsupported, bedrock, cohere, gemini, openai};

/// How many vectors the client's words have room for: Gemini has calls for one and for many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    One,
    Many,
}

pub(super) fn decode(client: Dialect, room: Room, body: &[u8]) -> Result<EmbedRequest, DecodeError> {
    match (client, room) {
        (Dialect::Gemini, Room::One) => gemini::decode_embed_request(body),
        (Dialect::Gemini, Room::Many) => gemini::decode_batch_embed_request(body),
        (Dialect::Cohere, _) => cohere::decode_embed_request(body),
        _ => openai::embeddings::decode_request(body),
    }
}

pub(super) fn encode_request(
    provider: Dialect,
    request: &EmbedRequest,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Unsupported> {
    match provider {
        Dialect::Gemini => gemini::encode_embed_request(request, dropped),
        Dialect::Cohere => cohere::encode_embed_request(request, dropped),
        Dialect::Bedrock => bedrock::encode_embed_request(request, dropped),
        _ => openai::embeddings::encode_request(request, dropped),
    }
}

pub(super) fn decode_answer(provider: Dialect, body: &[u8]) -> Result<EmbedAnswer, DecodeError> {
    match provider {
        Dialect::Gemini => gemini::decode_embed_answer(body),
        Dialect::Cohere => cohere::decode_embed_answer(body),
        Dialect::Bedrock => bedrock::decode_embed_answer(body),
        _ => openai::embeddings::decode_answer(body),
    }
}

pub(super) fn encode_answer(client: Dialect, room: Room, request: &EmbedRequest, answer: &EmbedAnswer) -> Vec<u8> {
    match (client, room) {
        (Dialect::Gemini, Room::One) => gemini::encode_embed_answer(answer),
        (Dialect::Gemini, Room::Many) => gemini::encode_batch_embed_answer(answer),
        (Dialect::Cohere, _) => cohere::encode_embed_answer(answer, request.encoding),
        _ => openai::embeddings::encode_answer(answer, request.encoding),
    }
}
