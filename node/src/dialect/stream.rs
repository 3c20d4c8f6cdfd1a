//! The decoders and encoders of all dialects' streams under one name.

use peerway_dialect::canonical::{ChatRequest, StreamEvent};
use peerway_dialect::gemini::Form;
use peerway_dialect::openai::{chat, completions, responses};
use peerway_dialect::{Dialect, Dropped, anthropic, bedrock, cohere, gemini};

/// What an answer takes from its request.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Whether the client asked for the usage in a stream.
    pub include_usage: bool,
    /// Of a text completion: what stands before each answer's text.
    pub echo: Option<String>,
    /// Of a response: the members that repeat the request.
    pub repeats: Option<responses::Echo>,
    /// In which form a client of Gemini's wants its stream.
    pub form: Form,
}

impl Default for Manner {
    fn default() -> Self {
        Self { include_usage: true, echo: None, repeats: None, form: Form::Events }
    }
}

impl Manner {
    /// What the answer to this request repeats of it.
    pub fn repeating(mut self, client: Dialect, request: &ChatRequest) -> Self {
        self.repeats = (client == Dialect::OpenAiResponses).then(|| responses::Echo::of(request));
        self
    }
}

/// Reads a provider's stream.
#[derive(Debug)]
pub enum Decoder {
    OpenAiChat(chat::StreamDecoder),
    OpenAiResponses(responses::StreamDecoder),
    Anthropic(anthropic::StreamDecoder),
    Gemini(gemini::StreamDecoder),
    Bedrock(bedrock::StreamDecoder),
    Cohere(cohere::StreamDecoder),
}

impl Decoder {
    /// Text completions have none: they are passed on, and read as far as needed on the way.
    pub fn new(provider: Dialect) -> Self {
        match provider {
            Dialect::OpenAiChat | Dialect::OpenAiCompletions => Self::OpenAiChat(chat::StreamDecoder::new()),
            Dialect::OpenAiResponses => Self::OpenAiResponses(responses::StreamDecoder::new()),
            Dialect::Anthropic => Self::Anthropic(anthropic::StreamDecoder::new()),
            Dialect::Gemini => Self::Gemini(gemini::StreamDecoder::new()),
            Dialect::Bedrock => Self::Bedrock(bedrock::StreamDecoder::new()),
            Dialect::Cohere => Self::Cohere(cohere::StreamDecoder::new()),
        }
    }

    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        match self {
            Self::OpenAiChat(decoder) => decoder.push(bytes, out),
            Self::OpenAiResponses(decoder) => decoder.push(bytes, out),
            Self::Anthropic(decoder) => decoder.push(bytes, out),
            Self::Gemini(decoder) => decoder.push(bytes, out),
            Self::Bedrock(decoder) => decoder.push(bytes, out),
            Self::Cohere(decoder) => decoder.push(bytes, out),
        }
    }

    /// What the stream held that no event can tell (citations, generated media ...), by its names.
    pub fn unread(&self) -> &Dropped {
        match self {
            Self::OpenAiChat(decoder) => decoder.unread(),
            Self::OpenAiResponses(decoder) => decoder.unread(),
            Self::Anthropic(decoder) => decoder.unread(),
            Self::Gemini(decoder) => decoder.unread(),
            Self::Bedrock(decoder) => decoder.unread(),
            Self::Cohere(decoder) => decoder.unread(),
        }
    }

    /// The connection has ended.
    pub fn end(&mut self, out: &mut Vec<StreamEvent>) {
        match self {
            Self::OpenAiChat(decoder) => decoder.end(out),
            Self::OpenAiResponses(decoder) => decoder.end(out),
            Self::Anthropic(decoder) => decoder.end(out),
            Self::Gemini(decoder) => decoder.end(out),
            Self::Bedrock(decoder) => decoder.end(out),
            Self::Cohere(decoder) => decoder.end(out),
        }
    }
}

/// Writes a client's stream.
#[derive(Debug)]
pub enum Encoder {
    OpenAiChat(chat::StreamEncoder),
    OpenAiCompletions(completions::StreamEncoder),
    OpenAiResponses(Box<responses::StreamEncoder>),
    Anthropic(anthropic::StreamEncoder),
    Gemini(gemini::StreamEncoder),
    Bedrock(bedrock::StreamEncoder),
    Cohere(cohere::StreamEncoder),
}

impl Encoder {
    pub fn new(client: Dialect, manner: Manner) -> Self {
        match client {
            Dialect::OpenAiChat => Self::OpenAiChat(chat::StreamEncoder::new(manner.include_usage)),
            Dialect::OpenAiCompletions => {
                Self::OpenAiCompletions(completions::StreamEncoder::new(manner.include_usage, manner.echo))
            }
            Dialect::OpenAiResponses => {
                let encoder =
                    manner.repeats.map_or_else(responses::StreamEncoder::default, responses::StreamEncoder::new);
                Self::OpenAiResponses(Box::new(encoder))
            }
            Dialect::Anthropic => Self::Anthropic(anthropic::StreamEncoder::new()),
            Dialect::Gemini => Self::Gemini(gemini::StreamEncoder::new(manner.form)),
            Dialect::Bedrock => Self::Bedrock(bedrock::StreamEncoder::new()),
            Dialect::Cohere => Self::Cohere(cohere::StreamEncoder::new()),
        }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.push(event, out),
            Self::OpenAiCompletions(encoder) => encoder.push(event, out),
            Self::OpenAiResponses(encoder) => encoder.push(event, out),
            Self::Anthropic(encoder) => encoder.push(event, out),
            Self::Gemini(encoder) => encoder.push(event, out),
            Self::Bedrock(encoder) => encoder.push(event, out),
            Self::Cohere(encoder) => encoder.push(event, out),
        }
    }
}

/// The content type of a client's stream.
pub fn content_type(client: Dialect, form: Form) -> &'static str {
    match client {
        Dialect::Bedrock => "application/vnd.amazon.eventstream",
        Dialect::Gemini if form == Form::Array => "application/json",
        _ => "text/event-stream; charset=utf-8",
    }
}
