//! A v2 chat request.

use serde_json::{Map, Value};

use crate::asked::{Asked, Choice, Conversation, Role, Wants};
use crate::error::ApiError;
use crate::value::{is_true, list, model, number, string, strings, text};

pub(super) fn read(body: &Map<String, Value>) -> Result<Asked<'static>, ApiError> {
    let mut conversation = Conversation::default();
    for tool in list(body.get("tools")) {
        match string(tool.pointer("/function/name")) {
            "" => return Err(invalid("invalid request: tools[0].function.name is required")),
            name => conversation.tools.push(name.to_owned()),
        }
    }
    conversation.choice = match string(body.get("tool_choice")) {
        "" => Choice::Auto,
        "REQUIRED" => Choice::Any,
        "NONE" => Choice::Never,
        other => return Err(invalid(format!("invalid request: tool_choice must be REQUIRED or NONE, not {other}"))),
    };
    for message in list(body.get("messages")) {
        let role = match string(message.get("role")) {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" if string(message.get("tool_call_id")).is_empty() => {
                return Err(invalid("invalid request: tool messages must have a tool_call_id"));
            }
            "tool" => Role::Tool,
            other => return Err(invalid(format!("invalid request: unknown role '{other}'"))),
        };
        conversation.say(role, text(message.get("content")));
    }
    if conversation.is_empty() {
        return Err(invalid("invalid request: messages must be specified and not empty"));
    }
    let format = body.get("response_format");
    let schema = format.and_then(|format| format.get("json_schema").or(format.get("schema")));
    let json = string(format.and_then(|format| format.get("type"))) == "json_object";
    let wants = match schema.filter(|schema| json && schema.is_object()) {
        Some(schema) => Wants::JsonSchema(schema.to_string().into()),
        None if json => Wants::JsonObject,
        None => Wants::Text,
    };
    let mut asked = conversation.asked(model(body)?, wants);
    asked.stream = is_true(body.get("stream"));
    asked.max_tokens = number(body.get("max_tokens")).filter(|most| *most > 0);
    asked.stop = strings(body.get("stop_sequences"));
    asked.logprobs = is_true(body.get("logprobs"));
    asked.think = string(body.get("thinking").and_then(|thinking| thinking.get("type"))) == "enabled";
    Ok(asked)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message, None, None)
}
