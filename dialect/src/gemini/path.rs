//! The path of a call: `/v1beta/models/{model}:{method}`.

use std::fmt::Write as _;

use crate::canonical::ChatRequest;

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
}

impl Method {
    pub const ALL: [Self; 5] = [
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::GenerateContent => "generateContent",
            Self::StreamGenerateContent => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::EmbedContent => "embedContent",
            Self::BatchEmbedContents => "batchEmbedContents",
        }
    }
}

/// A method and the model it is asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Decoded: `openai/gpt-x`, `ft:model:id`.
    pub model: String,
    pub method: Method,
}

/// SDKs differ in the version, and one sends none.
const PREFIXES: [&str; 3] = ["v1beta/models/", "v1/models/", "models/"];

impl Call {
    /// Reads a path behind where the dialect is mounted, without its query. The model reaches to the last colon and may
    /// hold slashes and colons of its own, escaped or not.
    pub fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let rest = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
        // A client that escapes the whole name escapes the last colon as well.
        let (model, method) = match rest.rsplit_once(':') {
            Some((model, method)) => (unescape(model)?, method.to_owned()),
            None => {
                let plain = unescape(rest)?;
                let (model, method) = plain.rsplit_once(':')?;
                (model.to_owned(), method.to_owned())
            }
        };
        let method = Method::ALL.into_iter().find(|known| known.name() == method)?;
        // A name that climbs out of the models would be another resource at the provider, asked for with its key.
        let climbs = model.split('/').any(|segment| matches!(segment, "." | ".."));
        (!model.is_empty() && !climbs).then_some(Self { model, method })
    }

    /// The path and query at a provider, behind its version: `/models/{model}:{method}`. Streams are asked for as
    /// server-sent events. A model that is a resource already (`tunedModels/x`) keeps its collection.
    pub fn provider_path(&self) -> String {
        let mut path = format!("/{}:{}", escape(&super::resource(&self.model)), self.method.name());
        if self.method == Method::StreamGenerateContent {
            path.push_str("?alt=sse");
        }
        path
    }

    /// Puts what the path says into the request that the body is.
    pub fn apply(&self, request: &mut ChatRequest) {
        request.model.clone_from(&self.model);
        request.stream = self.method == Method::StreamGenerateContent;
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Colons and slashes stay: Google reads names with them as they are.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b'@') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_sdks_send() {
        for (path, model, method) in [
            ("/v1beta/models/gemini-3-pro:generateContent", "gemini-3-pro", Method::GenerateContent),
            ("/v1/models/openai/gpt-x:streamGenerateContent", "openai/gpt-x", Method::StreamGenerateContent),
            ("/models/anthropic.claude:0:countTokens", "anthropic.claude:0", Method::CountTokens),
            ("models/a%2Fb%3Ac:embedContent", "a/b:c", Method::EmbedContent),
            ("/v1/models/x%3AbatchEmbedContents", "x", Method::BatchEmbedContents),
            ("/v1/models/models/x:generateContent", "models/x", Method::GenerateContent),
        ] {
            assert_eq!(Call::parse(path), Some(Call { model: model.into(), method }), "{path}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for path in [
            "/v1/models/x",
            "/v1/models/:generateContent",
            "/v1/models/x:predict",
            "/v2/models/x:generateContent",
            "/v1/models/x%zz:generateContent",
            "/v1/models/x%ff:generateContent",
            "/v1/models/x%4:generateContent",
            "/v1/models/../cachedContents/x:generateContent",
            "/v1/models/%2e%2e/files/x:generateContent",
            "/v1/models/x/./y:generateContent",
            "",
        ] {
            assert_eq!(Call::parse(path), None, "{path}");
        }
    }

    #[test]
    fn writes_what_google_reads() {
        let call = Call { model: "gemini-3 pro".into(), method: Method::StreamGenerateContent };
        assert_eq!(call.provider_path(), "/models/gemini-3%20pro:streamGenerateContent?alt=sse");
        let call = Call { model: "tunedModels/x".into(), method: Method::GenerateContent };
        assert_eq!(call.provider_path(), "/tunedModels/x:generateContent");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_model_comes_back(model in "[a-z:/ %é.]{1,20}") {
            prop_assume!(super::super::resource(&model) != model);
            prop_assume!(!model.split('/').any(|segment| matches!(segment, "." | "..")));
            let call = Call { model, method: Method::CountTokens };
            prop_assert_eq!(Call::parse(&call.provider_path()), Some(call));
        }

        #[test]
        fn never_panics(path in any::<String>()) {
            let _ = Call::parse(&path);
            let _ = Call::parse(&format!("models/{path}:generateContent"));
        }
    }
}
