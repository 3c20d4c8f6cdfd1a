//! What a call cost in tokens.

/// Tokens of one call. `input` is always the whole prompt, cached parts included; `output` always includes thoughts. The
/// other fields say how much of these two was of a kind; 0 is also "not told".
///
/// | here | OpenAI chat | Anthropic | Gemini | Bedrock | Cohere |
/// |---|---|---|---|---|---|
/// | `input` | `prompt_tokens` | `input_tokens` + `cache_read_input_tokens` + `cache_creation_input_tokens` | `promptTokenCount` + `toolUsePromptTokenCount` | `inputTokens` + `cacheReadInputTokens` + `cacheWriteInputTokens` | `tokens.input_tokens` |
/// | `output` | `completion_tokens` | `output_tokens` | `candidatesTokenCount` + `thoughtsTokenCount` | `outputTokens` | `tokens.output_tokens` |
/// | `cached_input` | `prompt_tokens_details.cached_tokens` | `cache_read_input_tokens` | `cachedContentTokenCount` | `cacheReadInputTokens` | `cached_tokens` |
/// | `cache_write` | `prompt_tokens_details.cache_write_tokens` | `cache_creation_input_tokens` | - | `cacheWriteInputTokens` | - |
/// | `reasoning` | `completion_tokens_details.reasoning_tokens` | `output_tokens_details.thinking_tokens` | `thoughtsTokenCount` | - | - |
///
/// In a stream each report is whole and replaces the former.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    /// Read from the provider's prompt cache.
    pub cached_input: u64,
    /// Written to the provider's prompt cache.
    pub cache_write: u64,
    /// The part of `cache_write` that is kept for an hour (Anthropic `ephemeral_1h_input_tokens`), at a higher price.
    pub cache_write_1h: u64,
    pub reasoning: u64,
    pub input_audio: u64,
    pub input_image: u64,
    pub output_audio: u64,
    /// Searches that the provider ran (Anthropic `server_tool_use.web_search_requests`), billed apiece.
    pub web_searches: u64,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The prompt without what was read from or written to the cache: Anthropic's and Bedrock's `input_tokens`.
    pub fn uncached_input(&self) -> u64 {
        self.input.saturating_sub(self.cached_input).saturating_sub(self.cache_write)
    }
}
