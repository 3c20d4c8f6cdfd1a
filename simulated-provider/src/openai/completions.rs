//! Text completions: the text of the prompt is echoed, as a chat's last user text is.

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use super::{ERROR_EVENT, missing, refused};
use crate::answer::{Answer, Delta, End};
use crate::asked::{Asked, Conversation, Role, Wants};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Context, EVENTS, Head, Incoming, Reset, Usage, Written, serve};
use crate::error::ApiError;
use crate::script::{Frames, Script, data_event};
use crate::value::{self, is_true, number, strings};

const MOST_CHOICES: u64 = 128;
const MALFORMED: &[u8] = b"data: {\"id\":\"cmpl-malformed\",\"object\":\"text_completion\",\"choices\":[{\"te\n\n";

pub(super) async fn complete(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let asked = match read(body) {
        Ok(asked) => asked,
        Err(error) => return refused(incoming, &error),
    };
    let shape = if asked.stream { Shape::Stream } else { Shape::Plain };
    let head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    serve(incoming, head, |context| {
        let reply = Reply { answer: Answer::to(&asked, context), id: context.id("cmpl-"), asked, context };
        let tokens = reply.tokens();
        let written = if reply.asked.stream {
            Written::stream(EVENTS, tokens, reply.script())
        } else {
            Written::json(tokens, &reply.plain())
        };
        written.with_choices(reply.asked.choices)
    })
    .await
}

fn read(body: &Map<String, Value>) -> Result<Asked<'static>, ApiError> {
    let model = value::model(body)?;
    let mut conversation = Conversation::default();
    match body.get("prompt") {
        Some(Value::String(prompt)) => conversation.say(Role::User, prompt.clone()),
        Some(prompt @ Value::Array(_)) => conversation.say(Role::User, strings(Some(prompt)).concat()),
        _ => return Err(missing("prompt")),
    }
    let mut asked = conversation.asked(model, Wants::Text);
    asked.stream = is_true(body.get("stream"));
    asked.include_usage = is_true(body.get("stream_options").and_then(|options| options.get("include_usage")));
    asked.max_tokens = number(body.get("max_tokens"));
    asked.stop = strings(body.get("stop"));
    asked.logprobs = number(body.get("logprobs")).is_some();
    asked.choices = number(body.get("n")).unwrap_or(1);
    if !(1..=MOST_CHOICES).contains(&asked.choices) {
        let message = format!("{} is not between 1 and {MOST_CHOICES} - 'n'", asked.choices);
        return Err(ApiError::invalid(message, Some("n"), None));
    }
    Ok(asked)
}

struct Reply<'a> {
    id: String,
    answer: Answer,
    asked: Asked<'static>,
    context: &'a Context<'a>,
}

impl Reply<'_> {
    fn tokens(&self) -> u64 {
        self.answer.tokens() * self.asked.choices
    }

    fn finish_reason(&self) -> &'static str {
        if self.answer.end == End::Length { "length" } else { "stop" }
    }

    fn completion(&self, choices: Vec<Value>) -> Value {
        json!({ "id": self.id, "object": "text_completion", "created": self.context.created,
                "model": self.asked.model, "choices": choices, "system_fingerprint": "fp_simulated" })
    }

    fn choice(&self, index: u64, pieces: &[&str], finish: Option<&str>) -> Value {
        let logprobs = self.asked.logprobs.then(|| {
            let ends = pieces.iter().scan(0, |end, piece| Some(std::mem::replace(end, *end + piece.len())));
            let top: Vec<Value> = pieces.iter().map(|piece| json!({ *piece: -0.01 })).collect();
            json!({ "tokens": pieces, "token_logprobs": vec![-0.01; pieces.len()], "top_logprobs": top,
                    "text_offset": ends.collect::<Vec<_>>() })
        });
        json!({ "text": pieces.concat(), "index": index, "logprobs": logprobs, "finish_reason": finish })
    }

    fn usage(&self) -> Option<Value> {
        let told = |tokens| self.context.usage.told(tokens);
        let (prompt, completion) = (told(self.asked.prompt_tokens), told(self.tokens()));
        (self.context.usage != Usage::Absent).then(
            || json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion }),
        )
    }

    fn plain(&self) -> Value {
        let pieces: Vec<&str> = self.answer.text_pieces().collect();
        let choice = |index| self.choice(index, &pieces, Some(self.finish_reason()));
        let mut completion = self.completion((0..self.asked.choices).map(choice).collect());
        if let Some(usage) = self.usage() {
            completion["usage"] = usage;
        }
        completion
    }

    fn script(&self) -> Script {
        let mut frames = Frames::new(ERROR_EVENT, MALFORMED);
        let event = |choice: Value| -> Bytes {
            let mut chunk = self.completion(vec![choice]);
            if self.asked.include_usage {
                chunk["usage"] = Value::Null;
            }
            data_event(&chunk)
        };
        for delta in &self.answer.deltas {
            let Delta::Text { from, to } = *delta else { continue };
            for choice in 0..self.asked.choices {
                frames.push_token(event(self.choice(choice, &[&self.answer.text[from..to]], None)));
            }
        }
        for choice in 0..self.asked.choices {
            frames.push(event(self.choice(choice, &[], Some(self.finish_reason()))));
        }
        if let Some(usage) = self.usage().filter(|_| self.asked.include_usage) {
            let mut chunk = self.completion(Vec::new());
            chunk["usage"] = usage;
            frames.push(data_event(&chunk));
        }
        frames.push("data: [DONE]\n\n");
        Script::Frames(frames)
    }
}
