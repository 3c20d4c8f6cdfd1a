//! A client's request.

use std::collections::BTreeMap;

use crate::canonical::{
    ChatRequest, Content, Effort, Extra, Function, LogprobsWanted, Message, Part, Reasoning, ResponseFormat, Role,
    ThinkingMode, Tool, ToolChoice,
};
use crate::json::{DecodeError, Item, Object};
use crate::{Dialect, Dropped, Json};

use super::{parts, thinking};

const HERE: Dialect = Dialect::OpenAiChat;

/// Reads a chat completion request. Of `stream_options` only `include_usage` is kept: the rest shapes OpenAI's own bytes.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    for (old, new) in [("functions", "`tools`"), ("function_call", "`tool_choice`")] {
        if object.has(old) {
            return Err(DecodeError::wrong(old, format!("given as {new}; the older form is not translated")));
        }
    }
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let messages = object.need("messages")?.list()?;
    let completion = object.unsigned("max_completion_tokens")?;
    let older = object.unsigned("max_tokens")?;
    let wants_logprobs = object.boolean("logprobs")?.unwrap_or(false);
    let top = object.unsigned("top_logprobs")?;
    let mut unread = Dropped::new();
    let messages = messages.into_iter().map(|item| message(item, &mut unread)).collect::<Result<_, _>>()?;
    let tools = object.list("tools")?.unwrap_or_default();
    let tools = tools.into_iter().map(|item| tool(item, &mut unread)).collect::<Result<_, _>>()?;
    Ok(ChatRequest {
        model: name,
        messages,
        tools,
        tool_choice: object.take("tool_choice").map(tool_choice).transpose()?,
        parallel_tool_calls: object.boolean("parallel_tool_calls")?,
        response_format: object.object("response_format")?.map(response_format).transpose()?,
        max_output_tokens: completion.or(older),
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.unsigned("top_k")?,
        seed: object.take("seed").map(|seed| seed.signed()).transpose()?,
        stop: object.take("stop").map(stop).transpose()?.unwrap_or_default(),
        n: object.unsigned("n")?,
        presence_penalty: object.number("presence_penalty")?,
        frequency_penalty: object.number("frequency_penalty")?,
        logprobs: wants_logprobs.then_some(LogprobsWanted { top }),
        reasoning: reasoning(&mut object)?,
        user: object.string("user")?,
        metadata: object.object("metadata")?.map(metadata).transpose()?.unwrap_or_default(),
        stream: object.boolean("stream")?.unwrap_or(false),
        include_usage: match object.object("stream_options")? {
            Some(mut options) => options.boolean("include_usage")?.unwrap_or(false),
            None => false,
        },
        extra: Extra::new(HERE, object.rest()),
        unread,
    })
}

fn message(item: Item<'_>, unread: &mut Dropped) -> Result<Message, DecodeError> {
    let mut object = item.object()?;
    let role = object.need("role")?;
    let role = match role.string()?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(role.expected("system, developer, user, assistant or tool")),
    };
    let name = object.string("name")?;
    let mut parts = match object.take("content") {
        Some(content) => parts::decode_content(content, unread)?,
        None => Vec::new(),
    };
    match role {
        Role::Tool => {
            let call_id = object.need("tool_call_id")?.string()?;
            let cache = parts::cache_mark(&mut object)?;
            let content = Content::ToolResult { call_id, parts, is_error: false };
            parts = vec![Part { content, cache, signature: None }];
        }
        Role::Assistant => parts = assistant(&mut object, parts)?,
        Role::System | Role::Developer | Role::User => {}
    }
    object.note_rest("messages", unread);
    Ok(Message { role, parts, name })
}

/// Thoughts, what was said, what was declined, what was called: in this order.
fn assistant(object: &mut Object<'_>, said: Vec<Part>) -> Result<Vec<Part>, DecodeError> {
    let mut parts = thinking::decode(object)?;
    parts.extend(said);
    if let Some(refusal) = object.string("refusal")? {
        parts.push(Content::Refusal(refusal).into());
    }
    if object.has("function_call") {
        let place = object.place("function_call");
        return Err(DecodeError::wrong(place, "given as `tool_calls`; the older form is not translated"));
    }
    if let Some(audio) = object.take("audio") {
        return Err(audio.expected("absent: spoken answers of earlier turns are not translated, send their text"));
    }
    for (at, call) in object.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let place = call.path().to_owned();
        parts.push(thinking::decode_call(call, &place, 0, u32::try_from(at).unwrap_or(u32::MAX))?);
    }
    Ok(parts)
}

fn tool(item: Item<'_>, unread: &mut Dropped) -> Result<Tool, DecodeError> {
    let json = item.clone();
    let mut object = item.object()?;
    let kind = object.need("type")?.string()?;
    if kind != "function" {
        let name = match object.object(&kind) {
            Ok(Some(mut inner)) => inner.string("name")?.unwrap_or(kind),
            _ => kind,
        };
        return Ok(Tool::Other { of: HERE, name, json: json.json() });
    }
    let outer = parts::cache_mark(&mut object)?;
    let mut function = object.need("function")?.object()?;
    let read = Function {
        name: function.need("name")?.string()?,
        description: function.string("description")?,
        parameters: schema(&mut function, "parameters")?,
        strict: function.boolean("strict")?,
        cache: if outer.is_some() { outer } else { parts::cache_mark(&mut function)? },
    };
    object.note_rest("tools", unread);
    function.note_rest("tools.function", unread);
    Ok(Tool::Function(read))
}

fn schema(object: &mut Object<'_>, key: &str) -> Result<Option<Json>, DecodeError> {
    let Some(item) = object.take(key) else { return Ok(None) };
    if item.is_object() { Ok(Some(item.json())) } else { Err(item.expected("a JSON schema: an object")) }
}

fn tool_choice(item: Item<'_>) -> Result<ToolChoice, DecodeError> {
    const EXPECTED: &str = "none, auto, required, a function or allowed tools";
    if item.is_string() {
        return match item.string()?.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            // `any` is the word of several that are alike.
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(item.expected(EXPECTED)),
        };
    }
    let wrong = item.expected(EXPECTED);
    let mut object = item.object()?;
    match object.need("type")?.string()?.as_str() {
        kind @ ("function" | "custom") => Ok(ToolChoice::Named(object.need(kind)?.object()?.need("name")?.string()?)),
        "allowed_tools" => {
            let mut allowed = object.need("allowed_tools")?.object()?;
            let required = allowed.string("mode")?.as_deref() == Some("required");
            let name = |item: Item<'_>| item.object()?.need("function")?.object()?.need("name")?.string();
            let names = allowed.need("tools")?.list()?.into_iter().map(name).collect::<Result<_, _>>()?;
            Ok(ToolChoice::Allowed { required, names })
        }
        _ => Err(wrong),
    }
}

fn response_format(mut object: Object<'_>) -> Result<ResponseFormat, DecodeError> {
    let kind = object.need("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::JsonObject),
        "json_schema" => {
            let mut object = object.need("json_schema")?.object()?;
            Ok(ResponseFormat::JsonSchema {
                name: object.need("name")?.string()?,
                description: object.string("description")?,
                schema: schema(&mut object, "schema")?.unwrap_or_else(Json::empty_object),
                strict: object.boolean("strict")?,
            })
        }
        _ => Err(kind.expected("text, json_object or json_schema")),
    }
}

fn stop(item: Item<'_>) -> Result<Vec<String>, DecodeError> {
    if item.is_string() {
        return Ok(vec![item.string()?]);
    }
    item.list()?.into_iter().map(|item| item.string()).collect()
}

fn metadata(object: Object<'_>) -> Result<BTreeMap<String, String>, DecodeError> {
    let place = object.place("*");
    object
        .rest()
        .into_iter()
        .map(|(key, value)| match serde_json::from_str(value.text()) {
            Ok(text) => Ok((key, text)),
            Err(_) => Err(DecodeError::wrong(place.clone(), "a string")),
        })
        .collect()
}

/// `reasoning_effort`, or one of the two objects that gateways take: OpenRouter's `reasoning`, Anthropic's `thinking`.
fn reasoning(object: &mut Object<'_>) -> Result<Option<Reasoning>, DecodeError> {
    let effort = |item: Item<'_>| {
        Effort::from_name(&item.string()?)
            .ok_or_else(|| item.expected("none, minimal, low, medium, high, xhigh or max"))
    };
    let mut told =
        Reasoning { effort: object.take("reasoning_effort").map(effort).transpose()?, ..Reasoning::default() };
    if let Some(mut wanted) = object.object("reasoning")? {
        told.effort = told.effort.or(wanted.take("effort").map(effort).transpose()?);
        told.mode = wanted.unsigned("max_tokens")?.map(ThinkingMode::Budget);
        told.show = wanted.boolean("exclude")?.map(|exclude| !exclude);
        match wanted.boolean("enabled")? {
            Some(false) => told.mode = Some(ThinkingMode::Off),
            Some(true) if told.mode.is_none() && told.effort.is_none() => told.mode = Some(ThinkingMode::Adaptive),
            _ => {}
        }
    }
    if let Some(mut wanted) = object.object("thinking")? {
        let kind = wanted.need("type")?;
        told.mode = Some(match kind.string()?.as_str() {
            "disabled" => ThinkingMode::Off,
            "adaptive" | "auto" => ThinkingMode::Adaptive,
            "enabled" => wanted.unsigned("budget_tokens")?.map_or(ThinkingMode::Adaptive, ThinkingMode::Budget),
            _ => return Err(kind.expected("enabled, disabled or adaptive")),
        });
    }
    Ok((told != Reasoning::default()).then_some(told))
}
