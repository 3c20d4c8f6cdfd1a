//! Every dialect behind one face, the scenarios that all of them have golden files of, and what each scenario means.
//!
//! A dialect joins the matrix with one entry in [`speakers`] and its files under `tests/golden/<name>/`:
//! `request.<scenario>.json`, `answer.<scenario>.json` and `stream.<scenario>.<sse|bin>`. A scenario that the dialect
//! cannot express has no file. Files are made by hand from the API references.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    reason = "test support: a failure here fails the test"
)]

pub mod essence;
pub mod scenarios;

use std::path::PathBuf;

use peerway_dialect::canonical::{ChatAnswer, ChatRequest, StreamEvent};
use peerway_dialect::{DecodeError, Dialect, Dropped, Unsupported, anthropic, bedrock, cohere, gemini, openai};

use essence::RequestEssence;

pub trait Decode {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>);
    fn end(&mut self, out: &mut Vec<StreamEvent>);
}

pub trait Encode {
    fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>);
    fn end(&mut self, out: &mut Vec<u8>);
}

macro_rules! faces {
    ($($module:path),* $(,)?) => {$(
        const _: () = {
            use $module as dialect;
            impl Decode for dialect::StreamDecoder {
                fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
                    Self::push(self, bytes, out);
                }
                fn end(&mut self, out: &mut Vec<StreamEvent>) {
                    Self::end(self, out);
                }
            }
            impl Encode for dialect::StreamEncoder {
                fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
                    Self::push(self, event, out);
                }
                fn end(&mut self, out: &mut Vec<u8>) {
                    Self::end(self, out);
                }
            }
        };
    )*};
}

faces!(openai::chat, openai::responses, anthropic, bedrock, gemini, cohere);

/// A dialect as the matrix sees it.
pub struct Speaker {
    pub dialect: Dialect,
    /// A model whose habits are the dialect's fullest.
    pub model: &'static str,
    /// Clients speak it to us.
    pub client: bool,
    /// Providers speak it to us.
    pub provider: bool,
    pub decode_request: fn(&[u8]) -> Result<ChatRequest, DecodeError>,
    pub encode_request: fn(&ChatRequest, &mut Dropped) -> Result<Vec<u8>, Unsupported>,
    pub decode_answer: fn(&[u8]) -> Result<ChatAnswer, DecodeError>,
    pub encode_answer: fn(&ChatAnswer) -> Vec<u8>,
    pub decoder: fn() -> Box<dyn Decode>,
    pub encoder: fn() -> Box<dyn Encode>,
    /// Bytes that only a stream that came to its proper end holds.
    pub end_mark: &'static [u8],
    /// Whether to stream is said outside the body.
    pub stream_in_path: bool,
    /// Whether there is a word for calls one at a time.
    pub one_by_one: bool,
    /// Whether there are stop sequences.
    pub stops: bool,
}

/// Every dialect of the matrix.
pub fn speakers() -> Vec<Speaker> {
    vec![
        Speaker {
            dialect: Dialect::OpenAiChat,
            model: "gpt-5",
            client: true,
            provider: true,
            decode_request: openai::chat::decode_request,
            encode_request: openai::chat::encode_request,
            decode_answer: openai::chat::decode_answer,
            encode_answer: openai::chat::encode_answer,
            decoder: || Box::new(openai::chat::StreamDecoder::new()),
            encoder: || Box::new(openai::chat::StreamEncoder::new(true)),
            end_mark: b"[DONE]",
            stream_in_path: false,
            one_by_one: true,
            stops: true,
        },
        Speaker {
            dialect: Dialect::OpenAiResponses,
            model: "gpt-5",
            client: true,
            provider: true,
            decode_request: openai::responses::decode_request,
            encode_request: openai::responses::encode_request,
            decode_answer: openai::responses::decode_answer,
            encode_answer: openai::responses::encode_answer,
            decoder: || Box::new(openai::responses::StreamDecoder::new()),
            encoder: || Box::new(openai::responses::StreamEncoder::default()),
            // Only a response that has ended tells what it cost.
            end_mark: b"\"usage\":{",
            stream_in_path: false,
            one_by_one: true,
            stops: false,
        },
        Speaker {
            dialect: Dialect::Anthropic,
            model: "claude-opus-4-6",
            client: true,
            provider: true,
            decode_request: anthropic::decode_request,
            encode_request: anthropic::encode_request,
            decode_answer: anthropic::decode_answer,
            encode_answer: anthropic::encode_answer,
            decoder: || Box::new(anthropic::StreamDecoder::new()),
            encoder: || Box::new(anthropic::StreamEncoder::new()),
            end_mark: b"message_stop",
            stream_in_path: false,
            one_by_one: true,
            stops: true,
        },
        Speaker {
            dialect: Dialect::Bedrock,
            model: "anthropic.claude-opus-4-6-v1:0",
            client: true,
            provider: true,
            decode_request: bedrock::decode_request,
            encode_request: bedrock::encode_request,
            decode_answer: bedrock::decode_answer,
            encode_answer: bedrock::encode_answer,
            decoder: || Box::new(bedrock::StreamDecoder::new()),
            encoder: || Box::new(bedrock::StreamEncoder::new()),
            end_mark: b"messageStop",
            stream_in_path: true,
            one_by_one: false,
            stops: true,
        },
        Speaker {
            dialect: Dialect::Gemini,
            model: "gemini-3.1-pro",
            client: true,
            provider: true,
            decode_request: gemini::decode_request,
            encode_request: gemini::encode_request,
            decode_answer: gemini::decode_answer,
            encode_answer: gemini::encode_answer,
            decoder: || Box::new(gemini::StreamDecoder::new()),
            encoder: || Box::new(gemini::StreamEncoder::new(gemini::Form::Events)),
            end_mark: b"\"finishReason\":",
            stream_in_path: true,
            one_by_one: false,
            stops: true,
        },
        Speaker {
            dialect: Dialect::Cohere,
            model: "command-a-03-2025",
            client: true,
            provider: true,
            decode_request: cohere::decode_request,
            encode_request: cohere::encode_request,
            decode_answer: cohere::decode_answer,
            encode_answer: cohere::encode_answer,
            decoder: || Box::new(cohere::StreamDecoder::new()),
            encoder: || Box::new(cohere::StreamEncoder::new()),
            end_mark: b"\"delta\":{\"finish_reason\":",
            stream_in_path: false,
            one_by_one: false,
            stops: true,
        },
    ]
}

impl Speaker {
    pub fn name(&self) -> &'static str {
        self.dialect.name()
    }

    fn folder(&self) -> PathBuf {
        golden().join(self.name())
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder().join(name)).ok()
    }

    pub fn golden_request(&self, scenario: &str) -> Option<Vec<u8>> {
        self.file(&format!("request.{scenario}.json"))
    }

    pub fn golden_answer(&self, scenario: &str) -> Option<Vec<u8>> {
        self.file(&format!("answer.{scenario}.json"))
    }

    pub fn golden_stream(&self, scenario: &str) -> Option<Vec<u8>> {
        self.file(&format!("stream.{scenario}.sse")).or_else(|| self.file(&format!("stream.{scenario}.bin")))
    }

    /// What a scenario means where this dialect says it.
    pub fn expected(&self, scenario: &str) -> RequestEssence {
        let mut essence = scenarios::request(scenario);
        essence.one_by_one &= self.one_by_one;
        essence.stream &= !self.stream_in_path;
        if !self.stops {
            essence.stop.clear();
        }
        essence
    }

    /// The events of a stream that comes in these pieces and then ends.
    pub fn decode_stream<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamEvent> {
        let (mut decoder, mut events) = ((self.decoder)(), Vec::new());
        for piece in pieces {
            decoder.push(piece, &mut events);
        }
        decoder.end(&mut events);
        events
    }

    /// The bytes that a client gets of these events.
    pub fn encode_stream(&self, events: &[StreamEvent]) -> Vec<u8> {
        let (mut encoder, mut bytes) = ((self.encoder)(), Vec::new());
        for event in events {
            encoder.push(event, &mut bytes);
        }
        encoder.end(&mut bytes);
        bytes
    }
}

pub fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares with a golden file, or writes it when the environment says `BLESS=1`: read the difference before committing.
pub fn matches_golden(path: &str, text: &str) {
    let path = golden().join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; BLESS=1 writes it", path.display()));
    assert_eq!(text, golden, "{} differs; BLESS=1 writes it", path.display());
}

pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
