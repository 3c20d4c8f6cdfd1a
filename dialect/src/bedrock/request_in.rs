//! A client's request.

use std::collections::BTreeMap;

use crate::canonical::{
    ChatRequest, Content, Effort, Extra, Function, Message, Reasoning, ResponseFormat, Role, ThinkingMode, Tool,
    ToolChoice,
};
use crate::json::{DecodeError, Item, Object};
use crate::{Dropped, Json};

use super::HERE;
use super::blocks_in::{cache_point, decode_blocks};

/// Reads the body of Converse or ConverseStream. The model and [`ChatRequest::stream`] are for the caller to set, from
/// the path.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let mut request = ChatRequest { include_usage: true, ..ChatRequest::default() };
    let mut unread = Dropped::new();
    if let Some(system) = object.list("system")? {
        let mut parts = Vec::new();
        let stray = decode_blocks(system, &mut parts, &mut unread)?;
        unread.note_if(stray.is_some(), "system.cachePoint");
        if !parts.is_empty() {
            request.messages.push(Message::new(Role::System, parts));
        }
    }
    for item in object.list("messages")?.unwrap_or_default() {
        message(item, &mut request.messages, &mut unread)?;
    }
    if let Some(mut config) = object.object("inferenceConfig")? {
        request.max_output_tokens = config.unsigned("maxTokens")?;
        request.temperature = config.number("temperature")?;
        request.top_p = config.number("topP")?;
        for stop in config.list("stopSequences")?.unwrap_or_default() {
            request.stop.push(stop.string()?);
        }
        config.note_rest("inferenceConfig", &mut unread);
    }
    if let Some(config) = object.object("toolConfig")? {
        tools(config, &mut request, &mut unread)?;
    }
    if let Some(mut config) = object.object("outputConfig")? {
        request.response_format = config.object("textFormat")?.map(response_format).transpose()?;
        config.note_rest("outputConfig", &mut unread);
    }
    if let Some(metadata) = object.object("requestMetadata")? {
        for (key, value) in metadata.rest() {
            let text = serde_json::from_str(value.text())
                .map_err(|_| DecodeError::wrong(format!("requestMetadata.{key}"), "a string"))?;
            request.metadata.insert(key, text);
        }
    }
    let additional =
        object.object("additionalModelRequestFields")?.map(|fields| additional(fields, &mut request, &mut unread));
    let mut rest = object.rest();
    if let Some(fields) = additional.transpose()?.filter(|fields| !fields.is_empty()) {
        rest.insert("additionalModelRequestFields".to_owned(), Json::of(&fields));
    }
    request.extra = Extra::new(HERE, rest);
    request.unread = unread;
    Ok(request)
}

/// One message, or several where tool results meet other blocks.
fn message(item: Item<'_>, messages: &mut Vec<Message>, unread: &mut Dropped) -> Result<(), DecodeError> {
    let mut object = item.object()?;
    let role = object.need("role")?;
    let role = match role.string()?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(role.expected("user or assistant")),
    };
    let mut parts = Vec::new();
    if let Some(mark) = decode_blocks(object.need("content")?.list()?, &mut parts, unread)? {
        match messages.last_mut().and_then(|message| message.parts.last_mut()) {
            Some(last) => last.cache = Some(mark),
            None => unread.note("messages.content.cachePoint"),
        }
    }
    object.note_rest("messages", unread);
    let mut split: Vec<Message> = Vec::new();
    for part in parts {
        let role = if matches!(part.content, Content::ToolResult { .. }) { Role::Tool } else { role };
        match split.last_mut() {
            Some(last) if last.role == role => last.parts.push(part),
            _ => split.push(Message::new(role, vec![part])),
        }
    }
    messages.append(&mut split);
    Ok(())
}

fn tools(mut config: Object<'_>, request: &mut ChatRequest, unread: &mut Dropped) -> Result<(), DecodeError> {
    for item in config.need("tools")?.list()? {
        let json = item.json();
        let mut object = item.object()?;
        if let Some(point) = object.object("cachePoint")? {
            let mark = cache_point(point)?;
            match request.tools.last_mut() {
                Some(Tool::Function(function)) => function.cache = Some(mark),
                _ => unread.note("toolConfig.cachePoint"),
            }
        } else if let Some(mut spec) = object.object("toolSpec")? {
            let mut schema = spec.need("inputSchema")?.object()?;
            let parameters = schema.need("json")?;
            if !parameters.is_object() {
                return Err(parameters.expected("a JSON schema: an object"));
            }
            request.tools.push(Tool::Function(Function {
                name: spec.need("name")?.string()?,
                description: spec.string("description")?,
                parameters: Some(parameters.json()),
                strict: spec.boolean("strict")?,
                cache: None,
            }));
            spec.note_rest("toolConfig.tools.toolSpec", unread);
        } else {
            let name = match object.object("systemTool")? {
                Some(mut tool) => tool.string("name")?,
                None => object.rest_names().next().map(str::to_owned),
            };
            request.tools.push(Tool::Other { of: HERE, name: name.unwrap_or_default(), json });
        }
    }
    if let Some(item) = config.take("toolChoice") {
        let wrong = item.expected("one of auto, any and tool");
        let mut choice = item.object()?;
        request.tool_choice = Some(match choice.object("tool")? {
            Some(mut tool) => ToolChoice::Named(tool.need("name")?.string()?),
            None if choice.has("any") => ToolChoice::Required,
            None if choice.has("auto") => ToolChoice::Auto,
            None => return Err(wrong),
        });
    }
    Ok(())
}

/// The schema is text here.
fn response_format(mut format: Object<'_>) -> Result<ResponseFormat, DecodeError> {
    let kind = format.need("type")?;
    if kind.string()? != "json_schema" {
        return Err(kind.expected("json_schema"));
    }
    let mut schema = format.need("structure")?.object()?.need("jsonSchema")?.object()?;
    let text = schema.need("schema")?;
    let parsed = Json::parse(text.string()?.trim()).ok().filter(Json::is_object);
    Ok(ResponseFormat::JsonSchema {
        name: schema.string("name")?.unwrap_or_else(|| "response".to_owned()),
        description: schema.string("description")?,
        schema: parsed.ok_or_else(|| text.expected("the text of a JSON schema, an object"))?,
        strict: None,
    })
}

/// Takes what Claude's fields say that others can say too; what is left is for Bedrock alone.
fn additional(
    mut fields: Object<'_>,
    request: &mut ChatRequest,
    unread: &mut Dropped,
) -> Result<BTreeMap<String, Json>, DecodeError> {
    request.top_k = fields.unsigned("top_k")?;
    let mut reasoning = Reasoning::default();
    for key in ["thinking", "reasoning_config"] {
        let Some(mut thinking) = fields.object(key)? else { continue };
        let kind = thinking.need("type")?;
        reasoning.mode = Some(match kind.string()?.as_str() {
            "disabled" => ThinkingMode::Off,
            "adaptive" => ThinkingMode::Adaptive,
            "enabled" => thinking.unsigned("budget_tokens")?.map_or(ThinkingMode::Adaptive, ThinkingMode::Budget),
            _ => return Err(kind.expected("enabled, adaptive or disabled")),
        });
        reasoning.show = thinking.string("display")?.map(|display| display != "omitted");
    }
    if let Some(mut config) = fields.object("output_config")? {
        reasoning.effort = config.string("effort")?.as_deref().and_then(Effort::from_name);
        config.note_rest("additionalModelRequestFields.output_config", unread);
    }
    request.reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    let mut rest = fields.rest();
    rest.retain(|_, value| value.text() != "null");
    Ok(rest)
}
