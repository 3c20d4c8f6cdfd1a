//! What a client wants done, whichever dialect it says it in.

/// One of the things that the gateway does for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A conversation goes on: chat completions, messages, generateContent, Converse.
    Chat,
    /// OpenAI's text completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    CountTokens,
    Embeddings,
    Rerank,
    Moderations,
    ImageGenerations,
    ImageEdits,
    Speech,
    Transcriptions,
    Translations,
}

impl Operation {
    pub const ALL: [Self; 12] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::CountTokens,
        Self::Embeddings,
        Self::Rerank,
        Self::Moderations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
    ];

    /// Nobody charges for it, or who does says so in the answer: nothing is reserved.
    pub fn is_free(self) -> bool {
        matches!(self, Self::CountTokens | Self::Moderations)
    }

    /// Its name in messages and in cache ids. OpenAI's path, where OpenAI has one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::CountTokens => "count_tokens",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderations => "moderations",
            Self::ImageGenerations => "images/generations",
            Self::ImageEdits => "images/edits",
            Self::Speech => "audio/speech",
            Self::Transcriptions => "audio/transcriptions",
            Self::Translations => "audio/translations",
        }
    }
}
