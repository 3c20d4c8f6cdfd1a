//! Which path a request goes to, behind the base URL.

use peerway_dialect::Dialect;
use peerway_dialect::gemini::Method;

use crate::operation::Operation;

/// A thing that providers can be asked for, in one dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// At the same path whatever the model.
    Fixed(Fixed),
    Gemini(Method),
    Converse {
        stream: bool,
    },
    /// A model of Bedrock's in its vendor's words.
    Invoke,
}

/// The endpoints that have no model in their path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixed {
    ChatCompletions,
    Completions,
    Responses,
    Messages,
    CountTokens,
    CohereChat,
    CohereEmbed,
    Rerank,
    Embeddings,
    Moderations,
    ImageGenerations,
    ImageEdits,
    Speech,
    Transcriptions,
    Translations,
}

impl Fixed {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 15] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Rerank,
        Self::Embeddings,
        Self::Moderations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "messages/count_tokens",
            Self::CohereChat => "chat",
            Self::CohereEmbed => "embed",
            Self::Rerank => "rerank",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::ImageGenerations => "images/generations",
            Self::ImageEdits => "images/edits",
            Self::Speech => "audio/speech",
            Self::Transcriptions => "audio/transcriptions",
            Self::Translations => "audio/translations",
        }
    }
}

impl Endpoint {
    /// `None`: there is no such thing in that dialect.
    pub(super) fn of(operation: Operation, dialect: Dialect, stream: bool) -> Option<Self> {
        let fixed = match (operation, dialect) {
            (Operation::Chat | Operation::Completions | Operation::Responses, dialect) => match dialect {
                Dialect::OpenAiChat => Fixed::ChatCompletions,
                Dialect::OpenAiCompletions => Fixed::Completions,
                Dialect::OpenAiResponses => Fixed::Responses,
                Dialect::Anthropic => Fixed::Messages,
                Dialect::Cohere => Fixed::CohereChat,
                Dialect::Gemini if stream => return Some(Self::Gemini(Method::StreamGenerateContent)),
                Dialect::Gemini => return Some(Self::Gemini(Method::GenerateContent)),
                Dialect::Bedrock => return Some(Self::Converse { stream }),
            },
            (Operation::CountTokens, Dialect::Anthropic) => Fixed::CountTokens,
            (Operation::CountTokens, Dialect::Gemini) => return Some(Self::Gemini(Method::CountTokens)),
            (Operation::Embeddings, Dialect::Gemini) => return Some(Self::Gemini(Method::BatchEmbedContents)),
            (Operation::Embeddings, Dialect::Cohere) => Fixed::CohereEmbed,
            (Operation::Embeddings, Dialect::Bedrock) => return Some(Self::Invoke),
            (Operation::Rerank, Dialect::Cohere) => Fixed::Rerank,
            (operation, Dialect::OpenAiChat) => match operation {
                Operation::Embeddings => Fixed::Embeddings,
                Operation::Moderations => Fixed::Moderations,
                Operation::ImageGenerations => Fixed::ImageGenerations,
                Operation::ImageEdits => Fixed::ImageEdits,
                Operation::Speech => Fixed::Speech,
                Operation::Transcriptions => Fixed::Transcriptions,
                Operation::Translations => Fixed::Translations,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self::Fixed(fixed))
    }
}
