//! How likely the tokens were.

/// OpenAI `choices[].logprobs`, Gemini `logprobsResult`, Cohere `logprobs`. Anthropic and Bedrock have none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logprobs {
    pub content: Vec<TokenLogprob>,
    /// Tokens of a refusal (OpenAI).
    pub refusal: Vec<TokenLogprob>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    /// The token's bytes, where it is not whole characters.
    pub bytes: Option<Vec<u8>>,
    pub top: Vec<TopLogprob>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
}
