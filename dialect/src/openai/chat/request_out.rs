//! A request for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{
    ChatRequest, Content, Effort, Message, Reasoning, ResponseFormat, Role, ThinkingMode, Tool, ToolChoice,
};
use crate::json;
use crate::{Dialect, Dropped, Json, Unsupported};

use super::Target;
use super::parts::{WireCache, WireContent, WirePart, content_of, encode_cache, encode_part};
use super::thinking::{Called, FunctionCall, WireCall};

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

#[derive(Debug, Default, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireFunction<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<WireCache<'a>>,
    },
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct NamedTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Name<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireChoice<'a> {
    Word(&'static str),
    Named(NamedTool<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        allowed_tools: AllowedTools<'a>,
    },
}

#[derive(Debug, Serialize)]
struct AllowedTools<'a> {
    mode: &'static str,
    tools: Vec<NamedTool<'a>>,
}

#[derive(Debug, Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<WireSchema<'a>>,
}

#[derive(Debug, Serialize)]
struct WireSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
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
        messages: Messages { target, dropped, wire: Vec::new(), shown: Vec::new() }.encode(&request.messages)?,
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
        reasoning_effort: request.reasoning.as_ref().and_then(|wanted| effort(wanted, dropped)),
        user: request.user.as_deref(),
        metadata: &request.metadata,
        stream: request.stream.then_some(true),
        stream_options: (request.stream && request.include_usage).then_some(StreamOptions { include_usage: true }),
        extra: request.extra.for_target(HERE, dropped),
    }))
}

/// A budget becomes the effort that thinks about as much, and is named as changed.
fn effort(wanted: &Reasoning, dropped: &mut Dropped) -> Option<&'static str> {
    dropped.note_if(wanted.show.is_some(), "thinking.display");
    let effort = wanted.effort.or_else(|| match wanted.mode? {
        ThinkingMode::Off => Some(Effort::None),
        ThinkingMode::Adaptive => None,
        ThinkingMode::Budget(tokens) => {
            dropped.note("thinking.budget_tokens");
            Some(Effort::of_budget(tokens))
        }
    });
    effort.map(Effort::name)
}

fn encode_tool<'a>(
    tool: &'a Tool,
    at: usize,
    target: Target,
    dropped: &mut Dropped,
) -> Result<WireTool<'a>, Unsupported> {
    match tool {
        Tool::Function(function) => Ok(WireTool::Function {
            kind: "function",
            function: WireFunction {
                name: &function.name,
                description: function.description.as_deref(),
                parameters: function.parameters.as_ref(),
                strict: function.strict,
            },
            cache_control: encode_cache(function.cache.as_ref(), target, dropped),
        }),
        Tool::Other { of: HERE, json, .. } => Ok(WireTool::Other(json)),
        Tool::Other { of, name, .. } => {
            let reason = format!("the tool `{name}` runs at providers that speak {of}");
            Err(Unsupported::new(format!("tools[{at}]"), HERE, reason))
        }
    }
}

fn encode_choice(choice: &ToolChoice) -> WireChoice<'_> {
    fn named(name: &str) -> NamedTool<'_> {
        NamedTool { kind: "function", function: Name { name } }
    }
    match choice {
        ToolChoice::Auto => WireChoice::Word("auto"),
        ToolChoice::None => WireChoice::Word("none"),
        ToolChoice::Required => WireChoice::Word("required"),
        ToolChoice::Named(name) => WireChoice::Named(named(name)),
        ToolChoice::Allowed { required, names } => WireChoice::Allowed {
            kind: "allowed_tools",
            allowed_tools: AllowedTools {
                mode: if *required { "required" } else { "auto" },
                tools: names.iter().map(|name| named(name)).collect(),
            },
        },
    }
}

fn encode_format(format: &ResponseFormat) -> WireFormat<'_> {
    match format {
        ResponseFormat::Text => WireFormat { kind: "text", json_schema: None },
        ResponseFormat::JsonObject => WireFormat { kind: "json_object", json_schema: None },
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let json_schema = WireSchema { name, description: description.as_deref(), schema, strict: *strict };
            WireFormat { kind: "json_schema", json_schema: Some(json_schema) }
        }
    }
}

/// Messages on their way out.
struct Messages<'a, 'd> {
    target: Target,
    dropped: &'d mut Dropped,
    wire: Vec<WireMessage<'a>>,
    /// Images and files of tool results, which a `tool` message cannot hold: a user message shows them behind the results.
    shown: Vec<WirePart<'a>>,
}

impl<'a> Messages<'a, '_> {
    fn encode(mut self, messages: &'a [Message]) -> Result<Vec<WireMessage<'a>>, Unsupported> {
        for (at, message) in messages.iter().enumerate() {
            if message.role == Role::Tool {
                self.results(message, at)?;
                continue;
            }
            self.show();
            match message.role {
                Role::Assistant => self.assistant(message, at)?,
                Role::User => self.said("user", message, at)?,
                Role::Developer if self.target.developer_role => self.said("developer", message, at)?,
                Role::System | Role::Developer | Role::Tool => self.said("system", message, at)?,
            }
        }
        self.show();
        Ok(self.wire)
    }

    fn show(&mut self) {
        if !self.shown.is_empty() {
            let parts = std::mem::take(&mut self.shown);
            self.wire.push(WireMessage { role: "user", content: content_of(parts), ..WireMessage::default() });
        }
    }

    fn said(&mut self, role: &'static str, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        let mut parts = Vec::with_capacity(message.parts.len());
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            parts.push(encode_part(part, &place, self.target, self.dropped)?);
        }
        let content = content_of(parts).or(Some(WireContent::Text("".into())));
        self.wire.push(WireMessage { role, content, name: message.name.as_deref(), ..WireMessage::default() });
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        let mut wire = WireMessage { role: "assistant", name: message.name.as_deref(), ..WireMessage::default() };
        let mut said = Vec::new();
        let mut thoughts = String::new();
        let refusals = message.parts.iter().filter(|part| matches!(part.content, Content::Refusal(_))).count();
        for (place, part) in message.parts.iter().enumerate() {
            match &part.content {
                Content::ToolCall { id, name, arguments } => {
                    self.dropped.note_if(part.signature.is_some(), "thought_signature");
                    self.dropped.note_if(part.cache.is_some(), "cache_control");
                    wire.tool_calls.push(WireCall::Function(FunctionCall {
                        id,
                        kind: "function",
                        function: Called { name, arguments },
                        extra_content: None,
                    }));
                }
                Content::Other { of: HERE, json } if is_call(json) => wire.tool_calls.push(WireCall::Other(json)),
                Content::Thinking { text } if self.target.reasoning_content => thoughts.push_str(text),
                Content::Thinking { .. } | Content::RedactedThinking { .. } => self.dropped.note("thinking"),
                // A lone refusal has its own field; among texts it is one of the pieces.
                Content::Refusal(text) if refusals == 1 && said.is_empty() => wire.refusal = Some(text),
                _ => {
                    let place = format!("messages[{at}].content[{place}]");
                    said.push(encode_part(part, &place, self.target, self.dropped)?);
                }
            }
        }
        wire.reasoning_content = (!thoughts.is_empty()).then_some(thoughts);
        wire.content = content_of(said);
        if wire.content.is_none() && wire.tool_calls.is_empty() && wire.refusal.is_none() {
            wire.content = Some(WireContent::Text("".into()));
        }
        self.wire.push(wire);
        Ok(())
    }

    fn results(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                return Err(Unsupported::new(place, HERE, "a tool message holds tool results alone"));
            };
            self.dropped.note_if(*is_error, "tool_result.is_error");
            let mut told = Vec::new();
            for (inner, part) in parts.iter().enumerate() {
                let wire = encode_part(part, &format!("{place}.content[{inner}]"), self.target, self.dropped)?;
                if matches!(part.content, Content::Text(_)) {
                    told.push(wire);
                } else {
                    self.dropped.note("tool_result.position");
                    self.shown.push(wire);
                }
            }
            let content = content_of(told).or(Some(WireContent::Text("".into())));
            let cache_control = encode_cache(part.cache.as_ref(), self.target, self.dropped);
            let tool_call_id = Some(call_id.as_str());
            self.wire.push(WireMessage {
                role: "tool",
                content,
                tool_call_id,
                cache_control,
                ..WireMessage::default()
            });
        }
        Ok(())
    }
}

/// Whether a piece of OpenAI's own is one of `tool_calls` (a custom tool's) and not of `content`.
fn is_call(json: &Json) -> bool {
    json.to_value().get("custom").is_some()
}
