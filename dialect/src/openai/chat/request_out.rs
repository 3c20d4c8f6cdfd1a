//! A request for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::ChatRequest;
use crate::json;
use crate::openai::effort;
use crate::{Dialect, Dropped, Json, Unsupported};

use super::Target;
use super::messages_out::{self, WireMessage};
use super::tools_out::{WireChoice, WireFormat, WireTool, encode_choice, encode_format, encode_tool};

const HERE: Dialect = Dialect::OpenAiChat;

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The body for OpenAI itself.
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    encode_request_for(request, Target::OPENAI, dropped)
}

/// The body for a provider with the habits of `target`.
pub fn encode_request_for(
    request: &ChatRequest,
    target: Target,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Unsupported> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        tools.push(encode_tool(tool, at, target, dropped)?);
    }
    dropped.absorb(&request.unread);
    dropped.note_if(request.top_k.is_some() && !target.top_k, "top_k");
    let max = request.max_output_tokens;
    Ok(json::bytes(&WireRequest {
        model: &request.model,
        messages: messages_out::encode(&request.messages, target, dropped)?,
        tools,
        tool_choice: request.tool_choice.as_ref().map(encode_choice),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: request.response_format.as_ref().map(encode_format),
        max_completion_tokens: max.filter(|_| target.max_completion_tokens),
        max_tokens: max.filter(|_| !target.max_completion_tokens),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k.filter(|_| target.top_k),
        seed: request.seed,
        stop: &request.stop,
        n: request.n,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        logprobs: request.logprobs.map(|_| true),
        top_logprobs: request.logprobs.and_then(|wanted| wanted.top),
        reasoning_effort: effort(request, dropped),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        stream: request.stream.then_some(true),
        stream_options: (request.stream && request.include_usage).then_some(StreamOptions { include_usage: true }),
        extra: request.extra.for_target(HERE, dropped),
    }))
}

fn effort(request: &ChatRequest, dropped: &mut Dropped) -> Option<&'static str> {
    let wanted = request.reasoning.as_ref()?;
    dropped.note_if(wanted.show.is_some(), "thinking.display");
    effort::effort(wanted, &request.model, dropped)
}
