//! Items and their content as they come: of a request's `input`, and of an answer's `output`.

use crate::Dropped;
use crate::canonical::{Content, Logprobs, Message, Part, Role, Signature, Source};
use crate::json::{DecodeError, Item, Object};
use crate::openai::chat::parts::{media_type_of, source_of_url};
use crate::openai::logprobs;

use super::HERE;
use super::reasoning::{self, Thought};

/// Reads items one after another. Neighbours of one turn become one message.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) messages: Vec<Message>,
    pub(super) logprobs: Logprobs,
    pub(super) unread: Dropped,
    /// What signs the next item.
    signature: Option<Signature>,
}

impl Items {
    pub(super) fn push(&mut self, item: Item<'_>) -> Result<(), DecodeError> {
        let whole = item.clone();
        let mut object = item.object()?;
        let kind = match object.take("type") {
            Some(kind) => kind.string()?,
            None if object.has("role") => "message".to_owned(),
            None => return Err(DecodeError::Missing { field: object.place("type") }),
        };
        match kind.as_str() {
            "message" => self.message(object)?,
            "reasoning" => match reasoning::decode(object)? {
                Thought::Part(part) => self.say(Role::Assistant, part),
                Thought::SignsNext(signature) => self.signature = Some(signature),
                Thought::Nothing => {}
            },
            "function_call" => {
                let call_id = object.need("call_id")?.string()?;
                let name = object.need("name")?.string()?;
                let arguments = object.string("arguments")?.filter(|arguments| !arguments.is_empty());
                let mut part = Part::tool_call(call_id, name, arguments.unwrap_or_else(|| "{}".to_owned()));
                part.signature = self.signature.take();
                self.say(Role::Assistant, part);
            }
            "function_call_output" => {
                let call_id = object.need("call_id")?.string()?;
                let parts = match object.take("output") {
                    Some(output) => self.content(output)?,
                    None => Vec::new(),
                };
                self.say(Role::Tool, Content::ToolResult { call_id, parts, is_error: false }.into());
            }
            "item_reference" => {
                return Err(whole.expected("given in full: what the provider keeps cannot be looked up here"));
            }
            // Calls and results of tools that run at OpenAI, and what is to come.
            _ => self.say(Role::Assistant, Content::Other { of: HERE, json: whole.json() }.into()),
        }
        Ok(())
    }

    fn message(&mut self, mut object: Object<'_>) -> Result<(), DecodeError> {
        let role = object.need("role")?;
        let role = match role.string()?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => return Err(role.expected("user, assistant, system or developer")),
        };
        let content = object.take("content");
        for ours in ["id", "status"] {
            object.take(ours);
        }
        object.note_rest("input", &mut self.unread);
        let mut parts = match content {
            Some(content) => self.content(content)?,
            None => Vec::new(),
        };
        if let Some(first) = parts.first_mut()
            && first.signature.is_none()
        {
            first.signature = self.signature.take();
        }
        if role == Role::Assistant {
            parts.into_iter().for_each(|part| self.say(role, part));
        } else {
            self.messages.push(Message::new(role, parts));
        }
        Ok(())
    }

    /// Adds to the turn of the assistant, or of the tools, that is last, or begins one.
    fn say(&mut self, role: Role, part: Part) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.parts.push(part),
            _ => self.messages.push(Message::new(role, vec![part])),
        }
    }

    fn content(&mut self, item: Item<'_>) -> Result<Vec<Part>, DecodeError> {
        if item.is_string() {
            let text = item.string()?;
            return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
        }
        if !item.is_list() {
            return Err(item.expected("a string or an array of content parts"));
        }
        item.list()?.into_iter().map(|item| self.part(item)).collect()
    }

    fn part(&mut self, item: Item<'_>) -> Result<Part, DecodeError> {
        let whole = item.clone();
        let mut object = item.object()?;
        let kind = object.need("type")?.string()?;
        let content = match kind.as_str() {
            "input_text" | "output_text" | "text" => {
                for token in object.list("logprobs")?.unwrap_or_default() {
                    self.logprobs.content.push(logprobs::token(token)?);
                }
                if object.has("annotations") {
                    let cited = object.list("annotations")?.is_some_and(|list| !list.is_empty());
                    self.unread.note_if(cited, "output_text.annotations");
                }
                Content::Text(object.need("text")?.string()?)
            }
            "refusal" => Content::Refusal(object.need("refusal")?.string()?),
            "input_image" => {
                let source = match (object.string("image_url")?, object.string("file_id")?) {
                    (Some(url), _) => source_of_url(url),
                    (None, Some(id)) => Source::Id { of: HERE, id },
                    (None, None) => return Err(DecodeError::Missing { field: object.place("image_url") }),
                };
                // What all servers take it for.
                Content::Image { source, detail: object.string("detail")?.filter(|detail| detail != "auto") }
            }
            "input_file" => {
                let name = object.string("filename")?;
                let data = object.string("file_data")?;
                let source = match (data, object.string("file_url")?, object.string("file_id")?) {
                    (Some(data), _, _) => match source_of_url(data) {
                        Source::Url(data) => Source::Base64 { media_type: media_type_of(name.as_deref()).into(), data },
                        source => source,
                    },
                    (None, Some(url), _) => Source::Url(url),
                    (None, None, Some(id)) => Source::Id { of: HERE, id },
                    (None, None, None) => return Err(DecodeError::Missing { field: object.place("file_data") }),
                };
                Content::File { source, name, context: None, cite: false }
            }
            "input_audio" => {
                let mut audio = object.need("input_audio")?.object()?;
                Content::Audio { format: audio.need("format")?.string()?, data: audio.need("data")?.string()? }
            }
            _ => Content::Other { of: HERE, json: whole.json() },
        };
        let cache = crate::openai::chat::parts::cache_mark(&mut object)?;
        object.note_rest("input.content", &mut self.unread);
        Ok(Part { content, cache, signature: None })
    }
}
