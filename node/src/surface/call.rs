//! What a route stands for: the dialect, the operation, and where the path tells them, the model and whether to stream.

use peerway_dialect::Dialect;
use peerway_dialect::bedrock::{BadModelId, decode_model_id};
use peerway_dialect::gemini::{self, Form, Method};

use crate::operation::Operation;

/// What a client calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub dialect: Dialect,
    pub operation: Operation,
    /// Where the path tells it; else the body does.
    pub model: Option<String>,
    /// Where the path tells it; else the body does.
    pub stream: Option<bool>,
    /// In which form a client of Gemini's wants its stream.
    pub form: Form,
}

/// A path of a dialect that is none of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error("no call of this dialect")]
    Unknown,
    #[error("{0}")]
    Model(#[from] BadModelId),
}

impl Call {
    /// A call whose body tells the rest.
    pub fn new(dialect: Dialect, operation: Operation) -> Self {
        Self { dialect, operation, model: None, stream: None, form: Form::Events }
    }

    /// A call of Gemini's, by the path behind the mount. A stream without `alt=sse` is one JSON array.
    pub fn gemini(path: &str, query: Option<&str>) -> Result<Self, BadPath> {
        let gemini::Call { model, method } = gemini::Call::parse(path).ok_or(BadPath::Unknown)?;
        let operation = match method {
            Method::GenerateContent | Method::StreamGenerateContent => Operation::Chat,
            Method::CountTokens => Operation::CountTokens,
            Method::EmbedContent | Method::BatchEmbedContents => Operation::Embeddings,
        };
        let is_events = query.unwrap_or_default().split('&').any(|pair| pair == "alt=sse");
        Ok(Self {
            // Names may be written as resources; here a model's name is what follows.
            model: Some(model),
            stream: Some(method == Method::StreamGenerateContent),
            form: if is_events { Form::Events } else { Form::Array },
            ..Self::new(Dialect::Gemini, operation)
        })
    }

    /// A call of Bedrock's, by the path behind `/model/`, as it was sent: ids hold escaped colons and slashes.
    pub fn bedrock(path: &str) -> Result<Self, BadPath> {
        let (id, call) = path.rsplit_once('/').ok_or(BadPath::Unknown)?;
        let (operation, stream) = match call {
            "converse" => (Operation::Chat, false),
            "converse-stream" => (Operation::Chat, true),
            "count-tokens" => (Operation::CountTokens, false),
            _ => return Err(BadPath::Unknown),
        };
        let model = Some(decode_model_id(id)?);
        Ok(Self { model, stream: Some(stream), ..Self::new(Dialect::Bedrock, operation) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_geminis_tells_model_and_stream() {
        let call = Call::gemini("v1beta/models/openai/gpt-x:streamGenerateContent", Some("key=1&alt=sse")).unwrap();
        assert_eq!((call.model.as_deref(), call.stream, call.form), (Some("openai/gpt-x"), Some(true), Form::Events));
        let call = Call::gemini("models/ft:a:b:generateContent", None).unwrap();
        assert_eq!((call.model.as_deref(), call.stream, call.form), (Some("ft:a:b"), Some(false), Form::Array));
        assert_eq!(Call::gemini("v1/models/x:countTokens", None).unwrap().operation, Operation::CountTokens);
        assert_eq!(Call::gemini("v1/models/x:predict", None), Err(BadPath::Unknown));
    }

    #[test]
    fn a_path_of_bedrocks_is_unescaped_once() {
        let call = Call::bedrock("anthropic.claude-3-haiku-v1%3A0/converse").unwrap();
        assert_eq!((call.model.as_deref(), call.stream), (Some("anthropic.claude-3-haiku-v1:0"), Some(false)));
        let call = Call::bedrock("demo%2Fecho%253A/converse-stream").unwrap();
        assert_eq!((call.model.as_deref(), call.stream), (Some("demo/echo%3A"), Some(true)));
        let call = Call::bedrock("demo/echo/converse").unwrap();
        assert_eq!(call.model.as_deref(), Some("demo/echo"), "a slash that a client left as it is");
        assert_eq!(Call::bedrock("x/invoke"), Err(BadPath::Unknown));
        assert!(matches!(Call::bedrock("%zz/converse"), Err(BadPath::Model(_))));
    }
}
