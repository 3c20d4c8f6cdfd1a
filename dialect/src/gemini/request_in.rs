//! A client's request.

use std::collections::BTreeMap;

use crate::canonical::{ChatRequest, Content, Extra, Message, Part, Role, made_call_id};
use crate::json::{DecodeError, Item};
use crate::{Dropped, Json};

use super::fields::Fields;
use super::parts_in::{self, Piece};
use super::{HERE, config_in, tools_in};

/// Reads the body of `generateContent` or `streamGenerateContent`. The model and whether to stream are in the path:
/// [`super::Call::apply`] puts them in.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, DecodeError> {
    request(Fields::parse(body)?)
}

pub(super) fn request(mut fields: Fields<'_>) -> Result<ChatRequest, DecodeError> {
    // Usage comes unasked in this dialect.
    let mut request = ChatRequest { include_usage: true, ..ChatRequest::default() };
    if let Some(model) = fields.string("model")? {
        request.model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
    }
    if let Some(cached) = fields.string("cachedContent")? {
        let json = Json::of(&BTreeMap::from([("cachedContent", cached)]));
        request.messages.push(Message::new(Role::System, vec![Content::Other { of: HERE, json }.into()]));
    }
    if let Some(system) = fields.take("systemInstruction")? {
        let parts = system_parts(system, &mut request.unread)?;
        if !parts.is_empty() {
            request.messages.push(Message::new(Role::System, parts));
        }
    }
    let mut contents = Contents { messages: Vec::new(), open: Vec::new(), unread: &mut request.unread };
    let turns = fields.need("contents")?;
    // A lone turn may stand without its list, as SDKs of old sent it.
    let turns = if turns.is_object() { vec![turns] } else { turns.list()? };
    for (at, turn) in turns.into_iter().enumerate() {
        contents.turn(turn, at)?;
    }
    let messages = contents.messages;
    request.messages.extend(messages);
    let mut extra = BTreeMap::new();
    if let Some(config) = fields.object("generationConfig")? {
        config_in::decode(config, &mut request, &mut extra)?;
    }
    for item in fields.list("tools")? {
        tools_in::decode_tools(item, &mut request.tools, &mut request.unread)?;
    }
    if let Some(config) = fields.object("toolConfig")? {
        request.tool_choice = tools_in::decode_config(config, &mut extra)?;
    }
    extra.extend(fields.rest());
    request.extra = Extra::new(HERE, extra);
    Ok(request)
}

fn system_parts(item: Item<'_>, unread: &mut Dropped) -> Result<Vec<Part>, DecodeError> {
    if item.is_string() {
        return Ok(vec![Part::text(item.string()?)]);
    }
    let mut fields = Fields::of(item)?;
    let mut parts = Vec::new();
    for item in fields.list("parts")? {
        let wrong = item.expected("text");
        match parts_in::decode(item, unread)? {
            Piece::Parts(found) => parts.extend(found),
            Piece::Call { .. } | Piece::Result { .. } => return Err(wrong),
        }
    }
    Ok(parts)
}

/// A call whose result has not been seen.
struct Open {
    id: String,
    name: String,
}

/// Turns on their way to messages.
struct Contents<'u> {
    messages: Vec<Message>,
    /// The calls of the last turn that had any.
    open: Vec<Open>,
    unread: &'u mut Dropped,
}

impl Contents<'_> {
    fn turn(&mut self, item: Item<'_>, at: usize) -> Result<(), DecodeError> {
        let mut fields = Fields::of(item)?;
        let role = match fields.take("role")? {
            None => Role::User,
            Some(role) => match role.string()?.as_str() {
                "user" | "function" | "tool" | "" => Role::User,
                "model" => Role::Assistant,
                _ => return Err(role.expected("user or model")),
            },
        };
        let turn = u32::try_from(at).unwrap_or(u32::MAX);
        let mut messages: Vec<Message> = Vec::new();
        let mut calls = 0;
        for item in fields.list("parts")? {
            let wrong = item.clone();
            let (kind, parts) = match parts_in::decode(item, self.unread)? {
                Piece::Parts(parts) => (role, parts),
                Piece::Call { .. } if role != Role::Assistant => {
                    return Err(wrong.expected("something else: calls are made by the model"));
                }
                Piece::Call { mut part, id: told } => {
                    if let Content::ToolCall { id, name, .. } = &mut part.content {
                        if calls == 0 {
                            self.open.clear();
                        }
                        *id = told.unwrap_or_else(|| made_call_id("", turn, calls));
                        calls += 1;
                        self.open.push(Open { id: id.clone(), name: name.clone() });
                    }
                    (role, vec![part])
                }
                Piece::Result { .. } if role == Role::Assistant => {
                    return Err(wrong.expected("something else: results come from the user"));
                }
                Piece::Result { mut part, id, name, place } => {
                    if let Content::ToolResult { call_id, .. } = &mut part.content {
                        *call_id = self.answered(id, &name).ok_or_else(|| {
                            DecodeError::wrong(place, format!("the id of a call of `{name}` in the turn before"))
                        })?;
                    }
                    (Role::Tool, vec![part])
                }
            };
            match messages.last_mut() {
                Some(message) if message.role == kind => message.parts.extend(parts),
                _ if parts.is_empty() => {}
                _ => messages.push(Message::new(kind, parts)),
            }
        }
        self.messages.extend(messages);
        Ok(())
    }

    /// The call that a result belongs to: the one of its id, else the first of its name that has none yet.
    fn answered(&mut self, id: Option<String>, name: &str) -> Option<String> {
        let by_id = id.as_ref().and_then(|id| self.open.iter().position(|call| call.id == *id));
        let at = by_id.or_else(|| self.open.iter().position(|call| call.name == name))?;
        Some(self.open.remove(at).id)
    }
}
