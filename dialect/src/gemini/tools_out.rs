//! `tools` and `toolConfig` for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{Tool, ToolChoice};
use crate::{Dropped, Json, Unsupported};

use super::HERE;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireTool<'a> {
    #[serde(rename_all = "camelCase")]
    Functions {
        function_declarations: Vec<WireFunction<'a>>,
    },
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_calling_config: Option<WireCalling<'a>>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Json>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireCalling<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allowed_function_names: &'a [String],
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Json>,
}

/// Functions in one tool, in front; Google's own tools behind them.
pub(super) fn encode_tools<'a>(tools: &'a [Tool], dropped: &mut Dropped) -> Result<Vec<WireTool<'a>>, Unsupported> {
    let (mut functions, mut others) = (Vec::new(), Vec::new());
    for (at, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                dropped.note_if(function.strict == Some(true), "tools.strict");
                dropped.note_if(function.cache.is_some(), "cache_control");
                functions.push(WireFunction {
                    name: &function.name,
                    description: function.description.as_deref(),
                    parameters_json_schema: function.parameters.as_ref(),
                });
            }
            Tool::Other { of: HERE, json, .. } => others.push(WireTool::Other(json)),
            Tool::Other { of, name, .. } => {
                let reason = format!("the tool `{name}` runs at providers that speak {of}");
                return Err(Unsupported::new(format!("tools[{at}]"), HERE, reason));
            }
        }
    }
    let functions =
        (!functions.is_empty()).then_some(WireTool::Functions { function_declarations: functions }).into_iter();
    Ok(functions.chain(others).collect())
}

/// `extra` without `toolConfig.` in front. `None` if there is nothing to say.
pub(super) fn encode_config<'a>(
    choice: Option<&'a ToolChoice>,
    extra: &BTreeMap<&'a str, &'a Json>,
) -> Option<WireConfig<'a>> {
    let (mut calling, mut config) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in extra {
        match key.strip_prefix("functionCallingConfig.") {
            Some(key) => calling.insert(key, *value),
            None => config.insert(*key, *value),
        };
    }
    let (mode, names): (_, &[String]) = match choice {
        None => (None, &[]),
        Some(ToolChoice::Auto) => (Some("AUTO"), &[]),
        Some(ToolChoice::None) => (Some("NONE"), &[]),
        Some(ToolChoice::Required) => (Some("ANY"), &[]),
        Some(ToolChoice::Named(name)) => (Some("ANY"), std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { required: true, names }) => (Some("ANY"), names),
        Some(ToolChoice::Allowed { required: false, names }) => (Some("VALIDATED"), names),
    };
    let function_calling_config = (mode.is_some() || !calling.is_empty()).then_some(WireCalling {
        mode,
        allowed_function_names: names,
        extra: calling,
    });
    let config = WireConfig { function_calling_config, extra: config };
    (config.function_calling_config.is_some() || !config.extra.is_empty()).then_some(config)
}
