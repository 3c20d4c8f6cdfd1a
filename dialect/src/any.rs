//! Every dialect behind one face, for callers that learn at run time which one is spoken.

use crate::canonical::{ChatAnswer, ChatRequest, Failure, StreamEvent};
use crate::openai::responses::Echo;
use crate::{DecodeError, Dialect, Dropped, Unsupported, anthropic, bedrock, cohere, gemini, openai};

impl Dialect {
    /// Reads a client's request, and how it wants to be answered. What a path says (the model and whether to stream in
    /// Gemini and Bedrock) is left to the caller, and so is Gemini's [`gemini::Form`].
    pub fn decode_request(self, body: &[u8]) -> Result<(ChatRequest, Reply), DecodeError> {
        let request = match self {
            Self::OpenAiChat => openai::chat::decode_request(body)?,
            Self::OpenAiCompletions => {
                let openai::completions::TextRequest { chat, echo } = openai::completions::decode_request(body)?;
                let reply = Reply::OpenAiCompletions { include_usage: chat.include_usage, echo };
                return Ok((chat, reply));
            }
            Self::OpenAiResponses => openai::responses::decode_request(body)?,
            Self::Anthropic => anthropic::decode_request(body)?,
            Self::Gemini => gemini::decode_request(body)?,
            Self::Bedrock => bedrock::decode_request(body)?,
            Self::Cohere => cohere::decode_request(body)?,
        };
        let reply = Reply::to(self, &request);
        Ok((request, reply))
    }

    /// Writes a request for a provider of this dialect. Text completions are no dialect of providers here.
    pub fn encode_request(self, request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
        match self {
            Self::OpenAiChat => openai::chat::encode_request(request, dropped),
            Self::OpenAiCompletions => {
                Err(Unsupported::new("messages", self, "a chat does not fit into one prompt; ask a chat model"))
            }
            Self::OpenAiResponses => openai::responses::encode_request(request, dropped),
            Self::Anthropic => anthropic::encode_request(request, dropped),
            Self::Gemini => gemini::encode_request(request, dropped),
            Self::Bedrock => bedrock::encode_request(request, dropped),
            Self::Cohere => cohere::encode_request(request, dropped),
        }
    }

    /// Reads a provider's whole answer; one to a text completion is read as nothing that is known.
    pub fn decode_answer(self, body: &[u8]) -> Result<ChatAnswer, DecodeError> {
        match self {
            Self::OpenAiChat => openai::chat::decode_answer(body),
            Self::OpenAiCompletions => Err(DecodeError::wrong("choices", "those of a chat")),
            Self::OpenAiResponses => openai::responses::decode_answer(body),
            Self::Anthropic => anthropic::decode_answer(body),
            Self::Gemini => gemini::decode_answer(body),
            Self::Bedrock => bedrock::decode_answer(body),
            Self::Cohere => cohere::decode_answer(body),
        }
    }

    /// What a provider's error answer says. Bedrock's header tells more, see [`bedrock::decode_named_error`].
    pub fn decode_error(self, status: u16, body: &[u8]) -> Failure {
        match self {
            Self::OpenAiChat | Self::OpenAiCompletions | Self::OpenAiResponses => {
                openai::error::decode_error(status, body)
            }
            Self::Anthropic => anthropic::decode_error(status, body),
            Self::Gemini => gemini::decode_error(status, body),
            Self::Bedrock => bedrock::decode_error(status, body),
            Self::Cohere => cohere::decode_error(status, body),
        }
    }

    /// The body of an error for a client.
    pub fn encode_error(self, failure: &Failure) -> Vec<u8> {
        match self {
            Self::OpenAiChat | Self::OpenAiCompletions | Self::OpenAiResponses => openai::error::encode_error(failure),
            Self::Anthropic => anthropic::encode_error(failure),
            Self::Gemini => gemini::encode_error(failure),
            Self::Bedrock => bedrock::encode_error(failure),
            Self::Cohere => cohere::encode_error(failure),
        }
    }
}

/// How a client is answered: its dialect, and what of its request the answer depends on.
#[derive(Debug, Clone)]
pub enum Reply {
    OpenAiChat { include_usage: bool },
    OpenAiCompletions { include_usage: bool, echo: Option<String> },
    OpenAiResponses(Box<Echo>),
    Anthropic,
    Gemini(gemini::Form),
    Bedrock,
    Cohere,
}

impl Reply {
    /// The answer to a request. A text completion's prompt is not repeated, and Gemini's streams are events.
    pub fn to(dialect: Dialect, request: &ChatRequest) -> Self {
        let include_usage = request.include_usage;
        match dialect {
            Dialect::OpenAiChat => Self::OpenAiChat { include_usage },
            Dialect::OpenAiCompletions => Self::OpenAiCompletions { include_usage, echo: None },
            Dialect::OpenAiResponses => Self::OpenAiResponses(Box::new(Echo::of(request))),
            Dialect::Anthropic => Self::Anthropic,
            Dialect::Gemini => Self::Gemini(gemini::Form::Events),
            Dialect::Bedrock => Self::Bedrock,
            Dialect::Cohere => Self::Cohere,
        }
    }

    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::OpenAiChat { .. } => Dialect::OpenAiChat,
            Self::OpenAiCompletions { .. } => Dialect::OpenAiCompletions,
            Self::OpenAiResponses(_) => Dialect::OpenAiResponses,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini(_) => Dialect::Gemini,
            Self::Bedrock => Dialect::Bedrock,
            Self::Cohere => Dialect::Cohere,
        }
    }

    /// The body of a whole answer.
    pub fn encode_answer(&self, answer: &ChatAnswer) -> Vec<u8> {
        match self {
            Self::OpenAiChat { .. } => openai::chat::encode_answer(answer),
            Self::OpenAiCompletions { echo, .. } => openai::completions::encode_answer(answer, echo.as_deref()),
            Self::OpenAiResponses(echo) => openai::responses::encode_answer_to(answer, (**echo).clone()),
            Self::Anthropic => anthropic::encode_answer(answer),
            Self::Gemini(_) => gemini::encode_answer(answer),
            Self::Bedrock => bedrock::encode_answer(answer),
            Self::Cohere => cohere::encode_answer(answer),
        }
    }

    /// The writer of a streamed answer.
    pub fn stream_encoder(&self) -> AnyStreamEncoder {
        match self {
            Self::OpenAiChat { include_usage } => openai::chat::StreamEncoder::new(*include_usage).into(),
            Self::OpenAiCompletions { include_usage, echo } => {
                openai::completions::StreamEncoder::new(*include_usage, echo.clone()).into()
            }
            Self::OpenAiResponses(echo) => openai::responses::StreamEncoder::new((**echo).clone()).into(),
            Self::Anthropic => anthropic::StreamEncoder::new().into(),
            Self::Gemini(form) => gemini::StreamEncoder::new(*form).into(),
            Self::Bedrock => bedrock::StreamEncoder::new().into(),
            Self::Cohere => cohere::StreamEncoder::new().into(),
        }
    }
}

/// One of several types with the same two methods, called through.
macro_rules! any {
    ($(#[$doc:meta])* $any:ident: push($input:ty) -> $output:ty, $($variant:ident($inner:ty)),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $any {
            $($variant(Box<$inner>),)*
        }

        impl $any {
            /// Takes what comes next and appends what it says.
            pub fn push(&mut self, next: $input, out: &mut Vec<$output>) {
                match self {
                    $(Self::$variant(inner) => inner.push(next, out),)*
                }
            }

            /// Nothing more comes.
            pub fn end(&mut self, out: &mut Vec<$output>) {
                match self {
                    $(Self::$variant(inner) => inner.end(out),)*
                }
            }
        }

        $(impl From<$inner> for $any {
            fn from(inner: $inner) -> Self {
                Self::$variant(Box::new(inner))
            }
        })*
    };
}

any! {
    /// A provider's stream of any dialect, from bytes cut anywhere to events.
    AnyStreamDecoder: push(&[u8]) -> StreamEvent,
    OpenAiChat(openai::chat::StreamDecoder),
    OpenAiResponses(openai::responses::StreamDecoder),
    Anthropic(anthropic::StreamDecoder),
    Gemini(gemini::StreamDecoder),
    Bedrock(bedrock::StreamDecoder),
    Cohere(cohere::StreamDecoder),
}

any! {
    /// A client's stream of any dialect, from events to bytes.
    AnyStreamEncoder: push(&StreamEvent) -> u8,
    OpenAiChat(openai::chat::StreamEncoder),
    OpenAiCompletions(openai::completions::StreamEncoder),
    OpenAiResponses(openai::responses::StreamEncoder),
    Anthropic(anthropic::StreamEncoder),
    Gemini(gemini::StreamEncoder),
    Bedrock(bedrock::StreamEncoder),
    Cohere(cohere::StreamEncoder),
}

impl AnyStreamDecoder {
    /// Of a provider that speaks `dialect`; `None` for text completions, which are no dialect of providers here.
    pub fn new(dialect: Dialect) -> Option<Self> {
        Some(match dialect {
            Dialect::OpenAiChat => openai::chat::StreamDecoder::new().into(),
            Dialect::OpenAiCompletions => return None,
            Dialect::OpenAiResponses => openai::responses::StreamDecoder::new().into(),
            Dialect::Anthropic => anthropic::StreamDecoder::new().into(),
            Dialect::Gemini => gemini::StreamDecoder::new().into(),
            Dialect::Bedrock => bedrock::StreamDecoder::new().into(),
            Dialect::Cohere => cohere::StreamDecoder::new().into(),
        })
    }
}
