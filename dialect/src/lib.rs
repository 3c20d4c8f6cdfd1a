//! What clients say and what providers understand: wire formats, and one model in the middle.
//!
//! Every dialect is a set of pure functions between its bytes and [`canonical`], so that any client can be answered by
//! any provider at the price of one module a dialect. Nothing here knows a socket, a clock or a configuration. Where
//! client and provider speak the same dialect the gateway forwards the bytes and does not come here at all.
//!
//! ```text
//! client bytes    --decode_request--> ChatRequest --encode_request--> provider bytes
//! client bytes    <--encode_answer--  ChatAnswer  <--decode_answer--  provider bytes
//! client stream   <--StreamEncoder--  StreamEvent <--StreamDecoder--  provider stream, cut anywhere
//! client error    <--encode_error--   Failure     <--decode_error--   provider error
//! ```
//!
//! # What is not carried over
//!
//! Nothing is lost in silence. One rule decides for every dialect:
//!
//! - **Content** (what the model must see, what it may call) that the target cannot express is *refused*:
//!   [`Unsupported`] names the field and the target.
//! - **Parameters and hints** (penalties, seeds, cache marks, thoughts of earlier turns, fields that only one dialect
//!   knows) that the target lacks are *dropped*, and [`Dropped`] names each for the header `x-peerway-dropped`.
//!   A value that is carried over changed (a temperature held to the target's range) is named there as well.
//! - Of an answer, what the model in the middle has no place for is named in [`canonical::ChatAnswer::unread`], of a
//!   stream in [`Decoder::unread`].
//!
//! # Rooms
//!
//! - [`canonical`]: the model in the middle
//! - [`dropped`]: what could not be carried over
//! - [`json`]: JSON that keeps its text, and reading an object field by field with the place of every error
//! - [`sse`]: server-sent events, cut anywhere
//! - [`openai`]: chat completions, responses, text completions, embeddings
//! - [`cohere`]: v2 chat and its stream, rerank, embed
//! - [`gemini`]: generateContent and its stream, countTokens, embeddings
//! - [`anthropic`]: messages, token counting
//! - [`bedrock`]: Converse and ConverseStream, signatures
//! - [`Decoder`]: what the decoders of all streams do alike

pub mod anthropic;
pub mod bedrock;
pub mod canonical;
pub mod cohere;
mod decoder;
pub mod dropped;
pub mod gemini;
pub mod json;
pub mod openai;
pub mod sse;
mod vector;

pub use decoder::Decoder;
pub use dropped::{Dropped, Unsupported};
pub use json::{DecodeError, Json};

/// A wire format. Also tells where something came from that only its own dialect understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// OpenAI chat completions, and the many providers that are alike.
    OpenAiChat,
    /// OpenAI text completions.
    OpenAiCompletions,
    /// OpenAI responses.
    OpenAiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
    /// Bedrock Converse.
    Bedrock,
    /// Cohere v2.
    Cohere,
}

impl Dialect {
    /// Every dialect, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::OpenAiChat,
        Self::OpenAiCompletions,
        Self::OpenAiResponses,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Cohere,
    ];

    /// The name in messages, headers and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiCompletions => "openai-completions",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
