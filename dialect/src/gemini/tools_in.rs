//! `tools` and `toolConfig` of a client.

use std::collections::BTreeMap;

use crate::canonical::{Function, Tool, ToolChoice};
use crate::json::{DecodeError, Item};
use crate::{Dropped, Json};

use super::fields::Fields;
use super::request_in::add;
use super::{HERE, schema};

/// One of `tools`, which may hold many functions and tools of Google's.
pub(super) fn decode_tools(item: Item<'_>, tools: &mut Vec<Tool>, unread: &mut Dropped) -> Result<(), DecodeError> {
    let mut fields = Fields::of(item)?;
    for item in fields.list("functionDeclarations")? {
        tools.push(Tool::Function(function(item, unread)?));
    }
    for (name, json) in fields.rest() {
        let json = Json::of(&BTreeMap::from([(&name, json)]));
        tools.push(Tool::Other { of: HERE, name, json });
    }
    Ok(())
}

fn function(item: Item<'_>, unread: &mut Dropped) -> Result<Function, DecodeError> {
    let mut fields = Fields::of(item)?;
    let name = fields.need("name")?.string()?;
    let description = fields.string("description")?;
    let google = fields.take("parameters")?;
    let parameters = match (fields.take("parametersJsonSchema")?, google) {
        (Some(json), _) if json.is_object() => Some(json.json()),
        (Some(json), _) => return Err(json.expected("a JSON schema: an object")),
        (None, Some(google)) => Some(schema::to_json_schema(google)?),
        (None, None) => None,
    };
    for key in fields.rest().keys() {
        unread.note(format!("functionDeclarations.{key}"));
    }
    Ok(Function { name, description, parameters, strict: None, cache: None })
}

/// `VALIDATED` is `AUTO` with arguments held to their schema.
pub(super) fn decode_config(
    mut config: Fields<'_>,
    extra: &mut BTreeMap<String, Json>,
    unread: &mut Dropped,
) -> Result<Option<ToolChoice>, DecodeError> {
    let mut choice = None;
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        let mode = calling.take("mode")?;
        let mut names = calling.strings("allowedFunctionNames")?;
        choice = match mode.as_ref().map(|mode| mode.string()).transpose()?.unwrap_or_default().as_str() {
            "" | "MODE_UNSPECIFIED" => None,
            "AUTO" | "VALIDATED" if names.is_empty() => Some(ToolChoice::Auto),
            "AUTO" | "VALIDATED" => Some(ToolChoice::Allowed { required: false, names }),
            "ANY" if names.is_empty() => Some(ToolChoice::Required),
            "ANY" if names.len() == 1 => names.pop().map(ToolChoice::Named),
            "ANY" => Some(ToolChoice::Allowed { required: true, names }),
            "NONE" => Some(ToolChoice::None),
            _ => {
                let place = calling.place("mode");
                return Err(DecodeError::wrong(place, "AUTO, ANY, NONE or VALIDATED"));
            }
        };
        add(extra, "toolConfig.functionCallingConfig.", calling.rest(), unread);
    }
    add(extra, "toolConfig.", config.rest(), unread);
    Ok(choice)
}
