//! A Converse request.

use serde_json::{Map, Value};

use crate::asked::{Asked, Choice, Conversation, Role, Wants};
use crate::error::ApiError;
use crate::value::{list, number, string, strings};

pub(super) fn read(body: &Map<String, Value>, model: String) -> Result<Asked<'static>, ApiError> {
    let config = body.get("inferenceConfig");
    let format = body.get("outputConfig").and_then(|config| config.get("textFormat"));
    let wants = match format.and_then(|format| format.pointer("/structure/jsonSchema/schema")) {
        // The schema is a text in this dialect.
        Some(schema) => Wants::JsonSchema(string(Some(schema)).to_owned().into()),
        None => Wants::Text,
    };
    let mut asked = conversation(body)?.asked(model, wants);
    asked.max_tokens = number(config.and_then(|config| config.get("maxTokens")));
    if asked.max_tokens == Some(0) {
        let message = "1 validation error detected: Value at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1";
        return Err(invalid(message));
    }
    asked.stop = strings(config.and_then(|config| config.get("stopSequences")));
    let thinking = body.get("additionalModelRequestFields").and_then(|fields| fields.get("thinking"));
    asked.think = matches!(string(thinking.and_then(|thinking| thinking.get("type"))), "enabled" | "adaptive");
    Ok(asked)
}

pub(super) fn count(body: &Map<String, Value>, model: String) -> Result<Asked<'static>, ApiError> {
    let converse = body.get("input").and_then(|input| input.get("converse")).and_then(Value::as_object);
    let converse = converse.ok_or_else(|| invalid("The input must hold a converse request."))?;
    Ok(conversation(converse)?.asked(model, Wants::Text))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message, None, None)
}

fn conversation(body: &Map<String, Value>) -> Result<Conversation, ApiError> {
    let mut conversation = Conversation::default();
    let tools = body.get("toolConfig");
    for tool in list(tools.and_then(|config| config.get("tools"))) {
        if let Some(spec) = tool.get("toolSpec") {
            if !spec.pointer("/inputSchema/json").is_some_and(Value::is_object) {
                return Err(invalid("The value at toolConfig.tools.0.toolSpec.inputSchema.json is invalid."));
            }
            conversation.tools.push(string(spec.get("name")).to_owned());
        }
    }
    let choice = tools.and_then(|config| config.get("toolChoice"));
    if let Some(tool) = choice.and_then(|choice| choice.get("tool")) {
        conversation.choice = Choice::Named(string(tool.get("name")).to_owned());
    } else if choice.is_some_and(|choice| choice.get("any").is_some()) {
        conversation.choice = Choice::Any;
    }
    let system: String = list(body.get("system")).iter().map(|block| string(block.get("text"))).collect();
    if !system.is_empty() {
        conversation.say(Role::System, system);
    }
    let mut before = None;
    for (index, message) in list(body.get("messages")).iter().enumerate() {
        let role = match string(message.get("role")) {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                return Err(invalid(format!(
                    "1 validation error detected: Value at 'messages.{index}.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]"
                )));
            }
        };
        if before.is_none() && role != Role::User {
            return Err(invalid(
                "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
            ));
        }
        if before.replace(role) == Some(role) {
            return Err(invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
            ));
        }
        let (text, is_result) = content(index, message, tools.is_some())?;
        conversation.say(if is_result { Role::Tool } else { role }, text);
    }
    if before.is_none() {
        return Err(invalid(
            "1 validation error detected: Value at 'messages' failed to satisfy constraint: Member must not be empty",
        ));
    }
    Ok(conversation)
}

/// A message's text, and whether it is a tool's result.
fn content(index: usize, message: &Value, has_tools: bool) -> Result<(String, bool), ApiError> {
    let blocks = match message.get("content") {
        Some(Value::Array(blocks)) if !blocks.is_empty() => blocks,
        Some(Value::Array(_)) => {
            return Err(invalid(format!(
                "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
        _ => return Err(invalid("Expected a list of content blocks")),
    };
    let mut text = String::new();
    let (mut is_result, mut is_text) = (false, false);
    for block in blocks {
        if block.get("toolUse").or(block.get("toolResult")).is_some() && !has_tools {
            return Err(invalid(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
            ));
        }
        if let Some(said) = block.get("text") {
            is_text = true;
            match string(Some(said)) {
                "" => {
                    return Err(invalid(format!(
                        "The text field in the ContentBlock object at messages.{index}.content.0 is blank. Add text to the text field, and try again."
                    )));
                }
                said => text.push_str(said),
            }
        }
        if let Some(result) = block.get("toolResult") {
            is_result = true;
            list(result.get("content")).iter().for_each(|part| text.push_str(string(part.get("text"))));
        }
    }
    Ok((text, is_result && !is_text))
}
