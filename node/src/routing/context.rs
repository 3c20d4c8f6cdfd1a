//! Whether a provider says that a request is longer than its model's context window, in which words it ever says so.

/// Pieces of what providers say, in lower case.
const WORDS: [&str; 13] = [
    "maximum context length",                // OpenAI, DeepSeek, OpenRouter, Mistral, vLLM
    "exceeds the context window",            // OpenAI's responses
    "reduce the length of the messages",     // Groq
    "prompt is too long",                    // Anthropic
    "exceed context limit",                  // Anthropic, with the answer that was asked for
    "exceeds the maximum number of tokens",  // Gemini
    "input is too long for requested model", // Bedrock
    "too many tokens: ",                     // Cohere
    "longer than the maximum model length",  // vLLM
    "exceeds the available context size",    // llama.cpp
    "tokens + `max_new_tokens` must be",     // Together, Hugging Face
    "maximum prompt length is",              // xAI
    "exceeds the model's context",           // Fireworks and others
];

/// Told by the error's code where there is one for it, else by its words: most providers have no code.
pub fn is_exceeded(status: u16, code: Option<&str>, message: &str) -> bool {
    if !matches!(status, 400 | 413 | 422) {
        return false;
    }
    if matches!(code, Some("context_length_exceeded" | "exceed_context_size_error")) {
        return true;
    }
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_say_of_long_requests() {
        for message in [
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "Please reduce the length of the messages or completion.",
            "prompt is too long: 208310 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000, decrease input length",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "The model returned the following errors: Input is too long for requested model.",
            "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
            "the request exceeds the available context size, try increasing it",
            "`inputs` tokens + `max_new_tokens` must be <= 4097",
            "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
        ] {
            assert!(is_exceeded(400, None, message), "{message}");
            assert!(!is_exceeded(500, None, message), "{message}");
        }
        assert!(is_exceeded(400, Some("context_length_exceeded"), "") && !is_exceeded(400, Some("invalid_value"), ""));
        for message in ["max_tokens is too large: 99999", "the context is not a string", "Invalid 'messages': too long"]
        {
            assert!(!is_exceeded(400, None, message), "{message}");
        }
    }
}
