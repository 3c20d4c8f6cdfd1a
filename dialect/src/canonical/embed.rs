//! Vectors of texts.

use super::{Extra, Usage};

/// OpenAI `embeddings`; Gemini `embedContent` (one input) and `batchEmbedContents`; Cohere `embed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedRequest {
    pub model: String,
    pub inputs: Vec<EmbedInput>,
    /// OpenAI `dimensions`, Gemini `outputDimensionality`, Cohere `output_dimension`.
    pub dimensions: Option<u64>,
    /// How the client wants the vectors written; providers are asked for what their dialect can.
    pub encoding: VectorEncoding,
    /// What the vectors are for: Cohere's `input_type` (required there; `search_document` without) and Gemini's
    /// `taskType`, in Cohere's words where both have one, else as it was.
    pub task: Option<String>,
    pub user: Option<String>,
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    Text(String),
    /// Token ids of the model's own tokenizer (OpenAI); refused elsewhere.
    Tokens(Vec<u64>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VectorEncoding {
    #[default]
    Float,
    /// Little-endian f32, base64 (OpenAI's SDKs ask for it unless told otherwise).
    Base64,
}

/// Vectors in the order of the inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbedAnswer {
    pub id: String,
    pub model: String,
    pub vectors: Vec<Vec<f32>>,
    pub usage: Option<Usage>,
}
