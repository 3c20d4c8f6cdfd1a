//! Responses: the whole object. `responses_events` streams it.

use http::Response;
use serde_json::{Map, Value, json};

use super::{refused, responses_events, responses_request};
use crate::answer::{Answer, Call, End};
use crate::asked::Asked;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Context, EVENTS, Head, Incoming, Reset, Usage, Written, serve};

pub(super) async fn respond(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let asked = match responses_request::read(body) {
        Ok(asked) => asked,
        Err(error) => return refused(incoming, &error),
    };
    let shape = if asked.stream { Shape::Stream } else { Shape::Plain };
    let head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    serve(incoming, head, |context| {
        let reply = Reply::new(context, Answer::to(&asked, context), &asked, body);
        let tokens = reply.answer.tokens();
        match shape {
            Shape::Stream => Written::stream(EVENTS, tokens, responses_events::script(&reply)),
            Shape::Plain => Written::json(tokens, &reply.ended()),
        }
    })
    .await
}

#[derive(Debug)]
pub(super) struct Reply<'a> {
    id: String,
    created: u64,
    pub(super) answer: Answer,
    prompt_tokens: u64,
    pub(super) logprobs: bool,
    usage: Usage,
    /// The request, parts of which a response repeats.
    body: &'a Map<String, Value>,
}

/// One thing that a response puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Reasoning,
    Message,
    Call(usize),
}

impl<'a> Reply<'a> {
    fn new(context: &Context<'_>, answer: Answer, asked: &Asked<'_>, body: &'a Map<String, Value>) -> Self {
        Self {
            id: context.id(""),
            created: context.created,
            answer,
            prompt_tokens: asked.prompt_tokens,
            logprobs: asked.logprobs,
            usage: context.usage,
            body,
        }
    }

    /// The response while nothing has been put out.
    pub(super) fn begun(&self) -> Value {
        self.response("in_progress", Vec::new(), Value::Null)
    }

    pub(super) fn ended(&self) -> Value {
        let status = if self.answer.end == End::Length { "incomplete" } else { "completed" };
        let items = self.items().map(|item| self.item(item)).collect();
        self.response(status, items, self.usage())
    }

    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        let reasoning = (!self.answer.thinking.is_empty()).then_some(Item::Reasoning);
        let message = self.answer.calls.is_empty().then_some(Item::Message);
        reasoning.into_iter().chain(message).chain((0..self.answer.calls.len()).map(Item::Call))
    }

    pub(super) fn item_id(&self, item: Item) -> String {
        match item {
            Item::Reasoning => format!("rs_{}", self.id),
            Item::Message => format!("msg_{}", self.id),
            Item::Call(call) => format!("fc_{}{call}", self.id),
        }
    }

    pub(super) fn item(&self, item: Item) -> Value {
        let id = self.item_id(item);
        match item {
            Item::Reasoning => json!({ "id": id, "type": "reasoning", "summary": [self.summary()] }),
            Item::Message => {
                let status = if self.answer.end == End::Length { "incomplete" } else { "completed" };
                json!({ "id": id, "type": "message", "status": status, "role": "assistant",
                        "content": [self.content(&self.answer.text)] })
            }
            Item::Call(index) => self.call(item, &self.answer.calls[index], "completed"),
        }
    }

    /// An item before anything of it was put out.
    pub(super) fn item_begun(&self, item: Item) -> Value {
        let id = self.item_id(item);
        match item {
            Item::Reasoning => json!({ "id": id, "type": "reasoning", "summary": [] }),
            Item::Message => {
                json!({ "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [] })
            }
            Item::Call(index) => {
                let call = Call { name: self.answer.calls[index].name.clone(), arguments: String::new() };
                self.call(item, &call, "in_progress")
            }
        }
    }

    fn call(&self, item: Item, call: &Call, status: &str) -> Value {
        let id = self.item_id(item);
        let call_id = id.replacen("fc_", "call_", 1);
        json!({ "id": id, "type": "function_call", "status": status, "call_id": call_id, "name": call.name,
                "arguments": call.arguments })
    }

    pub(super) fn summary(&self) -> Value {
        json!({ "type": "summary_text", "text": self.answer.thinking })
    }

    pub(super) fn content(&self, text: &str) -> Value {
        let pieces = self.answer.text_pieces().filter(|_| self.logprobs && !text.is_empty());
        let logprobs: Vec<Value> = pieces.map(logprob).collect();
        json!({ "type": "output_text", "annotations": [], "logprobs": logprobs, "text": text })
    }

    fn usage(&self) -> Value {
        if self.usage == Usage::Absent {
            return Value::Null;
        }
        let told = |tokens| self.usage.told(tokens);
        let (input, output) = (told(self.prompt_tokens), told(self.answer.tokens()));
        json!({
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": told(self.answer.thinking_tokens()) },
            "total_tokens": input + output,
        })
    }

    fn response(&self, status: &str, output: Vec<Value>, usage: Value) -> Value {
        let repeated = |name: &str, otherwise: Value| self.body.get(name).cloned().unwrap_or(otherwise);
        let incomplete = (status == "incomplete").then(|| json!({ "reason": "max_output_tokens" }));
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created, "status": status,
            "background": false, "error": null, "incomplete_details": incomplete,
            "instructions": repeated("instructions", Value::Null),
            "max_output_tokens": repeated("max_output_tokens", Value::Null), "max_tool_calls": null,
            "model": repeated("model", Value::Null), "output": output,
            "parallel_tool_calls": repeated("parallel_tool_calls", true.into()),
            "previous_response_id": repeated("previous_response_id", Value::Null),
            "reasoning": repeated("reasoning", json!({ "effort": null, "summary": null })),
            "service_tier": "default", "store": repeated("store", true.into()),
            "temperature": repeated("temperature", 1.0.into()),
            "text": repeated("text", json!({ "format": { "type": "text" }, "verbosity": "medium" })),
            "tool_choice": repeated("tool_choice", "auto".into()), "tools": repeated("tools", json!([])),
            "top_logprobs": repeated("top_logprobs", 0.into()), "top_p": repeated("top_p", 1.0.into()),
            "truncation": "disabled", "usage": usage, "user": repeated("user", Value::Null),
            "metadata": repeated("metadata", json!({})),
        })
    }
}

pub(super) fn logprob(piece: &str) -> Value {
    json!({ "token": piece, "bytes": piece.as_bytes(), "logprob": -0.01, "top_logprobs": [] })
}
