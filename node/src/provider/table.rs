//! The kinds of providers, a row each: where they are, how a key is shown, what they speak and what they are particular
//! about. A provider that is like the others is a row here and nothing else.

use peerway_dialect::Dialect;
use peerway_dialect::openai::chat::Target;

use crate::config::ProviderKind;
use crate::operation::Operation::{
    self, CountTokens, Embeddings, ImageEdits, ImageGenerations, Moderations, Rerank, Speech, Transcriptions,
    Translations,
};

/// What all requests to a kind of provider have in common.
#[derive(Debug)]
pub struct Row {
    pub kind: ProviderKind,
    /// As `type` in the configuration.
    pub name: &'static str,
    /// Where it is unless the configuration says otherwise; `None` where only the operator knows.
    pub base_url: Option<&'static str>,
    /// Variables of the environment that hold its key, the first that is set; for the start without a file.
    pub variables: &'static [&'static str],
    pub auth: Auth,
    /// In which dialect it is asked for chat by clients that speak another one.
    pub chat: Dialect,
    pub completions: Completions,
    /// Whether it takes OpenAI's responses as they are.
    pub responses: bool,
    /// What it does besides, in the wire format that belongs to it, see [`wire_format`].
    pub operations: &'static [Operation],
    /// The habits of a provider that speaks chat completions.
    pub target: Target,
    /// Whether a stream may be asked for its usage by `stream_options`; the others tell it unasked.
    pub stream_options: bool,
}

/// How a key is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer`
    Bearer,
    /// A header of the provider's own that holds the key and nothing else.
    Header(&'static str),
    /// A signature (SigV4), or for a Bedrock API key `authorization: Bearer`.
    Aws,
    /// An access token, the operator's or one that a service account has been given.
    Google,
}

/// Which models take OpenAI's text completions as they are; the others are asked in chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completions {
    All,
    /// OpenAI's last three.
    Instruct,
    None,
}

const OPENAI: Row = Row {
    kind: ProviderKind::OpenAi,
    name: "openai",
    base_url: Some("https://api.openai.com/v1"),
    variables: &["OPENAI_API_KEY"],
    auth: Auth::Bearer,
    chat: Dialect::OpenAiChat,
    completions: Completions::Instruct,
    responses: true,
    operations: &[Embeddings, Moderations, ImageGenerations, ImageEdits, Speech, Transcriptions, Translations],
    target: Target::OPENAI,
    // Its newer models refuse the older name.
    stream_options: true,
};

/// A provider of which nothing is known but that it speaks chat completions.
const ALIKE: Row = Row {
    kind: ProviderKind::OpenAiCompatible,
    name: "openai_compatible",
    base_url: None,
    variables: &[],
    completions: Completions::None,
    responses: false,
    operations: &[Embeddings, Rerank, Moderations, ImageGenerations, ImageEdits, Speech, Transcriptions, Translations],
    target: Target::ALIKE,
    ..OPENAI
};

/// One that speaks a dialect of its own.
const OTHER: Row = Row { operations: &[], stream_options: false, ..ALIKE };

const TOP_K: Target = Target { top_k: true, ..Target::ALIKE };

/// All of them, in the order of the documentation.
pub static TABLE: [Row; 22] = [
    OPENAI,
    Row {
        kind: ProviderKind::Anthropic,
        name: "anthropic",
        base_url: Some("https://api.anthropic.com/v1"),
        variables: &["ANTHROPIC_API_KEY"],
        auth: Auth::Header("x-api-key"),
        chat: Dialect::Anthropic,
        operations: &[CountTokens],
        ..OTHER
    },
    Row {
        kind: ProviderKind::Gemini,
        name: "gemini",
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        auth: Auth::Header("x-goog-api-key"),
        chat: Dialect::Gemini,
        operations: &[CountTokens, Embeddings],
        ..OTHER
    },
    Row {
        kind: ProviderKind::Vertex,
        name: "vertex",
        auth: Auth::Google,
        chat: Dialect::Gemini,
        operations: &[CountTokens],
        ..OTHER
    },
    Row {
        kind: ProviderKind::Azure,
        name: "azure",
        base_url: None,
        variables: &["AZURE_OPENAI_API_KEY"],
        auth: Auth::Header("api-key"),
        operations: &[Embeddings, ImageGenerations, ImageEdits, Speech, Transcriptions, Translations],
        ..OPENAI
    },
    Row {
        kind: ProviderKind::Bedrock,
        name: "bedrock",
        variables: &["AWS_BEARER_TOKEN_BEDROCK"],
        auth: Auth::Aws,
        chat: Dialect::Bedrock,
        // Of models that make vectors.
        operations: &[Embeddings],
        ..OTHER
    },
    Row {
        kind: ProviderKind::Cohere,
        name: "cohere",
        base_url: Some("https://api.cohere.com/v2"),
        variables: &["COHERE_API_KEY", "CO_API_KEY"],
        chat: Dialect::Cohere,
        operations: &[Embeddings, Rerank],
        ..OTHER
    },
    Row {
        kind: ProviderKind::Mistral,
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        variables: &["MISTRAL_API_KEY"],
        operations: &[Embeddings, Moderations, Transcriptions],
        stream_options: false,
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Groq,
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        variables: &["GROQ_API_KEY"],
        operations: &[Speech, Transcriptions, Translations],
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Together,
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        variables: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
        completions: Completions::All,
        operations: &[Embeddings, Rerank, ImageGenerations, Speech, Transcriptions, Translations],
        target: TOP_K,
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Fireworks,
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        variables: &["FIREWORKS_API_KEY"],
        completions: Completions::All,
        operations: &[Embeddings, Rerank],
        target: TOP_K,
        ..ALIKE
    },
    Row {
        kind: ProviderKind::DeepSeek,
        name: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        variables: &["DEEPSEEK_API_KEY"],
        operations: &[],
        // With its thinking models the thoughts of a turn with tools must come back.
        target: Target { reasoning_content: true, ..Target::ALIKE },
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Xai,
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        variables: &["XAI_API_KEY"],
        responses: true,
        operations: &[ImageGenerations],
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Perplexity,
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        variables: &["PERPLEXITY_API_KEY"],
        operations: &[],
        target: TOP_K,
        stream_options: false,
        ..ALIKE
    },
    Row {
        kind: ProviderKind::OpenRouter,
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        variables: &["OPENROUTER_API_KEY"],
        completions: Completions::All,
        operations: &[Embeddings],
        target: Target { cache_control: true, ..TOP_K },
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Ollama,
        name: "ollama",
        base_url: Some("http://127.0.0.1:11434/v1"),
        completions: Completions::All,
        operations: &[Embeddings],
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Vllm,
        name: "vllm",
        completions: Completions::All,
        operations: &[Embeddings, Rerank, Transcriptions, Translations],
        target: TOP_K,
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Cerebras,
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        variables: &["CEREBRAS_API_KEY"],
        completions: Completions::All,
        operations: &[],
        ..ALIKE
    },
    Row {
        kind: ProviderKind::Nvidia,
        name: "nvidia",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        variables: &["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
        operations: &[Embeddings],
        ..ALIKE
    },
    Row {
        kind: ProviderKind::HuggingFace,
        name: "huggingface",
        base_url: Some("https://router.huggingface.co/v1"),
        variables: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        operations: &[],
        ..ALIKE
    },
    ALIKE,
    Row { kind: ProviderKind::Simulated, name: "simulated", ..ALIKE },
];

/// The row of a kind.
pub fn row(kind: ProviderKind) -> &'static Row {
    static LAST: Row = ALIKE;
    // A test holds the table to every kind having a row.
    TABLE.iter().find(|row| row.kind == kind).unwrap_or(&LAST)
}

/// In which wire format an operation other than chat is asked of a provider that does it.
pub(super) fn wire_format(operation: Operation, chat: Dialect) -> Dialect {
    match (operation, chat) {
        // OpenAI has none: everybody takes Cohere's.
        (Rerank, _) => Dialect::Cohere,
        (_, own) => own,
    }
}
