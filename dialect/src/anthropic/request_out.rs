//! A request for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Message, ResponseFormat, Role, Tool, ToolChoice};
use crate::json;
use crate::{Dropped, Json, Unsupported};

use super::HERE;
use super::Target;
use super::blocks_out::{WireBlock, WireCache, WireContent, content_of, encode_cache, encode_part};
use super::thinking::{Plan, WireThinking, plan};

#[derive(Debug, Serialize)]
pub(super) struct WireRequest<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<WireContent<'a>>,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<WireThinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<bool>,
    #[serde(flatten)]
    pub(super) extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: WireContent<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireTool<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Schema<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<WireCache<'a>>,
    },
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a Json),
    /// A schema is demanded.
    Nothing {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: BTreeMap<String, ()>,
    },
}

#[derive(Debug, Serialize)]
struct WireChoice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a Json,
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata<'a> {
    user_id: &'a str,
}

/// The body, with the habits that the model's name tells.
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    encode_request_for(request, Target::for_model(&request.model), dropped)
}

/// The body for a model with the habits of `target`.
pub fn encode_request_for(
    request: &ChatRequest,
    target: Target,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Unsupported> {
    wire(request, target, dropped).map(|wire| json::bytes(&wire))
}

pub(super) fn wire<'a>(
    request: &'a ChatRequest,
    target: Target,
    dropped: &mut Dropped,
) -> Result<WireRequest<'a>, Unsupported> {
    if request.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::new("n", HERE, "there is one answer to a request"));
    }
    dropped.absorb(&request.unread);
    dropped.note_if(request.seed.is_some(), "seed");
    dropped.note_if(request.presence_penalty.is_some(), "presence_penalty");
    dropped.note_if(request.frequency_penalty.is_some(), "frequency_penalty");
    dropped.note_if(request.logprobs.is_some(), "logprobs");
    dropped.note_if(!request.metadata.is_empty(), "metadata");
    let plan = plan(request, target, dropped);
    let (temperature, top_p, top_k) = sampling(request, target, &plan, dropped);
    let (system, messages) = messages(&request.messages, target, dropped)?;
    let tools = tools(request, target, dropped)?;
    let tool_choice = tool_choice(request, target, dropped)?;
    let format = format(request.response_format.as_ref(), target, dropped)?;
    let stop_sequences: Vec<&str> =
        request.stop.iter().map(String::as_str).filter(|stop| !stop.trim().is_empty()).collect();
    dropped.note_if(stop_sequences.len() < request.stop.len(), "stop");
    let output = plan.effort.is_some() || format.is_some();
    Ok(WireRequest {
        model: &request.model,
        max_tokens: Some(plan.max_tokens),
        system,
        messages,
        tools,
        tool_choice,
        thinking: plan.thinking,
        output_config: output.then_some(OutputConfig { effort: plan.effort, format }),
        temperature,
        top_p,
        top_k,
        stop_sequences,
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        stream: request.stream.then_some(true),
        extra: request.extra.for_target(HERE, dropped),
    })
}

/// Temperature ends at 1. Thinking, and the newer models, take no sampling parameters.
pub(crate) fn sampling(
    request: &ChatRequest,
    target: Target,
    plan: &Plan,
    dropped: &mut Dropped,
) -> (Option<f64>, Option<f64>, Option<u64>) {
    if plan.thinks() || !target.sampling {
        dropped.note_if(request.temperature.is_some_and(|temperature| temperature != 1.0), "temperature");
        dropped.note_if(request.top_p.is_some_and(|top_p| top_p != 1.0), "top_p");
        dropped.note_if(request.top_k.is_some(), "top_k");
        return (None, None, None);
    }
    let temperature = request.temperature.map(|temperature| {
        dropped.note_if(temperature > 1.0, "temperature");
        temperature.min(1.0)
    });
    let both = temperature.is_some() && request.top_p.is_some() && !target.both_samplings;
    dropped.note_if(both, "top_p");
    (temperature, request.top_p.filter(|_| !both), request.top_k)
}

type System<'a> = Option<WireContent<'a>>;

fn messages<'a>(
    messages: &'a [Message],
    target: Target,
    dropped: &mut Dropped,
) -> Result<(System<'a>, Vec<WireMessage<'a>>), Unsupported> {
    let mut system = Vec::new();
    let mut turns: Vec<(&'static str, Vec<WireBlock<'a>>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        dropped.note_if(message.name.is_some(), "messages.name");
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (inner, part) in message.parts.iter().enumerate() {
            blocks.extend(encode_part(part, &format!("messages[{at}].content[{inner}]"), dropped)?);
        }
        if blocks.is_empty() {
            continue;
        }
        let role = match message.role {
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
            Role::System | Role::Developer => {
                if message.parts.iter().any(|part| part.as_text().is_none()) {
                    return Err(Unsupported::new(format!("messages[{at}]"), HERE, "a system message holds text alone"));
                }
                if turns.is_empty() || !target.system_in_place {
                    dropped.note_if(!turns.is_empty(), "messages.system.position");
                    system.extend(blocks);
                    continue;
                }
                "system"
            }
        };
        match turns.last_mut() {
            Some((last, before)) if *last == role => before.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let system = (!system.is_empty()).then(|| content_of(system));
    let turns = turns.into_iter().map(|(role, blocks)| WireMessage { role, content: content_of(blocks) });
    Ok((system, turns.collect()))
}

fn tools<'a>(
    request: &'a ChatRequest,
    target: Target,
    dropped: &mut Dropped,
) -> Result<Vec<WireTool<'a>>, Unsupported> {
    let mut wire = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let name = match tool {
            Tool::Function(function) => &function.name,
            Tool::Other { name, .. } => name,
        };
        if request.tool_choice.as_ref().is_some_and(|choice| !choice.allows(name)) {
            continue;
        }
        wire.push(match tool {
            Tool::Function(function) => {
                let strict = target.strict(function, dropped);
                WireTool::Function {
                    name: &function.name,
                    description: function.description.as_deref(),
                    input_schema: function
                        .parameters
                        .as_ref()
                        .map_or_else(|| Schema::Nothing { kind: "object", properties: BTreeMap::new() }, Schema::Given),
                    strict,
                    cache_control: encode_cache(function.cache.as_ref(), dropped),
                }
            }
            Tool::Other { of: HERE, json, .. } => WireTool::Other(json),
            Tool::Other { of, name, .. } => {
                let reason = format!("the tool `{name}` runs at providers that speak {of}");
                return Err(Unsupported::new(format!("tools[{at}]"), HERE, reason));
            }
        });
    }
    Ok(wire)
}

/// Not being parallel is said inside the choice.
fn tool_choice<'a>(
    request: &'a ChatRequest,
    target: Target,
    dropped: &mut Dropped,
) -> Result<Option<WireChoice<'a>>, Unsupported> {
    let forced = request.tool_choice.as_ref().is_some_and(ToolChoice::is_forced);
    if request.tools.is_empty() {
        dropped.note_if(forced, "tool_choice");
        return Ok(None);
    }
    if forced && !target.forced_calls {
        return Err(Unsupported::new("tool_choice", HERE, NOT_FORCED));
    }
    let one_by_one = (request.parallel_tool_calls == Some(false)).then_some(true);
    let (kind, name) = match &request.tool_choice {
        None if one_by_one.is_none() => return Ok(None),
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
        Some(ToolChoice::None) => {
            return Ok(Some(WireChoice { kind: "none", name: None, disable_parallel_tool_use: None }));
        }
    };
    Ok(Some(WireChoice { kind, name, disable_parallel_tool_use: one_by_one }))
}

/// Why a forced call is refused.
pub(crate) const NOT_FORCED: &str =
    "the model always thinks and cannot be made to call; leave the choice to it (`auto`)";

fn format<'a>(
    format: Option<&'a ResponseFormat>,
    target: Target,
    dropped: &mut Dropped,
) -> Result<Option<Format<'a>>, Unsupported> {
    match format {
        None | Some(ResponseFormat::Text) => Ok(None),
        // There is no such mode; clients that ask for it must ask for JSON in words, too.
        Some(ResponseFormat::JsonObject) => {
            dropped.note("response_format");
            Ok(None)
        }
        Some(ResponseFormat::JsonSchema { .. }) if !target.structured_output => {
            Err(Unsupported::new("response_format", HERE, "the model cannot be held to a schema"))
        }
        Some(ResponseFormat::JsonSchema { schema, .. }) => Ok(Some(Format { kind: "json_schema", schema })),
    }
}
