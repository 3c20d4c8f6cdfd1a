//! A client's request.

use std::collections::{BTreeMap, HashMap, VecDeque};

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
    let mut contents = Contents { messages: Vec::new(), open: Open::default(), unread: &mut request.unread };
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
        request.tool_choice = tools_in::decode_config(config, &mut extra, &mut request.unread)?;
    }
    add(&mut extra, "", fields.rest(), &mut request.unread);
    request.extra = Extra::new(HERE, extra);
    Ok(request)
}

/// Keeps what nobody has read, by its place. A dot in a name would make it look like another place.
pub(super) fn add(extra: &mut BTreeMap<String, Json>, place: &str, rest: BTreeMap<String, Json>, unread: &mut Dropped) {
    for (key, value) in rest {
        if key.contains('.') {
            unread.note(key);
        } else {
            extra.insert(format!("{place}{key}"), value);
        }
    }
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

/// The calls of the last turn that had any, and how many results of each have not been seen.
#[derive(Default)]
struct Open {
    by_id: HashMap<String, u32>,
    /// In the order of the calls; ids that are answered already are passed over.
    by_name: HashMap<String, VecDeque<String>>,
}

impl Open {
    fn call(&mut self, id: &str, name: &str) {
        *self.by_id.entry(id.to_owned()).or_default() += 1;
        self.by_name.entry(name.to_owned()).or_default().push_back(id.to_owned());
    }

    /// The call that a result belongs to: the one of its id, else the first of its name that has none yet.
    fn answered(&mut self, id: Option<String>, name: &str) -> Option<String> {
        if let Some(id) = id.filter(|id| self.take(id)) {
            return Some(id);
        }
        while let Some(id) = self.by_name.get_mut(name)?.pop_front() {
            if self.take(&id) {
                return Some(id);
            }
        }
        None
    }

    fn take(&mut self, id: &str) -> bool {
        let Some(left) = self.by_id.get_mut(id).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }
}

/// Turns on their way to messages.
struct Contents<'u> {
    messages: Vec<Message>,
    open: Open,
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
                            self.open = Open::default();
                        }
                        *id = told.unwrap_or_else(|| made_call_id("", turn, calls));
                        calls += 1;
                        self.open.call(id, name);
                    }
                    (role, vec![part])
                }
                Piece::Result { .. } if role == Role::Assistant => {
                    return Err(wrong.expected("something else: results come from the user"));
                }
                Piece::Result { mut part, id, name, place } => {
                    if let Content::ToolResult { call_id, .. } = &mut part.content {
                        *call_id = self.open.answered(id, &name).ok_or_else(|| {
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
}
