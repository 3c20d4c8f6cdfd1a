//! A client's request.

use std::collections::BTreeMap;

use crate::canonical::{
    ChatRequest, Effort, Extra, Function, LogprobsWanted, Message, Reasoning, ResponseFormat, Role, Tool, ToolChoice,
};
use crate::json::{DecodeError, Item, Object};
use crate::{Dropped, Json};

use super::HERE;
use super::items_in::Items;

/// Reads a request to create a response. What needs something that the provider keeps is refused.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    refuse_what_is_kept(&mut object)?;
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let mut messages = Vec::new();
    if let Some(instructions) = object.string("instructions")? {
        messages.push(Message::text(Role::System, instructions));
    }
    let mut items = Items::default();
    let input = object.need("input")?;
    if input.is_string() {
        items.messages.push(Message::text(Role::User, input.string()?));
    } else if input.is_list() {
        input.list()?.into_iter().try_for_each(|item| items.push(item))?;
    } else {
        return Err(input.expected("a string or an array of items"));
    }
    let mut unread = items.unread;
    messages.append(&mut items.messages);
    let tools = object.list("tools")?.unwrap_or_default();
    let tools = tools.into_iter().map(|item| tool(item, &mut unread)).collect::<Result<_, _>>()?;
    let mut request = ChatRequest {
        model: name,
        messages,
        tools,
        tool_choice: object.take("tool_choice").map(tool_choice).transpose()?,
        parallel_tool_calls: object.boolean("parallel_tool_calls")?,
        max_output_tokens: object.unsigned("max_output_tokens")?,
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        reasoning: object.object("reasoning")?.map(|told| reasoning(told, &mut unread)).transpose()?.flatten(),
        user: object.string("user")?,
        metadata: object.object("metadata")?.map(metadata).transpose()?.unwrap_or_default(),
        stream: object.boolean("stream")?.unwrap_or(false),
        include_usage: true,
        ..ChatRequest::default()
    };
    request.logprobs = wanted_logprobs(&mut object, &mut unread)?;
    if let Some(mut text) = object.object("text")? {
        request.response_format = text.object("format")?.map(response_format).transpose()?;
        text.note_rest("text", &mut unread);
    }
    // How OpenAI pads its own events.
    object.take("stream_options");
    request.extra = Extra::new(HERE, object.rest());
    request.unread = unread;
    Ok(request)
}

fn refuse_what_is_kept(object: &mut Object<'_>) -> Result<(), DecodeError> {
    const IN_FULL: &str = "absent: what a provider keeps cannot be looked up for this model, send `input` in full";
    for key in ["previous_response_id", "conversation", "prompt"] {
        if let Some(given) = object.take(key) {
            return Err(given.expected(IN_FULL));
        }
    }
    for (key, expected) in [
        ("store", "false or absent: responses of this model are not kept"),
        ("background", "false or absent: this model answers while the client waits"),
    ] {
        if let Some(given) = object.take(key)
            && given.boolean()?
        {
            return Err(given.expected(expected));
        }
    }
    Ok(())
}

/// Of `include`, log probabilities can be had elsewhere, and what signs thoughts is always told.
fn wanted_logprobs(object: &mut Object<'_>, unread: &mut Dropped) -> Result<Option<LogprobsWanted>, DecodeError> {
    let top = object.unsigned("top_logprobs")?.filter(|top| *top > 0);
    let mut wanted = top.is_some();
    for item in object.list("include")?.unwrap_or_default() {
        match item.string()?.as_str() {
            "message.output_text.logprobs" => wanted = true,
            "reasoning.encrypted_content" => {}
            _ => unread.note("include"),
        }
    }
    Ok(wanted.then_some(LogprobsWanted { top }))
}

fn tool(item: Item<'_>, unread: &mut Dropped) -> Result<Tool, DecodeError> {
    let json = item.json();
    let mut object = item.object()?;
    let kind = object.need("type")?.string()?;
    if kind != "function" {
        let name = object.string("name").ok().flatten().unwrap_or(kind);
        return Ok(Tool::Other { of: HERE, name, json });
    }
    let read = Function {
        name: object.need("name")?.string()?,
        description: object.string("description")?,
        parameters: schema(&mut object, "parameters")?,
        strict: object.boolean("strict")?,
        cache: None,
    };
    object.note_rest("tools", unread);
    Ok(Tool::Function(read))
}

fn schema(object: &mut Object<'_>, key: &str) -> Result<Option<Json>, DecodeError> {
    let Some(item) = object.take(key) else { return Ok(None) };
    if item.is_object() { Ok(Some(item.json())) } else { Err(item.expected("a JSON schema: an object")) }
}

fn tool_choice(item: Item<'_>) -> Result<ToolChoice, DecodeError> {
    const EXPECTED: &str = "none, auto, required, a function or allowed functions";
    let wrong = item.expected(EXPECTED);
    if item.is_string() {
        return match item.string()?.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(wrong),
        };
    }
    let mut object = item.object()?;
    match object.need("type")?.string()?.as_str() {
        "function" | "custom" => Ok(ToolChoice::Named(object.need("name")?.string()?)),
        "allowed_tools" => {
            let required = object.string("mode")?.as_deref() == Some("required");
            let name = |item: Item<'_>| item.object()?.need("name")?.string();
            let names = object.need("tools")?.list()?.into_iter().map(name).collect::<Result<_, _>>()?;
            Ok(ToolChoice::Allowed { required, names })
        }
        // A tool that runs at OpenAI is chosen by its type.
        kind => Ok(ToolChoice::Named(kind.to_owned())),
    }
}

fn response_format(mut object: Object<'_>) -> Result<ResponseFormat, DecodeError> {
    let kind = object.need("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::JsonObject),
        "json_schema" => Ok(ResponseFormat::JsonSchema {
            name: object.need("name")?.string()?,
            description: object.string("description")?,
            schema: schema(&mut object, "schema")?.unwrap_or_else(Json::empty_object),
            strict: object.boolean("strict")?,
        }),
        _ => Err(kind.expected("text, json_object or json_schema")),
    }
}

/// Wanting a summary is wanting to see thoughts.
fn reasoning(mut object: Object<'_>, unread: &mut Dropped) -> Result<Option<Reasoning>, DecodeError> {
    let effort = object.take("effort").map(|effort| {
        Effort::from_name(&effort.string()?)
            .ok_or_else(|| effort.expected("none, minimal, low, medium, high, xhigh or max"))
    });
    let told = Reasoning {
        effort: effort.transpose()?,
        mode: None,
        show: match (object.string("summary")?, object.string("generate_summary")?) {
            (Some(_), _) | (_, Some(_)) => Some(true),
            (None, None) => None,
        },
    };
    object.note_rest("reasoning", unread);
    Ok((told != Reasoning::default()).then_some(told))
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
