//! Tools, the choice among them, and the form of the answer, on their way to a provider.

use serde::Serialize;

use crate::canonical::{ResponseFormat, Strictness, Tool, ToolChoice};
use crate::{Dialect, Dropped, Json, Unsupported};

use super::Target;
use super::parts::{WireCache, encode_cache};

const HERE: Dialect = Dialect::OpenAiChat;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireTool<'a> {
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
pub(super) struct WireFunction<'a> {
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
pub(super) struct NamedTool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Name<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireChoice<'a> {
    Word(&'static str),
    Named(NamedTool<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        allowed_tools: AllowedTools<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct AllowedTools<'a> {
    mode: &'static str,
    tools: Vec<NamedTool<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct WireFormat<'a> {
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

pub(super) fn encode_tool<'a>(
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
                strict: function.strict_for(Strictness::Whole, dropped),
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

pub(super) fn encode_choice(choice: &ToolChoice) -> WireChoice<'_> {
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

pub(super) fn encode_format(format: &ResponseFormat) -> WireFormat<'_> {
    match format {
        ResponseFormat::Text => WireFormat { kind: "text", json_schema: None },
        ResponseFormat::JsonObject => WireFormat { kind: "json_object", json_schema: None },
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let json_schema = WireSchema { name, description: description.as_deref(), schema, strict: *strict };
            WireFormat { kind: "json_schema", json_schema: Some(json_schema) }
        }
    }
}
