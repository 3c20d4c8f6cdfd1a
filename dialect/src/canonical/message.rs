//! What was said: messages and the parts they are made of.

use crate::{Dialect, Json};

/// Who speaks.
///
/// - OpenAI: the roles as they are (`function` is read as `tool`).
/// - Anthropic, Gemini, Bedrock have `user` and `assistant` (`model`) alone: system and developer text goes to their own
///   field, and tool results into a user message.
/// - Cohere has no developer: it becomes system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    /// Holds [`Content::ToolResult`] parts and nothing else; one message or several for parallel calls.
    Tool,
}

/// One turn, or a part of one: several messages of one role in a row are allowed, and dialects that want turns to
/// alternate join them.
///
/// - OpenAI `content` as a string is one [`Content::Text`] part; `reasoning_content`, `content`, `refusal` and
///   `tool_calls` of an assistant become parts in this order.
/// - Anthropic user messages are split where tool results meet other blocks, and joined again on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
    /// The participant's name (OpenAI `name`); other dialects drop it.
    pub name: Option<String>,
}

impl Message {
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None }
    }

    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }
}

/// A piece of a message or of an answer, with what any kind of piece may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub content: Content,
    /// The prompt may be cached up to here.
    pub cache: Option<CacheMark>,
    /// The provider's proof that it made this part.
    pub signature: Option<Signature>,
}

impl Part {
    pub fn new(content: Content) -> Self {
        Self { content, cache: None, signature: None }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    pub fn tool_call(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::new(Content::ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self::new(content)
    }
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// OpenAI `image_url` (a data URL is [`Source::Base64`]), Anthropic `image`, Gemini `inlineData`/`fileData`,
    /// Bedrock `image`. `detail` is OpenAI's and Cohere's and dropped elsewhere;
    /// `auto`, their default, is not kept.
    Image {
        source: Source,
        detail: Option<String>,
    },
    /// A document. OpenAI `file`, Anthropic and Bedrock `document`, Gemini `inlineData`/`fileData` of other types.
    File {
        source: Source,
        name: Option<String>,
        /// What the document is about (Anthropic, Bedrock `context`); dropped elsewhere.
        context: Option<String>,
        /// Whether the model should cite it (Anthropic, Bedrock, Cohere); dropped elsewhere.
        cite: bool,
    },
    /// OpenAI `input_audio` (`format` `wav`, `mp3`), Gemini `inlineData` with `audio/*`. `data` is base64.
    Audio {
        format: String,
        data: String,
    },
    /// `arguments` is the JSON text as the model wrote it: OpenAI's string as it is (possibly not valid JSON), the text
    /// of Anthropic's and Bedrock's `input` and Gemini's `args`. Without arguments it is `{}`.
    /// Where a dialect has no ids, see [`super::made_call_id`].
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// Text, images and files. OpenAI has no `is_error` (dropped); Gemini finds the function's name by `call_id`.
    ToolResult {
        call_id: String,
        parts: Vec<Part>,
        is_error: bool,
    },
    /// What the model thought, as far as it is shown. Anthropic and Bedrock need the [`Signature`] to take it back and
    /// OpenAI-like providers do not take it back at all: it is dropped from the history there.
    Thinking {
        text: String,
    },
    /// Thoughts that only the provider can read (Anthropic `redacted_thinking`, Bedrock `redactedContent`, OpenAI
    /// responses `encrypted_content`). Dropped where `of` is another family.
    RedactedThinking {
        of: Dialect,
        data: String,
    },
    /// The model declined, in words (OpenAI `refusal`). Elsewhere it is text.
    Refusal(String),
    /// A piece that only its own dialect understands. Carried to that dialect, refused by others; in an answer left out.
    Other {
        of: Dialect,
        json: Json,
    },
}

/// Where the bytes of an image or file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Url(String),
    /// `data` stays base64 text.
    Base64 {
        media_type: String,
        data: String,
    },
    /// Plain text (Anthropic, Bedrock).
    Text(String),
    /// An upload at the provider, which no other provider has.
    Id {
        of: Dialect,
        id: String,
    },
}

/// A place up to which the provider should cache the prompt. Anthropic `cache_control`, Bedrock `cachePoint`; OpenAI-like
/// chat bodies may carry Anthropic's form. A hint: dropped where caching is automatic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheMark {
    /// `5m` or `1h`; the provider's default without.
    pub ttl: Option<String>,
}

/// An opaque proof that a provider gives with thoughts or calls and wants back in the next turn: Anthropic's and Bedrock's
/// thinking `signature`, Gemini's `thoughtSignature`, OpenAI responses' encrypted reasoning. Worthless to another family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub of: Dialect,
    pub data: String,
}

impl Signature {
    pub fn new(of: Dialect, data: impl Into<String>) -> Self {
        Self { of, data: data.into() }
    }

    /// The form for a field that is native to `field_of`: as it is when it is of that family, else with its origin in
    /// front (`gemini:...`), so that it finds its way back through a client that only echoes it.
    pub fn tagged(&self, field_of: Dialect) -> String {
        if family(self.of) == family(field_of) { self.data.clone() } else { format!("{}:{}", self.of, self.data) }
    }

    /// Reads what [`Signature::tagged`] wrote. Base64 has no colon, so a real signature is never mistaken.
    pub fn from_tagged(text: &str, field_of: Dialect) -> Self {
        for of in Dialect::ALL {
            if let Some(data) = text.strip_prefix(of.name()).and_then(|rest| rest.strip_prefix(':')) {
                return Self::new(of, data);
            }
        }
        Self::new(family(field_of), text)
    }

    /// The form for dialects that have signatures on thoughts alone: an empty thought holds it, and it belongs to the
    /// part after (Gemini signs calls and texts).
    pub fn for_next(&self) -> String {
        format!("next:{}:{}", self.of, self.data)
    }

    /// Reads what [`Signature::for_next`] wrote.
    pub fn from_for_next(text: &str) -> Option<Self> {
        let (of, data) = text.strip_prefix("next:")?.split_once(':')?;
        let of = Dialect::ALL.into_iter().find(|dialect| dialect.name() == of)?;
        Some(Self::new(of, data))
    }

    /// Whether a provider that speaks `target` can check it.
    pub fn is_for(&self, target: Dialect) -> bool {
        family(self.of) == family(target)
    }
}

/// Claude signs alike wherever it is served.
fn family(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Bedrock => Dialect::Anthropic,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_finds_its_way_back() {
        for of in Dialect::ALL {
            for field in Dialect::ALL {
                let signature = Signature::new(of, "Ab+/=");
                assert!(Signature::from_tagged(&signature.tagged(field), field).is_for(of), "{of} in {field}");
            }
        }
        for of in Dialect::ALL {
            let signature = Signature::new(of, "a:b");
            assert_eq!(Signature::from_for_next(&signature.for_next()), Some(signature));
        }
        assert_eq!(Signature::from_for_next("next:nobody:x"), None);
        assert_eq!(Signature::new(Dialect::Anthropic, "x").tagged(Dialect::Bedrock), "x");
        assert!(!Signature::new(Dialect::Gemini, "x").is_for(Dialect::Anthropic));
    }
}
