//! Speech, as bytes that arrive in pieces, and transcriptions and translations of uploads.
//!
//! Speech of a text is an MP3 frame of silence for each of its tokens, which the bill counts as prompt tokens. A transcript
//! says how many bytes were heard: a prompt token for every 1,000 bytes begun, and the tokens of the text.

use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};

use super::{missing, refused};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Context, EVENTS, Head, Incoming, Reset, Usage, Written, serve};
use crate::door::OpenAi;
use crate::embedding;
use crate::error::ApiError;
use crate::multipart::Form;
use crate::openai::{ERROR_EVENT, MALFORMED_EVENT};
use crate::script::{Frames, Script, data_event};
use crate::tokens;
use crate::value::{self, string};

const BYTES_A_TOKEN: usize = 1_000;
/// Header of an MPEG-1 layer 3 frame of 128 kbit/s at 44.1 kHz, which is 417 bytes long.
const FRAME_HEAD: [u8; 4] = [0xff, 0xfb, 0x90, 0x00];
const FRAME_BYTES: usize = 417;

pub(super) async fn speak(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let input = string(body.get("input"));
    let model = match value::model(body) {
        Ok(_) if input.is_empty() => return refused(incoming, &missing("input")),
        Ok(_) if body.get("voice").is_none() => return refused(incoming, &missing("voice")),
        Ok(model) => model,
        Err(error) => return refused(incoming, &error),
    };
    let content_type = match string(body.get("response_format")) {
        "wav" => "audio/wav",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "pcm" => "audio/pcm",
        _ => "audio/mpeg",
    };
    let head = Head { model, shape: Shape::Plain, prompt_tokens: embedding::tokens(input) };
    serve(incoming, head, |_| {
        let mut frames = Frames::new("", "");
        let mut sound = FRAME_HEAD.to_vec();
        sound.resize(FRAME_BYTES, 0);
        for _ in 0..embedding::tokens(input) {
            frames.push_tokens(0, sound.clone());
        }
        Written::stream(HeaderValue::from_static(content_type), 0, Script::Frames(frames))
    })
    .await
}

pub(super) async fn transcribe(
    incoming: &Incoming<'_>,
    operation: OpenAi,
    deployment: Option<&str>,
) -> Result<Response<Body>, Reset> {
    let heard = match Form::read(incoming.headers, incoming.body).and_then(|form| heard(&form, operation, deployment)) {
        Ok(heard) => heard,
        Err(error) => return refused(incoming, &error),
    };
    let shape = if heard.stream { Shape::Stream } else { Shape::Plain };
    let head = Head { model: heard.model.clone(), shape, prompt_tokens: heard.prompt_tokens };
    serve(incoming, head, |context| heard.write(context)).await
}

#[derive(Debug)]
struct Heard {
    model: String,
    text: String,
    format: String,
    stream: bool,
    prompt_tokens: u64,
}

fn heard(form: &Form<'_>, operation: OpenAi, deployment: Option<&str>) -> Result<Heard, ApiError> {
    let file = form.field("file").filter(|file| file.file_name.is_some()).ok_or_else(|| missing("file"))?;
    let model = deployment.or(form.text("model")).filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
    let verb = if operation == OpenAi::Translations { "translated" } else { "heard" };
    Ok(Heard {
        model: model.to_owned(),
        text: format!("echo: {verb} {} bytes of {}", file.content.len(), file.file_name.as_deref().unwrap_or_default()),
        format: form.text("response_format").unwrap_or("json").to_owned(),
        stream: operation == OpenAi::Transcriptions && form.text("stream") == Some("true"),
        prompt_tokens: file.content.len().div_ceil(BYTES_A_TOKEN).max(1) as u64,
    })
}

impl Heard {
    fn write(&self, context: &Context<'_>) -> Written {
        const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
        let text = &self.text;
        let tokens = tokens::completion_tokens(text);
        let usage = (context.usage != Usage::Absent).then(|| {
            let (input, output) = (context.usage.told(self.prompt_tokens), context.usage.told(tokens));
            json!({ "type": "tokens", "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
                    "input_token_details": { "text_tokens": 0, "audio_tokens": input } })
        });
        if self.stream {
            return Written::stream(EVENTS, tokens, self.script(usage));
        }
        let mut answer = match self.format.as_str() {
            "text" => return Written::plain(TEXT, tokens, format!("{text}\n").into_bytes()),
            "srt" => {
                let lines = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n");
                return Written::plain(TEXT, tokens, lines.into_bytes());
            }
            "vtt" => {
                let lines = format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n");
                return Written::plain(TEXT, tokens, lines.into_bytes());
            }
            "verbose_json" => json!({
                "task": "transcribe", "language": "english", "duration": 1.0, "text": text,
                "segments": [{ "id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": text, "tokens": [],
                               "temperature": 0.0, "avg_logprob": -0.01, "compression_ratio": 1.0,
                               "no_speech_prob": 0.0 }],
            }),
            _ => json!({ "text": text }),
        };
        if let Some(usage) = usage {
            answer["usage"] = usage;
        }
        Written::json(tokens, &answer)
    }

    fn script(&self, usage: Option<Value>) -> Script {
        let mut frames = Frames::new(ERROR_EVENT, MALFORMED_EVENT);
        let mut from = 0;
        for to in tokens::pieces(&self.text) {
            let delta = json!({ "type": "transcript.text.delta", "delta": self.text[from..to] });
            frames.push_token(data_event(&delta));
            from = to;
        }
        let mut done = json!({ "type": "transcript.text.done", "text": self.text });
        if let Some(usage) = usage {
            done["usage"] = usage;
        }
        frames.push(data_event(&done));
        Script::Frames(frames)
    }
}
