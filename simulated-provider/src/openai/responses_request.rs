//! A request for a response.

use serde_json::{Map, Value};

use super::missing;
use crate::asked::{Asked, Choice, Conversation, Role, Wants};
use crate::error::ApiError;
use crate::value::{self, is_true, list, number, string, text};

pub(super) fn read(body: &Map<String, Value>) -> Result<Asked<'static>, ApiError> {
    let model = value::model(body)?;
    let mut conversation = Conversation::default();
    for tool in list(body.get("tools")) {
        if string(tool.get("type")) == "function" {
            match string(tool.get("name")) {
                "" => return Err(missing("tools[0].name")),
                name => conversation.tools.push(name.to_owned()),
            }
        }
    }
    conversation.choice = match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => Choice::Never,
        Some(Value::String(choice)) if choice == "required" => Choice::Any,
        Some(Value::Object(named)) if named.contains_key("name") => Choice::Named(string(named.get("name")).to_owned()),
        _ => Choice::Auto,
    };
    if let Some(instructions) = body.get("instructions").and_then(Value::as_str) {
        conversation.say(Role::System, instructions.to_owned());
    }
    match body.get("input") {
        Some(Value::String(input)) => conversation.say(Role::User, input.clone()),
        Some(Value::Array(items)) => {
            for item in items {
                let (role, text) = said(item)?;
                conversation.say(role, text);
            }
        }
        _ => {}
    }
    if conversation.is_empty() {
        return Err(missing("input"));
    }
    let format = body.get("text").and_then(|text| text.get("format"));
    let wants = match string(format.and_then(|format| format.get("type"))) {
        "json_object" => Wants::JsonObject,
        "json_schema" => match format.and_then(|format| format.get("schema")) {
            Some(schema) => Wants::JsonSchema(schema.to_string().into()),
            None => return Err(missing("text.format.schema")),
        },
        _ => Wants::Text,
    };
    let mut asked = conversation.asked(model, wants);
    if let Wants::Calls { calls, .. } = &mut asked.wants
        && body.get("parallel_tool_calls") == Some(&Value::Bool(false))
    {
        calls.truncate(1);
    }
    asked.stream = is_true(body.get("stream"));
    asked.max_tokens = number(body.get("max_output_tokens"));
    let included = value::strings(body.get("include"));
    asked.logprobs = included.iter().any(|field| field == "message.output_text.logprobs");
    asked.think = body.get("reasoning").is_some_and(|reasoning| reasoning.get("summary").is_some_and(Value::is_string));
    Ok(asked)
}

fn said(item: &Value) -> Result<(Role, String), ApiError> {
    match (string(item.get("type")), string(item.get("role"))) {
        ("function_call_output", _) => Ok((Role::Tool, text(item.get("output")))),
        ("" | "message", "user") => Ok((Role::User, text(item.get("content")))),
        ("" | "message", "assistant") => Ok((Role::Assistant, text(item.get("content")))),
        ("" | "message", "system" | "developer") => Ok((Role::System, text(item.get("content")))),
        ("" | "message", role) => {
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            );
            Err(ApiError::invalid(message, Some("input[0]"), Some("invalid_value")))
        }
        _ => Ok((Role::Assistant, String::new())),
    }
}
