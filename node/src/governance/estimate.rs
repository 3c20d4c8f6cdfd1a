//! How many tokens a request may take, told from its bytes before it is sent.
//!
//! A bound to reserve by, not a count: tokenizers differ by vendor and are not at hand, so this one is meant to be too
//! high for English, for other languages and for code.
//!
//! - Text, by byte: see `count` (tested below against OpenAI's two public tokenizers).
//! - 8 tokens for the request, and 6 for each message besides its text.
//! - Tools, schemas and every member of the request or of a message that is not known here: as text, member names
//!   included, one token for each value and bracket, four for a number. What is not known may well be read by the model.
//! - 12 tokens for each tool besides its text.
//! - Images, sound and files are not text: 2,000 tokens an image, one for every 100 bytes of encoded sound, one for
//!   every 4 bytes of an encoded file. These are rough, so the estimate is flagged: see [`Estimate::is_rough`]. An image
//!   can be dearer than that (some models bill one as tens of thousands of tokens). What is only named by its URL counts
//!   as an image.
//! - How long the answer may be is read where the client's dialect has it, and nowhere else: what a provider does not
//!   read bounds nothing.
//!
//! Text made to be dense in tokens (random bytes, rare scripts, rows of symbols) can take more than estimated. What was
//! used is settled afterwards either way.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use peerway_dialect::Dialect;

use super::{Limits, count};
use crate::dialect::json::{self, Shape};

const REQUEST: u64 = 8;
const MESSAGE: u64 = 6;
const TOOL: u64 = 12;
const NUMBER: u64 = 4;
const IMAGE: u64 = 2_000;
const SOUND_BYTES: u64 = 100;
const FILE_BYTES: u64 = 4;

#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    #[error("the request cannot be estimated: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the request cannot be estimated: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
}

/// What a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub prompt_tokens: u64,
    pub images: u64,
    pub sounds: u64,
    pub files: u64,
    /// The larger of `max_tokens` and its newer names, where one is given.
    pub asked_output: Option<u64>,
    /// How many answers are written; at least 1.
    pub choices: u64,
    /// The prompt may be written to the provider's cache for an hour.
    pub caches_for_an_hour: bool,
}

impl Estimate {
    /// Reads a request body of this dialect.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, EstimateError> {
        let mut tally = Tally::of(dialect);
        // Checked as a whole: string by string takes longer.
        let mut deserializer = serde_json::Deserializer::from_str(std::str::from_utf8(body)?);
        At { place: Place::Request, tally: &mut tally }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        let text = tally.sixths.div_ceil(6);
        let tokens = [
            text,
            tally.images.saturating_mul(IMAGE),
            tally.sound_bytes.div_ceil(SOUND_BYTES),
            tally.file_bytes.div_ceil(FILE_BYTES),
        ];
        Ok(Self {
            prompt_tokens: tokens.into_iter().fold(tally.tokens + REQUEST, u64::saturating_add),
            images: tally.images,
            sounds: tally.sounds,
            files: tally.files,
            asked_output: tally.asked_output,
            choices: tally.choices.max(1).saturating_mul(tally.prompts.max(1)),
            caches_for_an_hour: memchr::memmem::find(body, b"\"1h\"").is_some(),
        })
    }

    /// A body that providers may read although it is no JSON to the letter (half of an emoji's two escapes, as languages
    /// with UTF-16 leave them): all of it as text, and what bounds the answer.
    pub fn of_unread(dialect: Dialect, body: &[u8]) -> Self {
        let mut tally = Tally::of(dialect);
        // Where the walk ends early no provider reads on either.
        let _ = json::members(body, 0..body.len(), |key, value| {
            match bounds(dialect, Place::Request, &key) {
                Some(Place::Config) if value.shape == Shape::Object => {
                    return json::members(body, value.range, |key, value| {
                        tally.bound(bounds(dialect, Place::Config, &key), &body[value.range]);
                        Ok(())
                    });
                }
                place => tally.bound(place, &body[value.range.clone()]),
            }
            if dialect == Dialect::OpenAiCompletions && key == "prompt" && value.shape == Shape::Array {
                // At least as many as there are commas between them.
                tally.prompts = memchr::memchr_iter(b',', &body[value.range]).count() as u64 + 1;
            }
            Ok(())
        });
        let text = count::sixths(&String::from_utf8_lossy(body)).div_ceil(6);
        Self {
            asked_output: tally.asked_output,
            choices: tally.choices.max(1).saturating_mul(tally.prompts.max(1)),
            ..Self::of_prompt(text.saturating_add(REQUEST))
        }
    }

    /// A request of which nothing is known but its prompt's size.
    pub fn of_prompt(prompt_tokens: u64) -> Self {
        Self { prompt_tokens, images: 0, sounds: 0, files: 0, asked_output: None, choices: 1, caches_for_an_hour: true }
    }

    /// Whether the prompt holds more than text.
    pub fn is_rough(&self) -> bool {
        self.images + self.sounds + self.files > 0
    }

    /// The most output tokens that the answer can have: what is asked for but no more than the model gives, else what
    /// the model gives, else `default`; times the choices.
    pub fn worst_output(&self, limits: &Limits, default: u64) -> u64 {
        let most = match (self.asked_output, limits.max_output_tokens) {
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(asked), None) => asked,
            (None, limit) => limit.unwrap_or(default),
        };
        most.saturating_mul(self.choices)
    }
}

#[derive(Debug)]
struct Tally {
    dialect: Dialect,
    /// Of a token, so that thirds are whole numbers.
    sixths: u64,
    tokens: u64,
    images: u64,
    sounds: u64,
    sound_bytes: u64,
    files: u64,
    file_bytes: u64,
    asked_output: Option<u64>,
    choices: u64,
    /// Of a text completion, each of which is answered.
    prompts: u64,
    media: Media,
}

/// Encoded bytes that are being read, and what they are as far as it has been told.
#[derive(Debug, Default)]
struct Media {
    bytes: u64,
    /// As if they were text, while it is not known that they are not.
    sixths: u64,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Sound,
    Text,
    File,
}

impl Kind {
    fn of_type(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Sound,
            Some("text") => Self::Text,
            _ => Self::File,
        }
    }
}

impl Tally {
    fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            sixths: 0,
            tokens: 0,
            images: 0,
            sounds: 0,
            sound_bytes: 0,
            files: 0,
            file_bytes: 0,
            asked_output: None,
            choices: 1,
            prompts: 0,
            media: Media::default(),
        }
    }

    /// Encoded bytes have come to their end.
    fn end_media(&mut self) {
        let Media { bytes, sixths, kind } = std::mem::take(&mut self.media);
        match kind {
            // Without bytes it is a name, of something of any size.
            _ if bytes == 0 => self.images += 1,
            Some(Kind::Text) => self.sixths += sixths,
            Some(Kind::Image) => self.images += 1,
            Some(Kind::Sound) => {
                self.sounds += 1;
                self.sound_bytes += bytes;
            }
            Some(Kind::File) | None => {
                self.files += 1;
                self.file_bytes += bytes;
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.sixths += count::sixths(text);
    }

    /// A number that may bound the answer. One below nothing bounds nothing.
    fn number(&mut self, place: Place, number: f64) {
        // The next whole number that fits.
        let tokens = number.ceil() as u64;
        match place {
            Place::MaxTokens if number >= 0.0 => self.asked_output = self.asked_output.max(Some(tokens)),
            Place::Choices => self.choices = self.choices.max(tokens),
            _ => {}
        }
    }

    /// The same, as it is written in a body.
    fn bound(&mut self, place: Option<Place>, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        if let (Some(place), Some(number)) = (place, json::told_number(text.trim_matches('"'))) {
            self.number(place, number);
        }
    }
}

/// Where in a request a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
struct At<'t> {
    place: Place,
    tally: &'t mut Tally,
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
fn bounds(dialect: Dialect, of: Place, name: &str) -> Option<Place> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Estimate {
        Estimate::read(Dialect::OpenAiChat, body.to_string().as_bytes()).unwrap()
    }

    fn prompt(text: &str) -> Value {
        json!({ "model": "echo", "messages": [{ "role": "user", "content": text }] })
    }

    /// Texts, and the larger count of the tokenizers cl100k_base and o200k_base.
    const COUNTED: [(u64, &str); 16] = [
        (22, "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening because it is tired."),
        (
            27,
            "Please summarise the following report in three sentences. Keep the figures, name the risks, and say what should be decided by Friday.",
        ),
        (
            32,
            "fn main() {\n    let total: u64 = items.iter().map(|item| item.price * item.count).sum();\n    println!(\"{total}\");\n}\n",
        ),
        (37, "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n"),
        (
            32,
            "SELECT u.id, COUNT(*) FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total > 100.50 GROUP BY u.id;",
        ),
        (29, "{\"id\":42,\"tags\":[\"a\",\"b\"],\"nested\":{\"x\":1.5,\"y\":-2,\"ok\":true}}"),
        (27, "\t\t\tif err != nil {\n\t\t\t\treturn nil, fmt.Errorf(\"open %q: %w\", path, err)\n\t\t\t}\n"),
        (29, "if(a&&b||!c){x=[1,2,3].map(y=>y**2);return{x,z:-1}}"),
        (19, "3.14159 26535 89793 23846 26433 83279"),
        (18, "https://api.example.com/v1/users?id=123&sort=-created_at#top"),
        (35, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (
            32,
            "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt.",
        ),
        (16, "你好，请用三句话总结下面的报告。"),
        (45, "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
        (35, "Все люди рождаются свободными и равными в своем достоинстве и правах."),
        (37, "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق."),
    ];

    #[test]
    fn prose_and_code_are_estimated_high_but_not_by_much() {
        let framing = read(&prompt("")).prompt_tokens;
        for (tokens, text) in COUNTED {
            let estimate = read(&prompt(text)).prompt_tokens - framing;
            assert!(estimate >= tokens, "{estimate} < {tokens}: {text}");
            assert!(estimate <= tokens * 5 / 2, "{estimate} is far above {tokens}: {text}");
        }
    }

    #[test]
    fn what_is_not_text_is_flagged_and_not_counted_as_text() {
        let image = format!("data:image/png;base64,{}", "A".repeat(400_000));
        let estimate = read(&json!({ "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "What is this?" },
            { "type": "image_url", "image_url": { "url": image, "detail": "high" } },
        ] }] }));
        assert_eq!((estimate.images, estimate.sounds, estimate.files, estimate.is_rough()), (1, 0, 0, true));
        assert!((2_000..2_100).contains(&estimate.prompt_tokens), "{}", estimate.prompt_tokens);
        let estimate = read(&json!({ "messages": [{ "role": "user", "content": [
            { "type": "input_audio", "input_audio": { "data": "A".repeat(10_000), "format": "mp3" } },
            { "type": "file", "file": { "file_data": "A".repeat(10_000), "filename": "a.pdf" } },
        ] }] }));
        assert_eq!((estimate.images, estimate.sounds, estimate.files, estimate.is_rough()), (0, 1, 1, true));
        assert!((2_600..2_700).contains(&estimate.prompt_tokens), "{}", estimate.prompt_tokens);
        assert!(!read(&prompt("hello")).is_rough());
    }

    #[test]
    fn nothing_that_a_model_may_read_is_free() {
        let plain = read(&prompt("hello")).prompt_tokens;
        let long = "word ".repeat(300);
        for (path, value) in [
            ("tools", json!([{ "type": "function", "function": { "name": "f", "description": long } }])),
            ("response_format", json!({ "type": "json_schema", "json_schema": { "schema": { "description": long } } })),
            ("prediction", json!({ "type": "content", "content": long })),
            ("something_new", json!(long)),
            ("messages", json!([{ "role": "tool", "content": long }])),
            (
                "messages",
                json!([{ "role": "assistant", "content": null, "tool_calls": [{ "function": { "arguments": long } }] }]),
            ),
            ("messages", json!([{ "role": "user", "content": [{ "type": "refusal", "refusal": long }] }])),
        ] {
            let mut body = prompt("hello");
            body[path] = value;
            assert!(read(&body).prompt_tokens > plain.min(20) + 300, "{body}");
        }
    }

    #[test]
    fn the_output_is_bounded_by_request_model_or_default() {
        let limits = |max_output_tokens| Limits { context: None, max_output_tokens };
        let worst = |more: Value, limit: Option<u64>| {
            let mut body = prompt("hello");
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&body).worst_output(&limits(limit), 4_096)
        };
        assert_eq!(worst(json!({}), None), 4_096);
        assert_eq!(worst(json!({}), Some(16_384)), 16_384);
        assert_eq!(worst(json!({ "max_tokens": 100 }), Some(16_384)), 100);
        assert_eq!(worst(json!({ "max_tokens": 100_000 }), Some(16_384)), 16_384);
        assert_eq!(worst(json!({ "max_tokens": 100_000 }), None), 100_000);
        assert_eq!(worst(json!({ "max_tokens": 5, "max_completion_tokens": 7 }), None), 7);
        assert_eq!(worst(json!({ "max_tokens": null, "n": null }), None), 4_096);
        assert_eq!(worst(json!({ "max_tokens": 100, "n": 3 }), None), 300);
        assert_eq!(worst(json!({ "n": 0 }), None), 4_096);
        assert_eq!(worst(json!({ "n": 3.0, "max_tokens": 1e3 }), None), 3_000);
        assert_eq!(worst(json!({ "n": "3", "max_tokens": "1_000" }), None), 3_000);
        assert_eq!(worst(json!({ "n": 2.5, "max_tokens": 10.5 }), None), 33, "rounded up");
        assert_eq!(worst(json!({ "n": -3, "max_tokens": -1 }), None), 4_096, "which is no bound");
        assert_eq!(worst(json!({ "n": [1], "max_tokens": {"a": 1} }), None), 4_096);
        assert_eq!(worst(json!({ "max_tokens": u64::MAX, "n": u64::MAX }), None), u64::MAX);
    }

    #[test]
    fn each_dialect_is_bounded_where_it_says_so_and_nowhere_else() {
        let bound = |dialect, body: Value| {
            let read = Estimate::read(dialect, body.to_string().as_bytes()).unwrap();
            (read.asked_output, read.choices)
        };
        for (dialect, body, expected) in [
            (Dialect::Anthropic, json!({ "max_tokens": 5, "n": 3 }), (Some(5), 1)),
            (Dialect::Cohere, json!({ "max_tokens": 5 }), (Some(5), 1)),
            (Dialect::OpenAiResponses, json!({ "max_output_tokens": 5, "max_tokens": 1 }), (Some(5), 1)),
            (Dialect::OpenAiChat, json!({ "max_output_tokens": 5 }), (None, 1)),
            (Dialect::OpenAiChat, json!({ "generationConfig": { "maxOutputTokens": 5 } }), (None, 1)),
            (Dialect::Gemini, json!({ "max_tokens": 5 }), (None, 1)),
            (
                Dialect::Gemini,
                json!({ "generationConfig": { "maxOutputTokens": 5, "candidateCount": 2 } }),
                (Some(5), 2),
            ),
            (Dialect::Gemini, json!({ "generation_config": { "max_output_tokens": 5 } }), (Some(5), 1)),
            (Dialect::Bedrock, json!({ "inferenceConfig": { "maxTokens": 5 } }), (Some(5), 1)),
            (
                Dialect::OpenAiCompletions,
                json!({ "prompt": ["a", "b"], "max_tokens": 5, "best_of": 3, "n": 1 }),
                (Some(5), 6),
            ),
            (Dialect::OpenAiCompletions, json!({ "prompt": [[1, 2], [3]] }), (None, 2)),
            (Dialect::OpenAiCompletions, json!({ "prompt": [1, 2, 3] }), (None, 1)),
        ] {
            assert_eq!(bound(dialect, body.clone()), expected, "{dialect} {body}");
        }
    }

    #[test]
    fn media_of_each_dialect_are_not_counted_as_text() {
        let data = "A".repeat(40_000);
        let image = |dialect: Dialect, part: Value| {
            let body = match dialect {
                Dialect::Gemini => json!({ "contents": [{ "role": "user", "parts": [part] }] }),
                Dialect::OpenAiResponses => json!({ "input": [{ "role": "user", "content": [part] }] }),
                _ => json!({ "messages": [{ "role": "user", "content": [part] }] }),
            };
            Estimate::read(dialect, body.to_string().as_bytes()).unwrap()
        };
        let base64 = json!({ "type": "base64", "media_type": "image/png", "data": data });
        for (dialect, part) in [
            (Dialect::Anthropic, json!({ "type": "image", "source": base64 })),
            (Dialect::Anthropic, json!({ "type": "tool_result", "content": [{ "type": "image", "source": base64 }] })),
            (Dialect::Gemini, json!({ "inlineData": { "mimeType": "image/png", "data": data } })),
            (Dialect::Gemini, json!({ "inline_data": { "data": data, "mime_type": "image/png" } })),
            (Dialect::Gemini, json!({ "fileData": { "fileUri": "https://x.example/a", "mimeType": "video/mp4" } })),
            (Dialect::Bedrock, json!({ "image": { "format": "png", "source": { "bytes": data } } })),
            (Dialect::OpenAiResponses, json!({ "type": "input_image", "image_url": data })),
        ] {
            let read = image(dialect, part.clone());
            assert_eq!((read.images, read.is_rough()), (1, true), "{dialect}");
            assert!((2_000..2_200).contains(&read.prompt_tokens), "{dialect} {}", read.prompt_tokens);
        }
        let text = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "a word ".repeat(500) } });
        assert!(image(Dialect::Anthropic, text).prompt_tokens > 1_000, "plain text is text");
        let pdf = json!({ "document": { "format": "pdf", "name": "a", "source": { "bytes": data } } });
        assert!(image(Dialect::Bedrock, pdf).prompt_tokens >= 10_000);
    }

    #[test]
    fn what_only_others_read_is_bounded_all_the_same() {
        for (dialect, body, expected) in [
            (Dialect::OpenAiChat, r#"{"messages":["\ud83d"],"max_tokens":100000,"n":2}"#, (Some(100_000), 2)),
            (Dialect::OpenAiChat, r#"{"messages":["\ud83d"],"max_tokens":"1e5","n":"2"}"#, (Some(100_000), 2)),
            (Dialect::OpenAiCompletions, r#"{"prompt":["\ud83d","b"],"max_tokens":5}"#, (Some(5), 2)),
            (Dialect::Gemini, r#"{"contents":["\ud83d"],"generationConfig":{"maxOutputTokens":7}}"#, (Some(7), 1)),
        ] {
            assert!(Estimate::read(dialect, body.as_bytes()).is_err(), "{body}");
            let bound = Estimate::of_unread(dialect, body.as_bytes());
            assert_eq!((bound.asked_output, bound.choices), expected, "{body}");
            assert!(bound.prompt_tokens >= 20, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for body in ["", "{", "{} x", "{\"messages\":[", "nope"] {
            assert!(Estimate::read(Dialect::OpenAiChat, body.as_bytes()).is_err(), "{body}");
        }
    }

    fn content() -> impl Strategy<Value = Value> {
        let part = prop_oneof![
            ".{0,60}".prop_map(|text| json!({ "type": "text", "text": text })),
            Just(json!({ "type": "image_url", "image_url": { "url": "https://x.example/a.png" } })),
        ];
        prop_oneof![
            Just(Value::Null),
            ".{0,200}".prop_map(Value::from),
            "[a-z ]{0,600}".prop_map(Value::from),
            proptest::collection::vec(part, 0..5).prop_map(Value::from),
        ]
    }

    /// Bytes of text as the simulated provider counts them.
    fn text_bytes(content: &Value) -> usize {
        match content {
            Value::String(text) => text.len(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).map(str::len).sum(),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn never_below_the_simulated_provider(
            contents in proptest::collection::vec(content(), 1..12),
            tools in proptest::collection::vec("[a-z]{0,8}", 0..4),
            roles in proptest::collection::vec(prop_oneof![Just("user"), Just("assistant"), Just("system")], 12),
        ) {
            let messages: Vec<Value> = contents
                .iter()
                .zip(roles)
                .map(|(content, role)| json!({ "role": role, "content": content }))
                .collect();
            let names: Vec<Value> =
                tools.iter().map(|name| json!({ "type": "function", "function": { "name": name } })).collect();
            let body = json!({ "model": "echo", "messages": messages, "tools": names });
            let counted = peerway_simulated_provider::prompt_tokens(contents.iter().map(text_bytes), tools.len());
            let estimate = read(&body).prompt_tokens;
            prop_assert!(estimate >= counted, "{estimate} < {counted}");
        }

        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for dialect in Dialect::ALL {
                let _ = Estimate::read(dialect, &body);
            }
        }
    }
}
