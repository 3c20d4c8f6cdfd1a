//! The functions of each dialect under one name: a request's way from its client's words to its provider's, and the way
//! back of what is not a stream.

use std::borrow::Cow;

use http::HeaderMap;
use peerway_dialect::canonical::{ChatAnswer, ChatRequest, Failure};
use peerway_dialect::openai::chat::Target;
use peerway_dialect::openai::{chat, completions, responses};
use peerway_dialect::{DecodeError, Dialect, Dropped, Unsupported, anthropic, bedrock, cohere, gemini};

use super::Manner;

/// A client's request in the words that all dialects share.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub request: ChatRequest,
    /// Of a text completion: what stands before each answer's text.
    pub echo: Option<String>,
}

/// Reads a client's request. Gemini's and Bedrock's model and stream are in the path: the caller sets them.
pub fn decode_request(client: Dialect, body: &[u8]) -> Result<Decoded, DecodeError> {
    let request = match client {
        Dialect::OpenAiChat => chat::decode_request(body),
        Dialect::OpenAiCompletions => {
            let text = completions::decode_request(body)?;
            return Ok(Decoded { request: text.chat, echo: text.echo });
        }
        Dialect::OpenAiResponses => responses::decode_request(body),
        Dialect::Anthropic => anthropic::decode_request(body),
        Dialect::Gemini => gemini::decode_request(body),
        Dialect::Bedrock => bedrock::decode_request(body),
        Dialect::Cohere => cohere::decode_request(body),
    };
    Ok(Decoded { request: request?, echo: None })
}

/// Writes a request for a provider; `alike` are the habits of one that speaks OpenAI's dialect.
pub fn encode_request(
    provider: Dialect,
    request: &ChatRequest,
    alike: Target,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Unsupported> {
    match provider {
        Dialect::OpenAiChat => chat::encode_request_for(request, alike, dropped),
        Dialect::OpenAiCompletions => {
            let reason = Cow::Borrowed("a conversation cannot be written as a text completion");
            Err(Unsupported::new("messages", provider, reason))
        }
        Dialect::OpenAiResponses => responses::encode_request(request, dropped),
        Dialect::Anthropic => anthropic::encode_request(request, dropped),
        Dialect::Gemini => gemini::encode_request(request, dropped),
        Dialect::Bedrock => bedrock::encode_request(request, dropped),
        Dialect::Cohere => cohere::encode_request(request, dropped),
    }
}

/// Reads a provider's whole answer. Text completions are passed on and never read.
pub fn decode_answer(provider: Dialect, body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    match provider {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => chat::decode_answer(body),
        Dialect::OpenAiResponses => responses::decode_answer(body),
        Dialect::Anthropic => anthropic::decode_answer(body),
        Dialect::Gemini => gemini::decode_answer(body),
        Dialect::Bedrock => bedrock::decode_answer(body),
        Dialect::Cohere => cohere::decode_answer(body),
    }
}

/// Writes a whole answer for a client.
pub fn encode_answer(client: Dialect, answer: &ChatAnswer, manner: &Manner) -> Vec<u8> {
    match client {
        Dialect::OpenAiChat => chat::encode_answer(answer),
        Dialect::OpenAiCompletions => completions::encode_answer(answer, manner.echo.as_deref()),
        Dialect::OpenAiResponses => match &manner.repeats {
            Some(repeats) => responses::encode_answer_to(answer, repeats.clone()),
            None => responses::encode_answer(answer),
        },
        Dialect::Anthropic => anthropic::encode_answer(answer),
        Dialect::Gemini => gemini::encode_answer(answer),
        Dialect::Bedrock => bedrock::encode_answer(answer),
        Dialect::Cohere => cohere::encode_answer(answer),
    }
}

/// What a provider's error answer says.
pub fn decode_error(provider: Dialect, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    match provider {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses => chat::decode_error(status, body),
        Dialect::Anthropic => anthropic::decode_error(status, body),
        Dialect::Gemini => gemini::decode_error(status, body),
        Dialect::Bedrock => {
            let name = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
            bedrock::decode_named_error(status, name, body)
        }
        Dialect::Cohere => cohere::decode_error(status, body),
    }
}

/// The body of an error answer for a client.
pub fn encode_error(client: Dialect, failure: &Failure) -> Vec<u8> {
    match client {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses => chat::encode_error(failure),
        Dialect::Anthropic => anthropic::encode_error(failure),
        Dialect::Gemini => gemini::encode_error(failure),
        Dialect::Bedrock => bedrock::encode_error(failure),
        Dialect::Cohere => cohere::encode_error(failure),
    }
}
