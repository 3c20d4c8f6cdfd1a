//! The paths of every dialect.
//!
//! - OpenAI at `/v1/...`, `/openai/v1/...` and bare; Azure's form at `/openai/deployments/{model}/...?api-version=...`.
//! - Anthropic at `/v1/messages` and `/v1/messages/count_tokens`.
//! - Gemini at `/{v1|v1beta}/models/{model}:{method}`, Vertex AI at
//!   `/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:{method}`.
//! - Bedrock at `/model/{id}/{method}`, the id percent-encoded.
//! - Cohere at `/v2/...`.
//!
//! `GET /v1/models` is asked alike in three dialects; the headers tell which one is meant.

use http::HeaderMap;

use crate::dialect::Dialect;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// All models, or one by its id.
    Models(Option<String>),
    /// With the deployment, where the path names one.
    OpenAi(OpenAi, Option<String>),
    Anthropic(Anthropic),
    Gemini(Gemini, String),
    Bedrock(Bedrock, String),
    Cohere(Cohere),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenAi {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Moderations,
    ImageGenerations,
    ImageEdits,
    Speech,
    Transcriptions,
    Translations,
    Rerank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anthropic {
    Messages,
    CountTokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gemini {
    Generate,
    /// As server-sent events, or as one JSON array.
    StreamEvents,
    StreamArray,
    CountTokens,
    Embed,
    BatchEmbed,
    /// Vertex AI's way to ask for embeddings.
    Predict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bedrock {
    Converse,
    ConverseStream,
    CountTokens,
    Invoke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cohere {
    Chat,
    Rerank,
    Embed,
}

/// The dialect that a path is of, and the door where there is one.
pub(crate) fn of(path: &str, query: Option<&str>, headers: &HeaderMap) -> (Dialect, Option<Door>) {
    if let Some(rest) = path.strip_prefix("/model/") {
        return (Dialect::Bedrock, bedrock(rest));
    }
    if let Some(rest) = path.strip_prefix("/v2/") {
        let door = match rest {
            "chat" => Some(Cohere::Chat),
            "rerank" => Some(Cohere::Rerank),
            "embed" => Some(Cohere::Embed),
            _ => None,
        };
        return (Dialect::Cohere, door.map(Door::Cohere));
    }
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let versioned = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("api-version=")));
        let door = rest
            .split_once('/')
            .filter(|_| versioned)
            .and_then(|(deployment, operation)| Some(Door::OpenAi(openai(operation)?, Some(decoded(deployment)))));
        return (Dialect::OpenAi, door);
    }
    let (version, rest) = versioned(path);
    if version == "v1beta" || version == "v1" && rest.starts_with("projects/") {
        return (Dialect::Gemini, gemini(rest, query));
    }
    match rest {
        "messages" => return (Dialect::Anthropic, Some(Door::Anthropic(Anthropic::Messages))),
        "messages/count_tokens" => return (Dialect::Anthropic, Some(Door::Anthropic(Anthropic::CountTokens))),
        "models" => return (listed(headers), Some(Door::Models(None))),
        _ => {}
    }
    if let Some(id) = rest.strip_prefix("models/") {
        return match gemini(rest, query) {
            Some(door @ Door::Gemini(..)) => (Dialect::Gemini, Some(door)),
            _ => (listed(headers), Some(Door::Models(Some(decoded(id))))),
        };
    }
    (Dialect::OpenAi, openai(rest).map(|operation| Door::OpenAi(operation, None)))
}

/// The API's version and the path behind it.
fn versioned(path: &str) -> (&str, &str) {
    let path = path.strip_prefix("/openai").filter(|rest| rest.starts_with("/v1/")).unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.split_once('/') {
        Some((version @ ("v1" | "v1beta"), rest)) => (version, rest),
        _ => ("", path),
    }
}

/// Whose list of models is asked for.
fn listed(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

fn openai(path: &str) -> Option<OpenAi> {
    Some(match path {
        "chat/completions" => OpenAi::Chat,
        "completions" => OpenAi::Completions,
        "responses" => OpenAi::Responses,
        "embeddings" => OpenAi::Embeddings,
        "moderations" => OpenAi::Moderations,
        "images/generations" => OpenAi::ImageGenerations,
        "images/edits" => OpenAi::ImageEdits,
        "audio/speech" => OpenAi::Speech,
        "audio/transcriptions" => OpenAi::Transcriptions,
        "audio/translations" => OpenAi::Translations,
        "rerank" => OpenAi::Rerank,
        _ => return None,
    })
}

fn gemini(path: &str, query: Option<&str>) -> Option<Door> {
    if path == "models" {
        return Some(Door::Models(None));
    }
    let model = match path.strip_prefix("models/") {
        Some(model) => model,
        None => path.strip_prefix("projects/")?.split_once("/publishers/google/models/")?.1,
    };
    let Some((model, method)) = model.rsplit_once(':') else {
        return Some(Door::Models(Some(decoded(model))));
    };
    let events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let operation = match method {
        "generateContent" => Gemini::Generate,
        "streamGenerateContent" if events => Gemini::StreamEvents,
        "streamGenerateContent" => Gemini::StreamArray,
        "countTokens" => Gemini::CountTokens,
        "embedContent" => Gemini::Embed,
        "batchEmbedContents" => Gemini::BatchEmbed,
        "predict" => Gemini::Predict,
        _ => return None,
    };
    Some(Door::Gemini(operation, decoded(model)))
}

fn bedrock(path: &str) -> Option<Door> {
    let (model, method) = path.split_once('/')?;
    let operation = match method {
        "converse" => Bedrock::Converse,
        "converse-stream" => Bedrock::ConverseStream,
        "count-tokens" => Bedrock::CountTokens,
        "invoke" => Bedrock::Invoke,
        _ => return None,
    };
    Some(Door::Bedrock(operation, decoded(model)))
}

/// Without percent-encoding.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match after.get(..2).filter(|_| *first == b'%').and_then(hex) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(target: &str) -> (Dialect, Option<Door>) {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        of(path, query, &HeaderMap::new())
    }

    #[test]
    fn every_dialect_has_its_paths() {
        let model = |name: &str| name.to_owned();
        for (target, dialect, expected) in [
            ("/v1/chat/completions", Dialect::OpenAi, Some(Door::OpenAi(OpenAi::Chat, None))),
            ("/rerank", Dialect::OpenAi, Some(Door::OpenAi(OpenAi::Rerank, None))),
            (
                "/openai/deployments/d%201/chat/completions?api-version=2024-10-21",
                Dialect::OpenAi,
                Some(Door::OpenAi(OpenAi::Chat, Some(model("d 1")))),
            ),
            ("/openai/deployments/d/chat/completions", Dialect::OpenAi, None),
            ("/v1/messages", Dialect::Anthropic, Some(Door::Anthropic(Anthropic::Messages))),
            ("/v1beta/models/m:generateContent", Dialect::Gemini, Some(Door::Gemini(Gemini::Generate, model("m")))),
            (
                "/v1/models/a/b:c:streamGenerateContent?x=1&alt=sse",
                Dialect::Gemini,
                Some(Door::Gemini(Gemini::StreamEvents, model("a/b:c"))),
            ),
            (
                "/v1/projects/p/locations/l/publishers/google/models/m:countTokens",
                Dialect::Gemini,
                Some(Door::Gemini(Gemini::CountTokens, model("m"))),
            ),
            ("/v1/models/gpt", Dialect::OpenAi, Some(Door::Models(Some(model("gpt"))))),
            (
                "/model/anthropic.claude%3A0/converse-stream",
                Dialect::Bedrock,
                Some(Door::Bedrock(Bedrock::ConverseStream, model("anthropic.claude:0"))),
            ),
            ("/v2/embed", Dialect::Cohere, Some(Door::Cohere(Cohere::Embed))),
            ("/v2/nothing", Dialect::Cohere, None),
            ("/nothing", Dialect::OpenAi, None),
        ] {
            assert_eq!(door(target), (dialect, expected), "{target}");
        }
    }
}
