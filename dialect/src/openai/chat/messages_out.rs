//! Messages on their way to a provider.

use serde::Serialize;

use crate::canonical::{Content, Message, Role};
use crate::{Dialect, Dropped, Json, Unsupported};

use super::Target;
use super::parts::{WireCache, WireContent, WirePart, content_of, encode_cache, encode_part};
use super::thinking::{Called, FunctionCall, WireCall};

const HERE: Dialect = Dialect::OpenAiChat;

#[derive(Debug, Default, Serialize)]
pub(super) struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<WireCache<'a>>,
}

pub(super) fn encode<'a>(
    messages: &'a [Message],
    target: Target,
    dropped: &mut Dropped,
) -> Result<Vec<WireMessage<'a>>, Unsupported> {
    Messages { target, dropped, wire: Vec::new(), shown: Vec::new() }.encode(messages)
}

/// Messages on their way out.
struct Messages<'a, 'd> {
    target: Target,
    dropped: &'d mut Dropped,
    wire: Vec<WireMessage<'a>>,
    /// Images and files of tool results, which a `tool` message cannot hold: a user message shows them behind the results.
    shown: Vec<WirePart<'a>>,
}

impl<'a> Messages<'a, '_> {
    fn encode(mut self, messages: &'a [Message]) -> Result<Vec<WireMessage<'a>>, Unsupported> {
        for (at, message) in messages.iter().enumerate() {
            if message.role == Role::Tool {
                self.results(message, at)?;
                continue;
            }
            self.show();
            match message.role {
                Role::Assistant => self.assistant(message, at)?,
                Role::User => self.said("user", message, at)?,
                Role::Developer if self.target.developer_role => self.said("developer", message, at)?,
                Role::System | Role::Developer | Role::Tool => self.said("system", message, at)?,
            }
        }
        self.show();
        Ok(self.wire)
    }

    fn show(&mut self) {
        if !self.shown.is_empty() {
            let parts = std::mem::take(&mut self.shown);
            self.wire.push(WireMessage { role: "user", content: content_of(parts), ..WireMessage::default() });
        }
    }

    fn said(&mut self, role: &'static str, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        let mut parts = Vec::with_capacity(message.parts.len());
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            parts.push(encode_part(part, &place, self.target, self.dropped)?);
        }
        let content = content_of(parts).or(Some(WireContent::Text("".into())));
        self.wire.push(WireMessage { role, content, name: message.name.as_deref(), ..WireMessage::default() });
        Ok(())
    }

    fn assistant(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        let mut wire = WireMessage { role: "assistant", name: message.name.as_deref(), ..WireMessage::default() };
        let mut said = Vec::new();
        let mut thoughts = String::new();
        let refusals = message.parts.iter().filter(|part| matches!(part.content, Content::Refusal(_))).count();
        for (place, part) in message.parts.iter().enumerate() {
            match &part.content {
                Content::ToolCall { id, name, arguments } => {
                    self.dropped.note_if(part.signature.is_some(), "thought_signature");
                    self.dropped.note_if(part.cache.is_some(), "cache_control");
                    wire.tool_calls.push(WireCall::Function(FunctionCall {
                        id,
                        kind: "function",
                        function: Called { name, arguments },
                        extra_content: None,
                    }));
                }
                Content::Other { of: HERE, json } if is_call(json) => wire.tool_calls.push(WireCall::Other(json)),
                Content::Thinking { text } if self.target.reasoning_content => thoughts.push_str(text),
                Content::Thinking { .. } | Content::RedactedThinking { .. } => self.dropped.note("thinking"),
                // A lone refusal has its own field; among texts it is one of the pieces.
                Content::Refusal(text) if refusals == 1 && said.is_empty() => wire.refusal = Some(text),
                _ => {
                    let place = format!("messages[{at}].content[{place}]");
                    said.push(encode_part(part, &place, self.target, self.dropped)?);
                }
            }
        }
        wire.reasoning_content = (!thoughts.is_empty()).then_some(thoughts);
        wire.content = content_of(said);
        if wire.content.is_none() && wire.tool_calls.is_empty() && wire.refusal.is_none() {
            wire.content = Some(WireContent::Text("".into()));
        }
        self.wire.push(wire);
        Ok(())
    }

    fn results(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                return Err(Unsupported::new(place, HERE, "a tool message holds tool results alone"));
            };
            self.dropped.note_if(*is_error, "tool_result.is_error");
            let mut told = Vec::new();
            for (inner, part) in parts.iter().enumerate() {
                let wire = encode_part(part, &format!("{place}.content[{inner}]"), self.target, self.dropped)?;
                if matches!(part.content, Content::Text(_)) {
                    told.push(wire);
                } else {
                    self.dropped.note("tool_result.position");
                    self.shown.push(wire);
                }
            }
            let content = content_of(told).or(Some(WireContent::Text("".into())));
            let cache_control = encode_cache(part.cache.as_ref(), self.target, self.dropped);
            let tool_call_id = Some(call_id.as_str());
            self.wire.push(WireMessage {
                role: "tool",
                content,
                tool_call_id,
                cache_control,
                ..WireMessage::default()
            });
        }
        Ok(())
    }
}

/// Whether a piece of OpenAI's own is one of `tool_calls` (a custom tool's) and not of `content`.
fn is_call(json: &Json) -> bool {
    json.to_value().get("custom").is_some()
}
