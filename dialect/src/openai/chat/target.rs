//! What the providers that are alike do not have alike.

/// How to write a request for a provider that speaks chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// `max_completion_tokens`, which OpenAI's reasoning models insist on; else `max_tokens`, which the others know.
    pub max_completion_tokens: bool,
    /// Whether there is a role `developer`; it is written as `system` where there is none.
    pub developer_role: bool,
    /// Whether thoughts of earlier turns are taken back as `reasoning_content` (DeepSeek, Moonshot).
    pub reasoning_content: bool,
    /// Whether cache marks are taken in Anthropic's form (OpenRouter, LiteLLM).
    pub cache_control: bool,
    /// Whether there is a `top_k` (vLLM and other open servers); others refuse what they do not know.
    pub top_k: bool,
}

impl Target {
    /// OpenAI itself.
    pub const OPENAI: Self = Self {
        max_completion_tokens: true,
        developer_role: true,
        reasoning_content: false,
        cache_control: false,
        top_k: false,
    };

    /// A provider of which nothing is known but that it is alike.
    pub const ALIKE: Self = Self { max_completion_tokens: false, developer_role: false, ..Self::OPENAI };
}

impl Default for Target {
    fn default() -> Self {
        Self::OPENAI
    }
}
