//! A request for a provider.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::canonical::{ChatRequest, Content, Message, Part, Role};
use crate::json;
use crate::{Dropped, Json, Unsupported};

use super::parts_out::{self, WireCall, WirePart, WirePiece};
use super::signature::NOT_CHECKED;
use super::{HERE, config_out, generation, tools_out};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireRequest<'a> {
    /// Only inside a request to count tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<WireContent<'a>>,
    contents: Vec<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<tools_out::WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<tools_out::WireConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<config_out::WireConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content: Option<Json>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Json>,
}

#[derive(Debug, Serialize)]
pub(super) struct WireContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<WirePiece<'a>>,
}

/// The body; the model and whether to stream go into the path ([`super::Call::provider_path`]).
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    Ok(json::bytes(&wire(request, dropped)?))
}

pub(super) fn wire<'a>(request: &'a ChatRequest, dropped: &mut Dropped) -> Result<WireRequest<'a>, Unsupported> {
    dropped.absorb(&request.unread);
    dropped.note_if(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    dropped.note_if(request.user.is_some(), "user");
    dropped.note_if(!request.metadata.is_empty(), "metadata");
    let (mut top, mut config, mut tools) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (key, value) in request.extra.for_target(HERE, dropped) {
        if let Some(key) = key.strip_prefix("generationConfig.") {
            config.insert(key, value);
        } else if let Some(key) = key.strip_prefix("toolConfig.") {
            tools.insert(key, value);
        } else {
            top.insert(key.as_str(), value);
        }
    }
    let mut turns = Turns {
        needs_signature: generation(&request.model).is_some_and(|generation| generation >= 3),
        system: Vec::new(),
        contents: Vec::new(),
        cached: None,
        names: HashMap::new(),
        in_results: false,
        dropped,
    };
    turns.encode(&request.messages)?;
    let Turns { mut system, mut contents, cached, dropped, .. } = turns;
    // A conversation must have a turn: rather what was to be its frame than none.
    if contents.is_empty() && !system.is_empty() {
        dropped.note("system.role");
        contents.push(WireContent { role: Some("user"), parts: std::mem::take(&mut system) });
    }
    Ok(WireRequest {
        model: None,
        system_instruction: (!system.is_empty()).then_some(WireContent { role: None, parts: system }),
        contents,
        tools: tools_out::encode_tools(&request.tools, dropped)?,
        tool_config: tools_out::encode_config(request.tool_choice.as_ref(), &tools),
        generation_config: config_out::encode(request, config, dropped),
        cached_content: cached,
        extra: top,
    })
}

/// Messages on their way out.
struct Turns<'a, 'd> {
    needs_signature: bool,
    system: Vec<WirePiece<'a>>,
    contents: Vec<WireContent<'a>>,
    cached: Option<Json>,
    /// The functions that were called, by the ids of the calls.
    names: HashMap<&'a str, &'a str>,
    /// The last turn is of results: those that follow belong into it.
    in_results: bool,
    dropped: &'d mut Dropped,
}

impl<'a> Turns<'a, '_> {
    fn encode(&mut self, messages: &'a [Message]) -> Result<(), Unsupported> {
        for (at, message) in messages.iter().enumerate() {
            self.dropped.note_if(message.name.is_some(), "name");
            match message.role {
                Role::System | Role::Developer => self.system(message, at)?,
                Role::User => {
                    let parts = self.said(&message.parts, at)?;
                    self.turn("user", parts);
                }
                Role::Assistant => {
                    let parts = self.assistant(message, at)?;
                    self.turn("model", parts);
                }
                Role::Tool => self.results(message, at)?,
            }
        }
        Ok(())
    }

    /// A turn without parts is refused by Google and says nothing.
    fn turn(&mut self, role: &'static str, parts: Vec<WirePiece<'a>>) {
        if !parts.is_empty() {
            self.contents.push(WireContent { role: Some(role), parts });
            self.in_results = false;
        }
    }

    fn system(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        self.dropped.note_if(!self.contents.is_empty(), "system.position");
        for (place, part) in message.parts.iter().enumerate() {
            match &part.content {
                Content::Other { of: HERE, json } if json.to_value().get("cachedContent").is_some() => {
                    self.cached =
                        json.item("").members().ok().and_then(|mut members| members.pop()).map(|(_, name)| name.json());
                }
                Content::Text(_) | Content::Refusal(_) | Content::Other { of: HERE, .. } => {
                    let place = place_of(at, place);
                    self.system.push(parts_out::said(part, &place, self.dropped)?);
                }
                _ => return Err(Unsupported::new(place_of(at, place), HERE, "system messages are text alone")),
            }
        }
        Ok(())
    }

    fn said(&mut self, parts: &'a [Part], at: usize) -> Result<Vec<WirePiece<'a>>, Unsupported> {
        let each = parts.iter().enumerate().filter(|(_, part)| part.as_text() != Some(""));
        each.map(|(place, part)| parts_out::said(part, &place_of(at, place), self.dropped)).collect()
    }

    fn assistant(&mut self, message: &'a Message, at: usize) -> Result<Vec<WirePiece<'a>>, Unsupported> {
        let mut wire: Vec<WirePiece<'a>> = Vec::with_capacity(message.parts.len());
        let mut calls = 0;
        for (place, part) in message.parts.iter().enumerate() {
            let signature = part.signature.as_ref().filter(|signature| signature.is_for(HERE));
            match &part.content {
                Content::ToolCall { id, name, arguments } => {
                    self.dropped.note_if(part.cache.is_some(), "cache_control");
                    self.dropped.note_if(part.signature.is_some() && signature.is_none(), "thought_signature");
                    let Some(args) = parts_out::arguments(arguments) else {
                        let reason = "a call's arguments must be a JSON object";
                        return Err(Unsupported::new(place_of(at, place), HERE, reason));
                    };
                    self.names.insert(id, name);
                    let unsigned = self.needs_signature && calls == 0 && signature.is_none();
                    let thought_signature = signature.map(|signature| signature.data.as_str().into());
                    wire.push(
                        WirePart {
                            function_call: Some(WireCall { id, name, args }),
                            thought_signature: thought_signature.or(unsigned.then_some(NOT_CHECKED.into())),
                            ..WirePart::default()
                        }
                        .into(),
                    );
                    calls += 1;
                }
                Content::Thinking { text } => match (signature, wire.last_mut()) {
                    (None, _) => self.dropped.note("thinking"),
                    // The signature of the text before, as it was told.
                    (Some(signature), Some(WirePiece::Known(last)))
                        if text.is_empty() && last.is_plain_text() && last.thought_signature.is_none() =>
                    {
                        last.thought_signature = Some(signature.data.as_str().into());
                    }
                    (Some(signature), _) => {
                        let mut piece = parts_out::thought(text, Some(signature));
                        piece.thought = (!text.is_empty()).then_some(true);
                        wire.push(piece.into());
                    }
                },
                Content::RedactedThinking { .. } => self.dropped.note("thinking"),
                Content::Text(text) if text.is_empty() => {}
                _ => wire.push(parts_out::said(part, &place_of(at, place), self.dropped)?),
            }
        }
        Ok(wire)
    }

    fn results(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        let mut wire = Vec::with_capacity(message.parts.len());
        for (place, part) in message.parts.iter().enumerate() {
            let place = place_of(at, place);
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                return Err(Unsupported::new(place, HERE, "a tool message holds tool results alone"));
            };
            self.dropped.note_if(part.cache.is_some(), "cache_control");
            let Some(name) = self.names.get(call_id.as_str()) else {
                let reason = "the call that this is the result of is not in the messages before it";
                return Err(Unsupported::new(place, HERE, reason));
            };
            wire.push(parts_out::result(call_id, name, parts, *is_error, &place, self.dropped)?.into());
        }
        match self.contents.last_mut() {
            Some(turn) if self.in_results => turn.parts.extend(wire),
            _ if wire.is_empty() => {}
            _ => {
                self.turn("user", wire);
                self.in_results = true;
            }
        }
        Ok(())
    }
}

fn place_of(message: usize, part: usize) -> String {
    format!("messages[{message}].content[{part}]")
}
