//! `toolConfig` and `outputConfig` as they go.

use serde::Serialize;

use crate::canonical::{ChatRequest, Content, ResponseFormat, Strictness, Tool, ToolChoice};
use crate::{Dropped, Json, Unsupported, anthropic};

use super::blocks_out::{WireCachePoint, cache_point};
use super::{HERE, is_claude};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireToolConfig<'a> {
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum WireTool<'a> {
    ToolSpec(WireSpec<'a>),
    CachePoint(WireCachePoint<'a>),
    #[serde(untagged)]
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireSpec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: WireInputSchema,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct WireInputSchema {
    json: Json,
}

#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum WireChoice<'a> {
    Auto(Empty),
    Any(Empty),
    Tool { name: &'a str },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireOutputConfig<'a> {
    text_format: WireFormat<'a>,
}

#[derive(Debug, Serialize)]
struct WireFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: WireStructure<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireStructure<'a> {
    json_schema: WireSchema<'a>,
}

#[derive(Debug, Serialize)]
struct WireSchema<'a> {
    schema: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// A function that takes nothing still has a schema here.
fn no_parameters() -> Json {
    Json::of(&serde_json::json!({"properties": {}, "type": "object"}))
}

/// The tools and the choice among them; `None` where no tools go. Bedrock has no choice `none`: the tools are left out
/// then, which it does not take once the conversation holds calls.
pub(super) fn encode_tools<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<Option<WireToolConfig<'a>>, Unsupported> {
    dropped.note_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    let offered = match &request.tool_choice {
        Some(ToolChoice::None) => &[][..],
        _ => request.tools.as_slice(),
    };
    let choice = request.tool_choice.as_ref();
    let claude = claude(request);
    let mut tools = Vec::with_capacity(offered.len());
    for (at, tool) in offered.iter().enumerate() {
        match tool {
            Tool::Function(function) if choice.is_none_or(|choice| choice.allows(&function.name)) => {
                tools.push(WireTool::ToolSpec(WireSpec {
                    name: &function.name,
                    description: function.description.as_deref(),
                    input_schema: WireInputSchema { json: function.parameters.clone().unwrap_or_else(no_parameters) },
                    strict: match claude {
                        Some(target) => target.strict(function, dropped),
                        None => function.strict_for(Strictness::Closed, dropped),
                    },
                }));
                tools.extend(function.cache.as_ref().map(|mark| WireTool::CachePoint(cache_point(mark))));
            }
            Tool::Function(_) => {}
            Tool::Other { of: HERE, json, .. } => tools.push(WireTool::Other(json)),
            Tool::Other { of, name, .. } => {
                let reason = format!("the tool `{name}` runs at providers that speak {of}");
                return Err(Unsupported::new(format!("tools[{at}]"), HERE, reason));
            }
        }
    }
    if tools.is_empty() {
        if has_calls(request) {
            let reason = "a conversation that holds tool calls must offer tools, and let the model choose";
            return Err(Unsupported::new("tools", HERE, reason));
        }
        return Ok(None);
    }
    if choice.is_some_and(ToolChoice::is_forced) && claude.is_some_and(|target| !target.forced_calls) {
        return Err(Unsupported::new("tool_choice", HERE, anthropic::NOT_FORCED));
    }
    let tool_choice = match choice {
        Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => Some(WireChoice::Auto(Empty {})),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => Some(WireChoice::Any(Empty {})),
        Some(ToolChoice::Named(name)) => Some(WireChoice::Tool { name }),
        Some(ToolChoice::None) | None => None,
    };
    Ok(Some(WireToolConfig { tools, tool_choice }))
}

fn has_calls(request: &ChatRequest) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part.content, Content::ToolCall { .. } | Content::ToolResult { .. }))
}

/// Which Claude it is, if it is one.
fn claude(request: &ChatRequest) -> Option<anthropic::Target> {
    is_claude(&request.model).then(|| anthropic::Target::for_model(&request.model))
}

/// Only schemas: there is no way to ask for any JSON object, and clients that do must ask for JSON in words, too.
pub(super) fn encode_format<'a>(
    request: &'a ChatRequest,
    dropped: &mut Dropped,
) -> Result<Option<WireOutputConfig<'a>>, Unsupported> {
    match &request.response_format {
        None | Some(ResponseFormat::Text) => Ok(None),
        Some(ResponseFormat::JsonObject) => {
            dropped.note("response_format");
            Ok(None)
        }
        Some(ResponseFormat::JsonSchema { .. }) if claude(request).is_some_and(|target| !target.structured_output) => {
            Err(Unsupported::new("response_format", HERE, "the model cannot be held to a schema"))
        }
        Some(ResponseFormat::JsonSchema { name, description, schema, strict }) => {
            // The model is always held to it.
            dropped.note_if(*strict == Some(false), "response_format.strict");
            let json_schema = WireSchema { schema: schema.compact(), name, description: description.as_deref() };
            let text_format = WireFormat { kind: "json_schema", structure: WireStructure { json_schema } };
            Ok(Some(WireOutputConfig { text_format }))
        }
    }
}
