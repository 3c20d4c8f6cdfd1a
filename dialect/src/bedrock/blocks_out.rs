//! Content blocks as they go.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::canonical::{CacheMark, Content, Part, Signature, Source};
use crate::{Dialect, Dropped, Json, Unsupported};

use super::{HERE, media};

/// One member each, but for what only Bedrock knows, which is written as it came.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum WireBlock<'a> {
    Text(&'a str),
    Image(WireMedia<'a>),
    Audio(WireMedia<'a>),
    Document(WireDocument<'a>),
    ToolUse(WireCall<'a>),
    ToolResult(WireResult<'a>),
    ReasoningContent(WireReasoning<'a>),
    CachePoint(WireCachePoint<'a>),
    #[serde(untagged)]
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct WireMedia<'a> {
    format: &'static str,
    source: WireSource<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum WireSource<'a> {
    Bytes(&'a str),
    Text(&'a str),
    S3Location { uri: &'a str },
}

#[derive(Debug, Serialize)]
pub(super) struct WireDocument<'a> {
    format: &'static str,
    name: String,
    source: WireSource<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<WireCitations>,
}

#[derive(Debug, Serialize)]
struct WireCitations {
    enabled: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireCall<'a> {
    tool_use_id: Cow<'a, str>,
    name: &'a str,
    input: Json,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireResult<'a> {
    tool_use_id: Cow<'a, str>,
    content: Vec<WireBlock<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum WireReasoning<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    RedactedContent(Cow<'a, str>),
}

#[derive(Debug, Serialize)]
pub(super) struct WireCachePoint<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

pub(super) fn cache_point(mark: &CacheMark) -> WireCachePoint<'_> {
    WireCachePoint { kind: "default", ttl: mark.ttl.as_deref() }
}

/// Thoughts with their proof. What is not Claude's stands tagged in fields of the client, see [`Signature::tagged`].
pub(super) fn thinking<'a>(text: &'a str, signature: Option<&Signature>) -> WireBlock<'a> {
    let signature = signature.map(|signature| signature.tagged(HERE));
    WireBlock::ReasoningContent(WireReasoning::ReasoningText { text, signature })
}

pub(super) fn redacted(of: Dialect, data: &str) -> Cow<'_, str> {
    let signature = Signature::new(of, data);
    if signature.is_for(HERE) { Cow::Borrowed(data) } else { Cow::Owned(STANDARD.encode(signature.tagged(HERE))) }
}

/// `arguments` as the object that `input` must be; `None` if they are not one.
pub(super) fn input_of(arguments: &str) -> Option<Json> {
    if arguments.trim().is_empty() {
        return Some(Json::empty_object());
    }
    Json::parse(arguments.trim()).ok().filter(Json::is_object)
}

pub(super) fn call<'a>(id: impl Into<Cow<'a, str>>, name: &'a str, input: Json) -> WireBlock<'a> {
    WireBlock::ToolUse(WireCall { tool_use_id: id.into(), name, input })
}

/// For clients: what signs the block after it.
pub(super) fn signs_next(signature: &Signature) -> WireBlock<'static> {
    let signature = Some(signature.for_next());
    WireBlock::ReasoningContent(WireReasoning::ReasoningText { text: "", signature })
}

/// Bedrock takes `[a-zA-Z0-9_-]{1,64}`.
fn call_id<'a>(id: &'a str, dropped: &mut Dropped) -> Cow<'a, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=64).contains(&id.len()) && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    dropped.note("tool_call.id");
    Cow::Owned(crate::canonical::made_call_id(id, 0, 0))
}

/// Blocks of one request: names of documents differ from each other.
#[derive(Debug)]
pub(super) struct Blocks<'d> {
    pub(super) dropped: &'d mut Dropped,
    names: BTreeSet<String>,
}

impl<'d> Blocks<'d> {
    pub(super) fn new(dropped: &'d mut Dropped) -> Self {
        Self { dropped, names: BTreeSet::new() }
    }

    /// Appends what `part` is here: nothing where it is empty or only another provider could read it.
    pub(super) fn encode<'a>(
        &mut self,
        part: &'a Part,
        place: &str,
        out: &mut Vec<WireBlock<'a>>,
    ) -> Result<(), Unsupported> {
        if let Some(block) = self.block(part, place)? {
            out.push(block);
        }
        match &part.cache {
            Some(mark) if !out.is_empty() => out.push(WireBlock::CachePoint(cache_point(mark))),
            Some(_) => self.dropped.note("cache_control"),
            None => {}
        }
        Ok(())
    }

    fn block<'a>(&mut self, part: &'a Part, place: &str) -> Result<Option<WireBlock<'a>>, Unsupported> {
        let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
        let thinks = matches!(part.content, Content::Thinking { .. });
        self.dropped.note_if(part.signature.is_some() && !thinks, "thought_signature");
        Ok(Some(match &part.content {
            // Bedrock refuses texts of nothing or of space alone.
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(None),
            Content::Text(text) | Content::Refusal(text) => WireBlock::Text(text),
            Content::Image { source, detail } => {
                self.dropped.note_if(detail.is_some(), "image_url.detail");
                let (format, source) = match source {
                    Source::Base64 { media_type, data } => (media::image_format(media_type), WireSource::Bytes(data)),
                    Source::Id { of: HERE, id } => (media::format_of_name(id), WireSource::S3Location { uri: id }),
                    Source::Id { .. } => return refuse("the image is an upload at another provider"),
                    Source::Url(_) => return refuse("an image must be base64 data, not a URL"),
                    Source::Text(_) => return refuse("an image cannot be plain text"),
                };
                match format {
                    Some(format) => WireBlock::Image(WireMedia { format, source }),
                    None => return refuse("an image must be PNG, JPEG, GIF or WebP"),
                }
            }
            Content::Audio { format, data } => match media::audio_format(format) {
                Some(format) => WireBlock::Audio(WireMedia { format, source: WireSource::Bytes(data) }),
                None => return refuse("this format of audio is not known there"),
            },
            Content::File { source, name, context, cite } => {
                let (format, source) = match source {
                    Source::Base64 { media_type, data } => {
                        (media::document_format(media_type), WireSource::Bytes(data))
                    }
                    Source::Text(text) => (Some("txt"), WireSource::Text(text)),
                    Source::Id { of: HERE, id } => (media::format_of_name(id), WireSource::S3Location { uri: id }),
                    Source::Id { .. } => return refuse("the file is an upload at another provider"),
                    Source::Url(_) => return refuse("a file must be base64 data, not a URL"),
                };
                let Some(format) = format else {
                    return refuse("a document must be PDF, CSV, Word, Excel, HTML, Markdown or plain text");
                };
                WireBlock::Document(WireDocument {
                    format,
                    name: self.document_name(name.as_deref()),
                    source,
                    context: context.as_deref(),
                    citations: cite.then_some(WireCitations { enabled: true }),
                })
            }
            Content::ToolCall { id, name, arguments } => match input_of(arguments) {
                Some(input) => call(call_id(id, self.dropped), name, input),
                None => return refuse("the arguments of an earlier call are not a JSON object"),
            },
            Content::ToolResult { call_id: id, parts, is_error } => {
                let mut content = Vec::with_capacity(parts.len());
                for (at, part) in parts.iter().enumerate() {
                    let place = format!("{place}.content[{at}]");
                    if matches!(part.content, Content::ToolCall { .. } | Content::ToolResult { .. }) {
                        return Err(Unsupported::new(place, HERE, "a tool result holds texts, images and documents"));
                    }
                    self.encode(part, &place, &mut content)?;
                }
                let status = is_error.then_some("error");
                WireBlock::ToolResult(WireResult { tool_use_id: call_id(id, self.dropped), content, status })
            }
            Content::Thinking { text } => {
                let Some(signature) = part.signature.as_ref().filter(|signature| signature.is_for(HERE)) else {
                    self.dropped.note("thinking");
                    return Ok(None);
                };
                thinking(text, Some(signature))
            }
            Content::RedactedThinking { of, data } => {
                if !Signature::new(*of, "").is_for(HERE) {
                    self.dropped.note("thinking");
                    return Ok(None);
                }
                WireBlock::ReasoningContent(WireReasoning::RedactedContent(Cow::Borrowed(data)))
            }
            Content::Other { of: HERE, json } => WireBlock::Other(json),
            Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
        }))
    }

    /// Letters, digits, single spaces, hyphens, parentheses and square brackets.
    fn document_name(&mut self, given: Option<&str>) -> String {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
        let spaced: String =
            given.unwrap_or("document").chars().map(|letter| if plain(letter) { letter } else { ' ' }).collect();
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut name: String = words.join(" ").chars().take(180).collect();
        if name.is_empty() {
            name.push_str("document");
        }
        if self.names.contains(&name) {
            // As many tries as there are names at most.
            let free = (2..).map(|at| format!("{name} {at}")).find(|name| !self.names.contains(name));
            name = free.unwrap_or(name);
        }
        self.dropped.note_if(given.is_some_and(|given| given != name), "file.filename");
        self.names.insert(name.clone());
        name
    }
}
