//! The walk through a request's body: what each value is by where it stands.

use std::fmt;

use peerway_dialect::Dialect;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::tally::{Kind, Tally};
use crate::dialect::json;
use crate::governance::count;

const MESSAGE: u64 = 6;
const TOOL: u64 = 12;
const NUMBER: u64 = 4;

/// Where in a request a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    Messages,
    Message,
    Content,
    Part,
    Tools,
    /// An object that holds how long the answer may be.
    Config,
    MaxTokens,
    Choices,
    /// Of text completions: one or several.
    Prompt,
    PromptItem,
    Sound,
    File,
    /// Something encoded, with its type beside it.
    Media,
    MediaType,
    MediaBytes,
    /// Nothing is known of it: all of it is text.
    Anything,
}

/// A value that is about to be read.
pub(super) struct At<'t> {
    pub(super) place: Place,
    pub(super) tally: &'t mut Tally,
}

impl At<'_> {
    fn number<E>(self, number: f64) -> Result<(), E> {
        match self.place {
            place @ (Place::MaxTokens | Place::Choices) => self.tally.number(place, number),
            _ => self.tally.tokens += NUMBER,
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.tally.tokens += 1;
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.tally.tokens += 1;
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let tally = self.tally;
        tally.says_an_hour |= text == "1h";
        match self.place {
            // Protobuf's JSON has numbers as text, and other providers take them so too.
            place @ (Place::MaxTokens | Place::Choices) => {
                if let Some(number) = json::told_number(text) {
                    tally.number(place, number);
                }
            }
            Place::Sound => tally.sound_bytes += text.len() as u64,
            Place::File => tally.file_bytes += text.len() as u64,
            Place::MediaType => tally.media.kind = Some(Kind::of_type(text)),
            Place::MediaBytes => {
                tally.media.bytes += text.len() as u64;
                // A document may be plain text.
                if matches!(tally.media.kind, None | Some(Kind::Text)) {
                    tally.media.sixths += count::sixths(text);
                }
            }
            place => {
                tally.prompts += u64::from(place == Place::PromptItem);
                tally.tokens += 1;
                tally.text(text);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let tally = self.tally;
        let (place, each) = match self.place {
            Place::Messages => (Place::Message, MESSAGE),
            Place::Content => (Place::Part, 0),
            Place::Tools => (Place::Anything, TOOL),
            Place::Prompt => (Place::PromptItem, 0),
            // A prompt in tokens.
            Place::PromptItem => {
                tally.prompts += 1;
                (Place::Anything, 0)
            }
            place @ (Place::Sound | Place::File | Place::Media) => (place, 0),
            _ => (Place::Anything, 0),
        };
        while items.next_element_seed(At { place, tally: &mut *tally })?.is_some() {
            tally.tokens += each;
        }
        tally.tokens += 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let tally = self.tally;
        while let Some(place) = members.next_key_seed(Member { of: self.place, tally: &mut *tally })? {
            match place {
                Some(place) => members.next_value_seed(At { place, tally: &mut *tally })?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
            if place == Some(Place::Media) && self.place != Place::Media {
                tally.end_media();
            }
        }
        tally.tokens += 1;
        Ok(())
    }
}

/// A member's name: tells what its value is; `None` for one that the model never sees or that is counted by its name.
struct Member<'t> {
    of: Place,
    tally: &'t mut Tally,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<Place>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Place>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<Place>, E> {
        let tally = self.tally;
        if let Some(place) = bounds(tally.dialect, self.of, name) {
            return Ok(Some(place));
        }
        Ok(match (self.of, name) {
            (Place::Request, "model") | (Place::Message, "role") | (Place::Part, "type") => None,
            (Place::Request, "messages" | "contents" | "input") => Some(Place::Messages),
            (Place::Request, "system") => Some(Place::Content),
            (Place::Request, "systemInstruction" | "system_instruction") => Some(Place::Message),
            (Place::Request, "prompt") => Some(Place::Prompt),
            (Place::Request, "tools" | "functions") => Some(Place::Tools),
            (Place::Message, "content" | "parts" | "output") | (Place::Part, "text" | "content") => {
                Some(Place::Content)
            }
            (Place::Part, "toolResult" | "tool_result") => Some(Place::Part),
            (Place::Part, "image_url") => {
                tally.images += 1;
                None
            }
            (Place::Part, "input_audio") => {
                tally.sounds += 1;
                Some(Place::Sound)
            }
            (Place::Part, "file" | "file_data") if !matches!(tally.dialect, Dialect::Gemini | Dialect::Bedrock) => {
                tally.files += 1;
                Some(Place::File)
            }
            (Place::Part, "inlineData" | "inline_data" | "fileData" | "file_data") => Some(Place::Media),
            (Place::Part, "source") if tally.dialect == Dialect::Anthropic => Some(Place::Media),
            (Place::Part, "image") if tally.dialect == Dialect::Bedrock => {
                tally.media.kind = Some(Kind::Image);
                Some(Place::Media)
            }
            (Place::Part, "document" | "video" | "audio") if tally.dialect == Dialect::Bedrock => Some(Place::Media),
            (Place::Media, "media_type" | "mimeType" | "mime_type") => Some(Place::MediaType),
            (Place::Media, "data" | "bytes") => Some(Place::MediaBytes),
            (Place::Media, "content") => Some(Place::Content),
            (Place::Media, "url" | "fileUri" | "file_uri" | "type" | "format") => None,
            (Place::Media, "source" | "s3Location") => Some(Place::Media),
            (place @ (Place::Sound | Place::File), _) => Some(place),
            _ => {
                tally.tokens += 1;
                tally.text(name);
                Some(Place::Anything)
            }
        })
    }
}

/// Where a dialect has what bounds the answer.
pub(super) fn bounds(dialect: Dialect, of: Place, name: &str) -> Option<Place> {
    match (dialect, of, name) {
        (Dialect::OpenAiChat, Place::Request, "max_tokens" | "max_completion_tokens")
        | (Dialect::OpenAiCompletions | Dialect::Anthropic | Dialect::Cohere, Place::Request, "max_tokens")
        | (Dialect::OpenAiResponses, Place::Request, "max_output_tokens")
        | (Dialect::Gemini, Place::Config, "maxOutputTokens" | "max_output_tokens")
        | (Dialect::Bedrock, Place::Config, "maxTokens") => Some(Place::MaxTokens),
        (Dialect::OpenAiChat, Place::Request, "n")
        | (Dialect::OpenAiCompletions, Place::Request, "n" | "best_of")
        | (Dialect::Gemini, Place::Config, "candidateCount" | "candidate_count") => Some(Place::Choices),
        (Dialect::Gemini, Place::Request, "generationConfig" | "generation_config")
        | (Dialect::Bedrock, Place::Request, "inferenceConfig") => Some(Place::Config),
        _ => None,
    }
}
