//! A request for a provider.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Effort, Reasoning, ResponseFormat, ThinkingMode, Tool, ToolChoice};
use crate::json;
use crate::{Dropped, Json, Unsupported};

use super::HERE;
use super::documents::WireDocument;
use super::messages_out::{Messages, WireMessage};

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documents: Vec<WireDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WireThinking>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireFunction<'a>,
    },
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, Json>,
}

#[derive(Debug, Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'a Json>,
}

#[derive(Debug, Serialize)]
struct WireThinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<u64>,
}

/// The body of `chat`.
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    if request.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::new("n", HERE, "an answer has one choice: ask several times"));
    }
    dropped.absorb(&request.unread);
    dropped.note_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    dropped.note_if(request.user.is_some(), "user");
    dropped.note_if(!request.metadata.is_empty(), "metadata");
    dropped.note_if(request.logprobs.is_some_and(|wanted| wanted.top.is_some_and(|top| top > 0)), "top_logprobs");
    let seed = request.seed.and_then(|seed| u64::try_from(seed).ok());
    dropped.note_if(seed.is_none() && request.seed.is_some(), "seed");
    let (tools, strict_tools) = encode_tools(request, dropped)?;
    let mut messages = Messages { wire: Vec::new(), documents: Vec::new(), dropped };
    for (at, message) in request.messages.iter().enumerate() {
        messages.message(message, at)?;
    }
    let Messages { wire, documents, dropped } = messages;
    Ok(json::bytes(&WireRequest {
        model: &request.model,
        messages: wire,
        stream: request.stream,
        documents,
        tools,
        strict_tools,
        tool_choice: request.tool_choice.as_ref().and_then(encode_choice),
        response_format: request.response_format.as_ref().map(|format| encode_format(format, dropped)),
        max_tokens: request.max_output_tokens,
        temperature: within(request.temperature, 0.0, 1.0, "temperature", dropped),
        p: within(request.top_p, 0.01, 0.99, "top_p", dropped),
        k: request.top_k.map(|k| {
            dropped.note_if(k > 500, "top_k");
            k.min(500)
        }),
        seed,
        stop_sequences: &request.stop,
        presence_penalty: within(request.presence_penalty, 0.0, 1.0, "presence_penalty", dropped),
        frequency_penalty: within(request.frequency_penalty, 0.0, 1.0, "frequency_penalty", dropped),
        logprobs: request.logprobs.map(|_| true),
        thinking: request.reasoning.as_ref().and_then(|wanted| thinking(wanted, dropped)),
        extra: request.extra.for_target(HERE, dropped),
    }))
}

/// A value held to its range, and named if that changed it.
fn within(value: Option<f64>, low: f64, high: f64, name: &'static str, dropped: &mut Dropped) -> Option<f64> {
    let value = value?;
    dropped.note_if(!(low..=high).contains(&value), name);
    Some(value.clamp(low, high))
}

/// The tools that the choice allows, and whether they are strict: all of them are, or none.
fn encode_tools<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<(Vec<WireTool<'a>>, Option<bool>), Unsupported> {
    let (mut tools, mut strict, mut loose) = (Vec::new(), 0, 0);
    for (at, tool) in request.tools.iter().enumerate() {
        let function = match tool {
            Tool::Function(function) => function,
            Tool::Other { of: HERE, json, .. } => {
                tools.push(WireTool::Other(json));
                continue;
            }
            Tool::Other { of, name, .. } => {
                let reason = format!("the tool `{name}` runs at providers that speak {of}");
                return Err(Unsupported::new(format!("tools[{at}]"), HERE, reason));
            }
        };
        let allowed = match &request.tool_choice {
            Some(ToolChoice::Named(name)) => *name == function.name,
            Some(choice) => choice.allows(&function.name),
            None => true,
        };
        if !allowed {
            continue;
        }
        dropped.note_if(function.cache.is_some(), "cache_control");
        match function.strict {
            Some(true) => strict += 1,
            _ => loose += 1,
        }
        tools.push(WireTool::Function {
            kind: "function",
            function: WireFunction {
                name: &function.name,
                description: function.description.as_deref(),
                parameters: function.parameters.as_ref().map_or_else(|| Cow::Owned(no_parameters()), Cow::Borrowed),
            },
        });
    }
    dropped.note_if(strict > 0 && loose > 0, "tools.strict");
    Ok((tools, (strict > 0 && loose == 0).then_some(true)))
}

/// Parameters are required here.
fn no_parameters() -> Json {
    #[derive(Serialize)]
    struct NoParameters {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: BTreeMap<String, ()>,
    }
    Json::of(&NoParameters { kind: "object", properties: BTreeMap::new() })
}

fn encode_choice(choice: &ToolChoice) -> Option<&'static str> {
    match choice {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. } => Some("REQUIRED"),
    }
}

fn encode_format<'a>(format: &'a ResponseFormat, dropped: &mut Dropped) -> WireFormat<'a> {
    match format {
        ResponseFormat::Text => WireFormat { kind: "text", json_schema: None },
        ResponseFormat::JsonObject => WireFormat { kind: "json_object", json_schema: None },
        ResponseFormat::JsonSchema { schema, description, .. } => {
            dropped.note_if(description.is_some(), "response_format.description");
            WireFormat { kind: "json_object", json_schema: Some(schema) }
        }
    }
}

/// An effort becomes the budget that thinks as much, and is named as changed.
fn thinking(wanted: &Reasoning, dropped: &mut Dropped) -> Option<WireThinking> {
    dropped.note_if(wanted.show == Some(false), "thinking.display");
    let on = |token_budget| Some(WireThinking { kind: "enabled", token_budget });
    match (wanted.mode, wanted.effort) {
        (Some(ThinkingMode::Off), _) | (None, Some(Effort::None)) => {
            Some(WireThinking { kind: "disabled", token_budget: None })
        }
        (Some(ThinkingMode::Budget(tokens)), effort) => {
            dropped.note_if(effort.is_some(), "reasoning_effort");
            on(Some(tokens))
        }
        (_, Some(effort)) => {
            dropped.note("reasoning_effort");
            on(effort.budget())
        }
        (Some(ThinkingMode::Adaptive), None) => on(None),
        (None, None) => None,
    }
}
