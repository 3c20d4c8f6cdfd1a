//! A request for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{
    ChatRequest, Content, Message, Part, Reasoning, ResponseFormat, Role, Strictness, Tool, ToolChoice,
};
use crate::json;
use crate::openai::effort;
use crate::{Dropped, Json, Unsupported};

use super::HERE;
use super::items_out::{WireItem, encode_items};

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<WireItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireTool<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<&'a Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
    #[serde(untagged)]
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireChoice<'a> {
    Word(&'static str),
    Named(NamedTool<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'static str,
        tools: Vec<NamedTool<'a>>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "function")]
pub(super) struct NamedTool<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct WireText<'a> {
    format: WireFormat<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat<'a> {
    Text,
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct WireReasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

/// The body. Nothing is stored at the provider; thoughts are asked for in the sealed form that can be sent back.
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    if request.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::new("n", HERE, "there is one answer to a request"));
    }
    dropped.absorb(&request.unread);
    for (given, field) in [
        (request.top_k.is_some(), "top_k"),
        (request.seed.is_some(), "seed"),
        (!request.stop.is_empty(), "stop"),
        (request.presence_penalty.is_some(), "presence_penalty"),
        (request.frequency_penalty.is_some(), "frequency_penalty"),
    ] {
        dropped.note_if(given, field);
    }
    let (instructions, messages) = split_instructions(&request.messages);
    let first = request.messages.len() - messages.len();
    let reasoning = request.reasoning.as_ref().and_then(|wanted| encode_reasoning(wanted, &request.model, dropped));
    let mut include = Vec::new();
    if request.logprobs.is_some() {
        include.push("message.output_text.logprobs");
    }
    if reasoning.as_ref().is_some_and(|reasoning| reasoning.effort != Some("none")) {
        include.push("reasoning.encrypted_content");
    }
    Ok(json::bytes(&WireRequest {
        model: &request.model,
        instructions,
        input: encode_items(messages, first, dropped)?,
        tools: encode_tools(&request.tools, dropped)?,
        tool_choice: request.tool_choice.as_ref().map(encode_choice),
        parallel_tool_calls: request.parallel_tool_calls,
        text: request.response_format.as_ref().map(encode_text),
        reasoning,
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        top_logprobs: request.logprobs.and_then(|wanted| wanted.top),
        include,
        user: request.user.as_deref(),
        metadata: &request.metadata,
        store: false,
        stream: request.stream.then_some(true),
        extra: request.extra.for_target(HERE, dropped),
    }))
}

/// A system prompt of one text at the front is `instructions`.
pub(super) fn split_instructions(messages: &[Message]) -> (Option<&str>, &[Message]) {
    if let [Message { role: Role::System, parts, name: None }, rest @ ..] = messages
        && let [Part { content: Content::Text(text), cache: None, .. }] = parts.as_slice()
    {
        return (Some(text), rest);
    }
    (None, messages)
}

fn encode_tools<'a>(tools: &'a [Tool], dropped: &mut Dropped) -> Result<Vec<WireTool<'a>>, Unsupported> {
    let mut wire = Vec::with_capacity(tools.len());
    for (at, tool) in tools.iter().enumerate() {
        wire.push(match tool {
            Tool::Function(function) => {
                dropped.note_if(function.cache.is_some(), "cache_control");
                encode_tool(tool, function.strict_for(Strictness::Whole, dropped))
            }
            Tool::Other { of: HERE, .. } => encode_tool(tool, None),
            Tool::Other { of, name, .. } => {
                let reason = format!("the tool `{name}` runs at providers that speak {of}");
                return Err(Unsupported::new(format!("tools[{at}]"), HERE, reason));
            }
        });
    }
    Ok(wire)
}

/// Functions are strict here unless told otherwise, and need not be elsewhere: what the client did not say is said.
pub(super) fn encode_tool(tool: &Tool, strict: Option<bool>) -> WireTool<'_> {
    match tool {
        Tool::Function(function) => WireTool::Function {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_ref(),
            strict: strict.or(Some(false)),
        },
        Tool::Other { json, .. } => WireTool::Other(json),
    }
}

pub(super) fn encode_choice(choice: &ToolChoice) -> WireChoice<'_> {
    match choice {
        ToolChoice::Auto => WireChoice::Word("auto"),
        ToolChoice::None => WireChoice::Word("none"),
        ToolChoice::Required => WireChoice::Word("required"),
        ToolChoice::Named(name) => WireChoice::Named(NamedTool { name }),
        ToolChoice::Allowed { required, names } => WireChoice::Allowed {
            kind: "allowed_tools",
            mode: if *required { "required" } else { "auto" },
            tools: names.iter().map(|name| NamedTool { name }).collect(),
        },
    }
}

pub(super) fn encode_text(format: &ResponseFormat) -> WireText<'_> {
    let format = match format {
        ResponseFormat::Text => WireFormat::Text,
        ResponseFormat::JsonObject => WireFormat::JsonObject,
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            WireFormat::JsonSchema { name, description: description.as_deref(), schema, strict: *strict }
        }
    };
    WireText { format }
}

/// A budget becomes the effort that thinks about as much, and is named as changed.
pub(super) fn encode_reasoning(wanted: &Reasoning, model: &str, dropped: &mut Dropped) -> Option<WireReasoning> {
    let effort = effort::effort(wanted, model, dropped);
    let summary = (wanted.show == Some(true) && !effort::never_thinks(model)).then_some("auto");
    Some(WireReasoning { effort, summary }).filter(|told| told.effort.is_some() || told.summary.is_some())
}
