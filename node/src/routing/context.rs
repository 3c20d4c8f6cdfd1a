//! Whether a provider says that a request is longer than its model's context window, in which words it ever says so.

/// Codes of those that have one for it.
const CODES: [&str; 3] = ["context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"];

/// Pieces of what the others say, in lower case.
const WORDS: [&str; 18] = [
    "maximum context length",               // OpenAI, DeepSeek, OpenRouter, Mistral, vLLM
    "context window",                       // OpenAI's responses, LiteLLM
    "context length exceeded",              // proxies in between
    "context_length_exceeded",              // those that put the code into the message
    "reduce the length of the",             // Groq
    "prompt is too long",                   // Anthropic
    "exceed context limit",                 // Anthropic, with the answer that was asked for
    "input length and `max_tokens` exceed", // Bedrock, of Anthropic's models
    "exceeds the maximum number of tokens", // Gemini
    "input is too long",                    // Bedrock
    "too many input tokens",                // Bedrock, of Amazon's models
    "input token count",                    // Gemini, Vertex
    "too many tokens: ",                    // Cohere
    "longer than the maximum model length", // vLLM
    "exceeds the available context size",   // llama.cpp
    "tokens + `max_new_tokens` must be",    // Together, Hugging Face
    "maximum prompt length is",             // xAI
    "exceeds the model's context",          // Fireworks and others
];

/// Whether an error answer of this status says so: by its code where it has one for it, else by its words.
pub fn is_exceeded(status: u16, code: Option<&str>, message: &str) -> bool {
    matches!(status, 400 | 413 | 422) && (code.is_some_and(is_code) || says(&message.to_ascii_lowercase()))
}

/// Whether an error's code says so.
pub fn is_code(code: &str) -> bool {
    CODES.iter().any(|known| known.eq_ignore_ascii_case(code))
}

/// Whether an error's message says so, in lower case.
pub fn says(message: &str) -> bool {
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
