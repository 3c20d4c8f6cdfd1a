//! A client's request.

use crate::canonical::{
    ChatRequest, Content, Extra, Function, LogprobsWanted, Message, Part, Reasoning, ResponseFormat, Role, Source,
    ThinkingMode, Tool, ToolChoice, made_call_id,
};
use crate::json::{DecodeError, Item, Object};
use crate::{Dropped, Json};

use super::{HERE, documents};

/// Reads the body of `chat`.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let mut unread = Dropped::new();
    let messages = object.need("messages")?.list()?.into_iter().map(|item| message(item, &mut unread));
    let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
    let found = object.list("documents")?.unwrap_or_default().into_iter().map(documents::decode);
    show(&mut messages, found.collect::<Result<_, _>>()?);
    let strict = object.boolean("strict_tools")?;
    let tools = object.list("tools")?.unwrap_or_default().into_iter().map(|item| tool(item, strict, &mut unread));
    Ok(ChatRequest {
        model: name,
        messages,
        tools: tools.collect::<Result<_, _>>()?,
        tool_choice: object.take("tool_choice").map(tool_choice).transpose()?,
        response_format: object.object("response_format")?.map(response_format).transpose()?,
        max_output_tokens: object.unsigned("max_tokens")?,
        temperature: object.number("temperature")?,
        top_p: object.number("p")?,
        top_k: object.unsigned("k")?,
        seed: object.take("seed").map(|seed| seed.signed()).transpose()?,
        stop: object
            .list("stop_sequences")?
            .unwrap_or_default()
            .into_iter()
            .map(|item| item.string())
            .collect::<Result<_, _>>()?,
        presence_penalty: object.number("presence_penalty")?,
        frequency_penalty: object.number("frequency_penalty")?,
        logprobs: object.boolean("logprobs")?.unwrap_or(false).then_some(LogprobsWanted { top: None }),
        reasoning: object.object("thinking")?.map(thinking).transpose()?,
        stream: object.boolean("stream")?.unwrap_or(false),
        // Usage comes unasked in this dialect.
        include_usage: true,
        extra: Extra::new(HERE, object.rest()),
        unread,
        ..ChatRequest::default()
    })
}

/// Puts documents in front of what the user said last.
fn show(messages: &mut Vec<Message>, mut documents: Vec<Part>) {
    if documents.is_empty() {
        return;
    }
    match messages.iter_mut().rfind(|message| message.role == Role::User) {
        Some(message) => {
            documents.append(&mut message.parts);
            message.parts = documents;
        }
        None => messages.push(Message::new(Role::User, documents)),
    }
}

fn message(item: Item<'_>, unread: &mut Dropped) -> Result<Message, DecodeError> {
    let mut object = item.object()?;
    let role = object.need("role")?;
    let role = match role.string()?.as_str() {
        "system" => Role::System,
        // Not documented, and taken.
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(role.expected("system, user, assistant or tool")),
    };
    let content = object.take("content");
    let parts = match role {
        Role::Tool => {
            let call_id = object.need("tool_call_id")?.string()?;
            let parts = content.map(result).transpose()?.unwrap_or_default();
            vec![Content::ToolResult { call_id, parts, is_error: false }.into()]
        }
        Role::Assistant => {
            let place = object.path().to_owned();
            assistant(&mut object, content, &place)?
        }
        Role::System | Role::Developer | Role::User => content.map(said).transpose()?.unwrap_or_default(),
    };
    object.note_rest("messages", unread);
    Ok(Message::new(role, parts))
}

/// `content` as text or as a list of pieces.
fn said(item: Item<'_>) -> Result<Vec<Part>, DecodeError> {
    if item.is_string() {
        let text = item.string()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    if !item.is_list() {
        return Err(item.expected("a string or an array of content blocks"));
    }
    item.list()?.into_iter().map(piece).collect()
}

fn piece(item: Item<'_>) -> Result<Part, DecodeError> {
    let json = item.clone();
    let mut object = item.object()?;
    let content = match object.need("type")?.string()?.as_str() {
        "text" => Content::Text(object.need("text")?.string()?),
        "thinking" => Content::Thinking { text: object.need("thinking")?.string()? },
        "image_url" => {
            let image = object.need("image_url")?;
            let (url, detail) = if image.is_string() {
                (image.string()?, None)
            } else {
                let mut image = image.object()?;
                (image.need("url")?.string()?, image.string("detail")?.filter(|detail| detail != "auto"))
            };
            Content::Image { source: source(url), detail }
        }
        "document" => return documents::decode(object.need("document")?),
        _ => Content::Other { of: HERE, json: json.json() },
    };
    Ok(content.into())
}

fn source(url: String) -> Source {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => Source::Base64 {
            media_type: media_type.split(';').next().unwrap_or_default().to_owned(),
            data: data.to_owned(),
        },
        None => Source::Url(url),
    }
}

/// Documents of a result are text: the JSON of their data, if that is no text.
fn result(item: Item<'_>) -> Result<Vec<Part>, DecodeError> {
    let mut parts = said(item)?;
    for part in &mut parts {
        if let Content::File { source: Source::Text(text), .. } = &mut part.content {
            let text = std::mem::take(text);
            part.content = Content::Text(text);
        }
    }
    Ok(parts)
}

/// What was thought and said, planned, called: in this order. Calls without ids get them made of `ids_of`.
pub(super) fn assistant(
    object: &mut Object<'_>,
    content: Option<Item<'_>>,
    ids_of: &str,
) -> Result<Vec<Part>, DecodeError> {
    let mut parts = content.map(said).transpose()?.unwrap_or_default();
    if let Some(text) = object.string("tool_plan")?.filter(|plan| !plan.is_empty()) {
        parts.push(Content::Thinking { text }.into());
    }
    for (at, item) in object.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        parts.push(call(item, ids_of, u32::try_from(at).unwrap_or(u32::MAX))?);
    }
    Ok(parts)
}

fn call(item: Item<'_>, of: &str, index: u32) -> Result<Part, DecodeError> {
    let mut object = item.object()?;
    let id = object.string("id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| made_call_id(of, 0, index));
    let mut function = object.need("function")?.object()?;
    let name = function.need("name")?.string()?;
    let arguments = function.string("arguments")?.filter(|text| !text.is_empty()).unwrap_or_else(|| "{}".to_owned());
    Ok(Part::tool_call(id, name, arguments))
}

fn tool(item: Item<'_>, strict: Option<bool>, unread: &mut Dropped) -> Result<Tool, DecodeError> {
    let json = item.clone();
    let mut object = item.object()?;
    let kind = object.string("type")?.unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        return Ok(Tool::Other { of: HERE, name: kind, json: json.json() });
    }
    let mut function = object.need("function")?.object()?;
    let tool = Function {
        name: function.need("name")?.string()?,
        description: function.string("description")?,
        parameters: schema(&mut function, "parameters")?,
        strict,
        cache: None,
    };
    function.note_rest("tools.function", unread);
    Ok(Tool::Function(tool))
}

fn schema(object: &mut Object<'_>, key: &str) -> Result<Option<Json>, DecodeError> {
    let Some(item) = object.take(key) else { return Ok(None) };
    if item.is_object() { Ok(Some(item.json())) } else { Err(item.expected("a JSON schema: an object")) }
}

fn tool_choice(item: Item<'_>) -> Result<ToolChoice, DecodeError> {
    match item.string()?.as_str() {
        "REQUIRED" => Ok(ToolChoice::Required),
        "NONE" => Ok(ToolChoice::None),
        _ => Err(item.expected("REQUIRED or NONE")),
    }
}

fn response_format(mut object: Object<'_>) -> Result<ResponseFormat, DecodeError> {
    let kind = object.need("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => {
            // `schema` is the name of the version before.
            let schema = schema(&mut object, "json_schema")?.or(schema(&mut object, "schema")?);
            Ok(schema.map_or(ResponseFormat::JsonObject, |schema| ResponseFormat::JsonSchema {
                name: "response".to_owned(),
                description: None,
                schema,
                strict: None,
            }))
        }
        _ => Err(kind.expected("text or json_object")),
    }
}

fn thinking(mut object: Object<'_>) -> Result<Reasoning, DecodeError> {
    let budget = object.unsigned("token_budget")?;
    let kind = object.need("type")?;
    let mode = match kind.string()?.as_str() {
        "disabled" => ThinkingMode::Off,
        "enabled" => budget.map_or(ThinkingMode::Adaptive, ThinkingMode::Budget),
        _ => return Err(kind.expected("enabled or disabled")),
    };
    Ok(Reasoning { mode: Some(mode), ..Reasoning::default() })
}
