//! Answers of generateContent, whole and in pieces. A function call is never split.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Delta, End};
use crate::asked::Asked;
use crate::call::{Context, Usage};
use crate::script::{Frames, Script};

/// How a stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Events,
    Array,
}

#[derive(Debug)]
pub(super) struct Reply {
    id: String,
    model: String,
    answer: Answer,
    choices: u64,
    prompt_tokens: u64,
    logprobs: bool,
    usage: Usage,
}

impl Reply {
    pub(super) fn new(context: &Context<'_>, answer: Answer, asked: Asked<'_>) -> Self {
        Self {
            id: context.id(""),
            model: asked.model,
            answer,
            choices: asked.choices,
            prompt_tokens: asked.prompt_tokens,
            logprobs: asked.logprobs,
            usage: context.usage,
        }
    }

    pub(super) fn tokens(&self) -> u64 {
        self.answer.tokens() * self.choices
    }

    pub(super) fn choices(&self) -> u64 {
        self.choices
    }

    pub(super) fn plain(&self) -> Value {
        let answer = &self.answer;
        let mut parts = Vec::new();
        if !answer.thinking.is_empty() {
            parts.push(json!({ "text": answer.thinking, "thought": true }));
        }
        if !answer.text.is_empty() {
            parts.push(json!({ "text": answer.text }));
        }
        parts.extend((0..answer.calls.len()).map(|call| self.call(call)));
        let candidate = |index| {
            let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": index,
                                        "finishReason": self.finish_reason() });
            if self.logprobs {
                let pieces: Vec<&str> = answer.text_pieces().collect();
                candidate["avgLogprobs"] = (-0.01).into();
                candidate["logprobsResult"] = logprobs(&pieces);
            }
            candidate
        };
        self.response((0..self.choices).map(candidate).collect(), self.tokens(), self.thoughts())
    }

    fn thoughts(&self) -> u64 {
        self.answer.thinking_tokens() * self.choices
    }

    fn finish_reason(&self) -> &'static str {
        if self.answer.end == End::Length { "MAX_TOKENS" } else { "STOP" }
    }

    fn call(&self, index: usize) -> Value {
        let call = &self.answer.calls[index];
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let mut part = json!({ "functionCall": { "name": call.name, "args": arguments } });
        if index == 0 && !self.answer.thinking.is_empty() {
            // Base64, as the real signatures are.
            part["thoughtSignature"] = "c2ltdWxhdGVk".into();
        }
        part
    }

    /// `tokens` with the thoughts among them.
    fn response(&self, candidates: Vec<Value>, tokens: u64, thoughts: u64) -> Value {
        let mut response = json!({ "candidates": candidates, "modelVersion": self.model, "responseId": self.id });
        if self.usage != Usage::Absent {
            let told = |tokens| self.usage.told(tokens);
            let prompt = told(self.prompt_tokens);
            response["usageMetadata"] = json!({
                "promptTokenCount": prompt, "candidatesTokenCount": told(tokens - thoughts),
                "totalTokenCount": prompt + told(tokens),
                "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": prompt }],
            });
            if thoughts > 0 {
                response["usageMetadata"]["thoughtsTokenCount"] = told(thoughts).into();
            }
        }
        response
    }

    pub(super) fn script(&self, form: Form) -> Script {
        let error = "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"The model is overloaded. Please try again later.\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n";
        let (error, malformed) = match form {
            // Google writes the error as it is, without the framing of an event.
            Form::Events => (error.to_owned(), "data: {\"candidates\": [{\"content\": {\"parts\": [{\"te\r\n\r\n"),
            Form::Array => (format!(",\r\n{error}]"), ",\r\n{\"candidates\": [{\"content\": {\"parts\": [{\"te"),
        };
        let mut frames = Frames::new(error, malformed);
        let mut sent = Sent { reply: self, form, tokens: 0, thoughts: 0, first: true };
        let answer = &self.answer;
        for delta in &answer.deltas {
            let (part, tokens) = match *delta {
                Delta::Thinking { from, to } => (json!({ "text": answer.thinking[from..to], "thought": true }), 1),
                Delta::Text { from, to } => (json!({ "text": answer.text[from..to] }), 1),
                Delta::CallStart { call } => (self.call(call), answer.call_tokens(call)),
                Delta::CallArguments { .. } => continue,
            };
            for choice in 0..self.choices {
                sent.tokens += tokens;
                if matches!(delta, Delta::Thinking { .. }) {
                    sent.thoughts += tokens;
                }
                frames.push_tokens(tokens, sent.frame(choice, &part, None));
            }
        }
        for choice in 0..self.choices {
            frames.push(sent.frame(choice, &json!({ "text": "" }), Some(self.finish_reason())));
        }
        if form == Form::Array {
            frames.push("]");
        }
        Script::Frames(frames)
    }
}

/// What of a stream has been sent.
struct Sent<'a> {
    reply: &'a Reply,
    form: Form,
    tokens: u64,
    thoughts: u64,
    first: bool,
}

impl Sent<'_> {
    fn frame(&mut self, choice: u64, part: &Value, finish: Option<&str>) -> Bytes {
        let mut candidate = json!({ "content": { "parts": [part], "role": "model" }, "index": choice });
        if let Some(finish) = finish {
            candidate["finishReason"] = finish.into();
        }
        if self.reply.logprobs && part.get("thought").is_none() {
            let piece = part.get("text").and_then(Value::as_str).filter(|piece| !piece.is_empty());
            if let Some(piece) = piece {
                candidate["logprobsResult"] = logprobs(&[piece]);
            }
        }
        let response = self.reply.response(vec![candidate], self.tokens, self.thoughts);
        let first = std::mem::replace(&mut self.first, false);
        match self.form {
            Form::Events => format!("data: {response}\r\n\r\n").into(),
            Form::Array if first => format!("[{response}\n").into(),
            Form::Array => format!(",\r\n{response}\n").into(),
        }
    }
}

fn logprobs(pieces: &[&str]) -> Value {
    let chosen = |piece: &&str| json!({ "token": piece, "tokenId": piece.len(), "logProbability": -0.01 });
    let chosen: Vec<Value> = pieces.iter().map(chosen).collect();
    let top: Vec<Value> = chosen.iter().map(|chosen| json!({ "candidates": [chosen] })).collect();
    json!({ "chosenCandidates": chosen, "topCandidates": top })
}
