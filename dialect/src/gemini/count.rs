//! `countTokens`.

use serde::Serialize;

use crate::canonical::{ChatRequest, Usage};
use crate::json::{self, DecodeError};
use crate::{Dropped, Unsupported};

use super::fields::Fields;
use super::{request_in, request_out, resource, usage};

/// Reads what is to be counted: turns alone, or a whole `generateContentRequest`. The model is in the path.
pub fn decode_count_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut fields = Fields::parse(body)?;
    match fields.object("generateContentRequest")? {
        Some(whole) => request_in::request(whole),
        None => request_in::request(fields),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireCountRequest<'a> {
    generate_content_request: request_out::WireRequest<'a>,
}

/// The body: a whole request, so that its system text and tools are counted as well.
pub fn encode_count_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    let mut wire = request_out::wire(request, dropped)?;
    wire.model = Some(resource(&request.model));
    Ok(json::bytes(&WireCountRequest { generate_content_request: wire }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireCount {
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<usage::WireDetail>,
}

/// The count of a prompt: [`Usage::input`].
pub fn encode_count(told: &Usage) -> Vec<u8> {
    json::bytes(&WireCount {
        total_tokens: told.input,
        cached_content_token_count: (told.cached_input > 0).then_some(told.cached_input),
        prompt_tokens_details: usage::details(told.input, told.input_image, told.input_audio),
    })
}

pub fn decode_count(body: &[u8]) -> Result<Usage, DecodeError> {
    let mut fields = Fields::parse(body)?;
    let mut told = Usage {
        input: fields.need("totalTokens")?.unsigned()?,
        cached_input: fields.count("cachedContentTokenCount"),
        ..Usage::default()
    };
    for (modality, count) in usage::modalities(&mut fields, "promptTokensDetails") {
        match modality.as_str() {
            "AUDIO" => told.input_audio = count,
            "IMAGE" => told.input_image = count,
            _ => {}
        }
    }
    Ok(told)
}
