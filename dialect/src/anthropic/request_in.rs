//! A client's request.

use crate::canonical::{ChatRequest, Content, Extra, Function, Message, Part, ResponseFormat, Role, Tool, ToolChoice};
use crate::json::{DecodeError, Item, Object};
use crate::{Dropped, Json};

use super::HERE;
use super::blocks_in::{cache_mark, decode_content};
use super::thinking;

/// Reads a messages request.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let max_tokens = object.need("max_tokens")?.unsigned()?;
    let mut request = decode_common(object)?;
    request.max_output_tokens = Some(max_tokens);
    Ok(request)
}

/// What asking for an answer and counting have in common.
pub(super) fn decode_common(mut object: Object<'_>) -> Result<ChatRequest, DecodeError> {
    let mut unread = Dropped::new();
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let mut messages = Vec::new();
    if let Some(system) = object.take("system") {
        let parts = decode_content(system, &mut unread)?;
        if !parts.is_empty() {
            messages.push(Message::new(Role::System, parts));
        }
    }
    for item in object.need("messages")?.list()? {
        message(item, &mut messages, &mut unread)?;
    }
    let tools = object.list("tools")?.unwrap_or_default();
    let tools = tools.into_iter().map(|item| tool(item, &mut unread)).collect::<Result<_, _>>()?;
    let (tool_choice, parallel_tool_calls) = match object.object("tool_choice")? {
        Some(choice) => tool_choice(choice)?,
        None => (None, None),
    };
    let mut output = object.object("output_config")?;
    let reasoning = thinking::decode(object.object("thinking")?, output.as_mut())?;
    let mut response_format = None;
    if let Some(mut output) = output {
        response_format = output.object("format")?.map(format).transpose()?;
        output.note_rest("output_config", &mut unread);
    }
    // The name it had before it was part of `output_config`.
    if let Some(older) = object.object("output_format")? {
        response_format = Some(format(older)?);
    }
    let mut user = None;
    if let Some(mut metadata) = object.object("metadata")? {
        user = metadata.string("user_id")?;
        metadata.note_rest("metadata", &mut unread);
    }
    let stop = object.list("stop_sequences")?.unwrap_or_default();
    Ok(ChatRequest {
        model: name,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.unsigned("top_k")?,
        stop: stop.into_iter().map(|item| item.string()).collect::<Result<_, _>>()?,
        reasoning,
        user,
        stream: object.boolean("stream")?.unwrap_or(false),
        include_usage: true,
        extra: Extra::new(HERE, object.rest()),
        unread,
        ..ChatRequest::default()
    })
}

/// A user's message is split where tool results and other blocks meet.
fn message(item: Item<'_>, messages: &mut Vec<Message>, unread: &mut Dropped) -> Result<(), DecodeError> {
    let mut object = item.object()?;
    let role = object.need("role")?;
    let role = match role.string()?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(role.expected("user, assistant or system")),
    };
    let parts = decode_content(object.need("content")?, unread)?;
    object.note_rest("messages", unread);
    if role != Role::User || parts.is_empty() {
        messages.push(Message::new(role, parts));
        return Ok(());
    }
    let mut last: Option<Message> = None;
    for part in parts {
        let role = role_of(&part);
        match &mut last {
            Some(message) if message.role == role => message.parts.push(part),
            _ => messages.extend(last.replace(Message::new(role, vec![part]))),
        }
    }
    messages.extend(last);
    Ok(())
}

fn role_of(part: &Part) -> Role {
    if matches!(part.content, Content::ToolResult { .. }) { Role::Tool } else { Role::User }
}

fn tool(item: Item<'_>, unread: &mut Dropped) -> Result<Tool, DecodeError> {
    let whole = item.clone();
    let mut object = item.object()?;
    let kind = object.string("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        let name = object.string("name")?.unwrap_or(kind);
        return Ok(Tool::Other { of: HERE, name, json: whole.json() });
    }
    let parameters = object.need("input_schema")?;
    if !parameters.is_object() {
        return Err(parameters.expected("a JSON schema: an object"));
    }
    let function = Function {
        name: object.need("name")?.string()?,
        description: object.string("description")?,
        parameters: Some(parameters.json()),
        strict: object.boolean("strict")?,
        cache: cache_mark(&mut object)?,
    };
    object.note_rest("tools", unread);
    Ok(Tool::Function(function))
}

fn tool_choice(mut object: Object<'_>) -> Result<(Option<ToolChoice>, Option<bool>), DecodeError> {
    let kind = object.need("type")?;
    let choice = match kind.string()?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(object.need("name")?.string()?),
        _ => return Err(kind.expected("auto, any, tool or none")),
    };
    let disabled = object.boolean("disable_parallel_tool_use")?.unwrap_or(false);
    Ok((Some(choice), disabled.then_some(false)))
}

fn format(mut object: Object<'_>) -> Result<ResponseFormat, DecodeError> {
    let kind = object.need("type")?;
    if kind.string()? != "json_schema" {
        return Err(kind.expected("json_schema"));
    }
    let schema = object.take("schema").map_or_else(Json::empty_object, |schema| schema.json());
    Ok(ResponseFormat::JsonSchema { name: "response".to_owned(), description: None, schema, strict: Some(true) })
}
