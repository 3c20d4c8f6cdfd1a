//! Clients of every dialect, and a gateway in front of a provider of every kind.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use peerway_dialect::canonical::{Collector, Content, StreamEvent};
use peerway_dialect::{anthropic, bedrock, cohere, gemini, openai};
use serde_json::{Value, json};

use super::{Answer, KEY, Setup, setup};

/// One provider for each dialect, and one that speaks OpenAI's chat completions only.
pub const PROVIDERS: [&str; 6] = ["openai", "alike", "anthropic", "gemini", "bedrock", "cohere"];

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Chat,
    Completions,
    Responses,
    Anthropic,
    Gemini,
    /// A stream without `alt=sse`.
    GeminiArray,
    Bedrock,
    Cohere,
}

pub const CLIENTS: [Client; 8] = [
    Client::Chat,
    Client::Completions,
    Client::Responses,
    Client::Anthropic,
    Client::Gemini,
    Client::GeminiArray,
    Client::Bedrock,
    Client::Cohere,
];

/// A gateway in front of all [`PROVIDERS`], which are one simulated provider.
pub async fn everyone(change: impl FnOnce(&mut Value)) -> Setup {
    setup(|config| {
        let url = config["providers"][0]["base_url"].as_str().unwrap().trim_end_matches("/v1").to_owned();
        let provider = |name: &str, kind: &str, path: &str, key: &str| {
            json!({"name": name, "type": kind, "base_url": format!("{url}{path}"), "allow_private": true, "retries": 1,
                "keys": [{"id": "main", "value": key}], "timeouts": {"first_byte": "2s", "idle": "500ms"}})
        };
        let mut bedrock = provider("bedrock", "bedrock", "", "secret-of-the-example");
        bedrock["keys"][0]["access_key_id"] = json!("AKIDEXAMPLE");
        bedrock["region"] = json!("us-east-1");
        config["providers"] = json!([
            provider("openai", "openai", "/v1", "sk-up-openai"),
            provider("alike", "openai_compatible", "/v1", "sk-up-alike"),
            provider("anthropic", "anthropic", "/v1", "sk-up-anthropic"),
            provider("gemini", "gemini", "/v1beta", "sk-up-gemini"),
            bedrock,
            provider("cohere", "cohere", "/v2", "sk-up-cohere"),
        ]);
        config["routes"] = json!([]);
        // Faults are tried on one target after another, and what the first one learns of it is not to help the others.
        config["health"] = json!({"failures": 10_000, "min_calls": 10_000});
        config["governance"]["keys"][0]["models"] = json!(["*"]);
        change(config);
    })
    .await
}

impl Client {
    pub async fn say(self, setup: &Setup, provider: &str, text: &str, stream: bool) -> Answer {
        self.say_to(setup, &format!("{provider}/echo"), text, stream).await
    }

    pub async fn say_to(self, setup: &Setup, model: &str, text: &str, stream: bool) -> Answer {
        self.call(setup, ("authorization", &format!("Bearer {KEY}")), model, text, stream).await
    }

    pub async fn with_key(self, setup: &Setup, key: &str, model: &str) -> Answer {
        self.call(setup, ("authorization", &format!("Bearer {key}")), model, "hello", false).await
    }

    pub async fn with_header(self, setup: &Setup, name: &str, value: &str, model: &str) -> Answer {
        self.call(setup, (name, value), model, "hello", false).await
    }

    async fn call(self, setup: &Setup, key: (&str, &str), model: &str, text: &str, stream: bool) -> Answer {
        let (path, body) = self.request(model, text, stream);
        let request = Request::post(format!("http://{}{path}", setup.gateway))
            .header(key.0, key.1)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        setup.send(request).await
    }

    /// The path and the body of a request that says something.
    pub fn request(self, model: &str, text: &str, stream: bool) -> (String, Value) {
        let messages = json!([{"role": "user", "content": text}]);
        match self {
            Self::Chat => {
                ("/v1/chat/completions".into(), json!({"model": model, "stream": stream, "messages": messages}))
            }
            Self::Completions => {
                ("/v1/completions".into(), json!({"model": model, "stream": stream, "prompt": text, "max_tokens": 500}))
            }
            Self::Responses => ("/v1/responses".into(), json!({"model": model, "stream": stream, "input": text})),
            Self::Anthropic => (
                "/anthropic/v1/messages".into(),
                json!({"model": model, "stream": stream, "max_tokens": 500, "messages": messages}),
            ),
            Self::Gemini | Self::GeminiArray => {
                let method = match (stream, self) {
                    (false, _) => "generateContent",
                    (true, Self::Gemini) => "streamGenerateContent?alt=sse",
                    (true, _) => "streamGenerateContent",
                };
                let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
                (format!("/genai/v1beta/models/{model}:{method}"), body)
            }
            Self::Bedrock => {
                let call = if stream { "converse-stream" } else { "converse" };
                let body = json!({"messages": [{"role": "user", "content": [{"text": text}]}]});
                (format!("/bedrock/model/{}/{call}", bedrock::encode_model_id(model)), body)
            }
            Self::Cohere => ("/cohere/v2/chat".into(), json!({"model": model, "stream": stream, "messages": messages})),
        }
    }

    /// The text of a whole answer, as this client reads it.
    pub fn text(self, answer: &Answer) -> String {
        let body = answer.json();
        let place = match self {
            Self::Chat => "/choices/0/message/content",
            Self::Completions => "/choices/0/text",
            Self::Responses => "/output/0/content/0/text",
            Self::Anthropic => "/content/0/text",
            Self::Gemini | Self::GeminiArray => "/candidates/0/content/parts/0/text",
            Self::Bedrock => "/output/message/content/0/text",
            Self::Cohere => "/message/content/0/text",
        };
        body.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no {place} in {body}")).to_owned()
    }

    /// A whole answer has a name, a time and a model where this client reads one.
    pub fn assert_named(self, answer: &Answer, provider: &str) {
        let body = answer.json();
        let id = |name: &str| assert!(body[name].as_str().is_some_and(|id| !id.is_empty()), "{provider}: {body}");
        match self {
            Self::Chat | Self::Completions => {
                id("id");
                id("model");
                assert!(body["created"].as_u64().unwrap() > 1_600_000_000, "{provider}: {body}");
            }
            Self::Responses => {
                id("id");
                assert!(body["created_at"].as_f64().unwrap() > 1_600_000_000.0, "{provider}: {body}");
            }
            Self::Anthropic => {
                id("id");
                id("model");
            }
            Self::Cohere => id("id"),
            Self::Gemini | Self::GeminiArray | Self::Bedrock => {}
        }
    }

    pub fn stream_type(self) -> &'static str {
        match self {
            Self::GeminiArray => "application/json",
            Self::Bedrock => "application/vnd.amazon.eventstream",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// The text of a stream that came whole; else what the client is told.
    pub fn streamed(self, answer: &Answer) -> Result<String, String> {
        let mut events = Vec::new();
        macro_rules! read {
            ($decoder:expr) => {{
                let mut decoder = $decoder;
                decoder.push(&answer.body, &mut events);
                decoder.end(&mut events);
            }};
        }
        match self {
            Self::Chat => read!(openai::chat::StreamDecoder::new()),
            Self::Responses => read!(openai::responses::StreamDecoder::new()),
            Self::Anthropic => read!(anthropic::StreamDecoder::new()),
            Self::Gemini | Self::GeminiArray => read!(gemini::StreamDecoder::new()),
            Self::Bedrock => read!(bedrock::StreamDecoder::new()),
            Self::Cohere => read!(cohere::StreamDecoder::new()),
            Self::Completions => return completions(answer),
        }
        let mut collector = Collector::new();
        for event in &events {
            if let StreamEvent::Error(failure) = event {
                return Err(failure.message.clone());
            }
            collector.push(event);
        }
        let whole = collector.finish().map_err(|failure| failure.message)?;
        let texts = whole.choices[0].parts.iter().filter_map(|part| match &part.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// What an error answer says, where this client looks for it.
    pub fn error(self, answer: &Answer) -> String {
        let body = answer.json();
        let place = match self {
            Self::Bedrock => {
                assert!(!answer.header("x-amzn-errortype").is_empty(), "{answer:?}");
                "/message"
            }
            Self::Cohere => "/message",
            _ => "/error/message",
        };
        body.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no {place} in {body}")).to_owned()
    }
}

/// The texts of a text completion's stream.
fn completions(answer: &Answer) -> Result<String, String> {
    let events = answer.events();
    let mut text = String::new();
    for event in &events {
        if event == "[DONE]" {
            return Ok(text);
        }
        let chunk: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
        if let Some(message) = chunk.pointer("/error/message").and_then(Value::as_str) {
            return Err(message.to_owned());
        }
        text += chunk.pointer("/choices/0/text").and_then(Value::as_str).unwrap_or_default();
    }
    Err("no [DONE]".to_owned())
}
