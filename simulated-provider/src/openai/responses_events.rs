//! The events of a streamed response, numbered in sequence.

use bytes::Bytes;
use serde_json::{Value, json};

use super::responses::{Item, Reply, logprob};
use crate::answer::{Delta, End};
use crate::script::{Frames, Script, named_event};

const MALFORMED: &[u8] =
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"de\n\n";

pub(super) fn script(reply: &Reply<'_>) -> Script {
    let error = json!({ "type": "error", "code": "server_error", "param": null, "sequence_number": 0,
                        "message": "The server had an error while processing your request. Sorry about that!" });
    let mut events = Events { frames: Frames::new(named_event("error", &error), MALFORMED), reply, sequence: 0 };
    events.push("response.created", json!({ "response": reply.begun() }));
    events.push("response.in_progress", json!({ "response": reply.begun() }));
    for (index, item) in reply.items().enumerate() {
        events.item(index, item);
    }
    let end = if reply.answer.end == End::Length { "response.incomplete" } else { "response.completed" };
    events.push(end, json!({ "response": reply.ended() }));
    Script::Frames(events.frames)
}

struct Events<'a> {
    frames: Frames,
    reply: &'a Reply<'a>,
    sequence: u64,
}

impl Events<'_> {
    fn item(&mut self, index: usize, item: Item) {
        let reply = self.reply;
        let begun = json!({ "output_index": index, "item": reply.item_begun(item) });
        if let Item::Call(_) = item {
            // The token of the function's name.
            let event = self.event("response.output_item.added", begun);
            self.frames.push_token(event);
        } else {
            self.push("response.output_item.added", begun);
        }
        match item {
            Item::Reasoning => self.reasoning(index),
            Item::Message => self.message(index),
            Item::Call(call) => self.call(index, call),
        }
        self.push("response.output_item.done", json!({ "output_index": index, "item": reply.item(item) }));
    }

    fn reasoning(&mut self, index: usize) {
        let reply = self.reply;
        let at = json!({ "item_id": reply.item_id(Item::Reasoning), "output_index": index, "summary_index": 0 });
        let empty = json!({ "type": "summary_text", "text": "" });
        self.push("response.reasoning_summary_part.added", with(&at, "part", empty));
        for delta in &reply.answer.deltas {
            let Delta::Thinking { from, to } = *delta else { continue };
            let piece = reply.answer.thinking[from..to].into();
            self.token("response.reasoning_summary_text.delta", with(&at, "delta", piece));
        }
        let text = reply.answer.thinking.as_str().into();
        self.push("response.reasoning_summary_text.done", with(&at, "text", text));
        self.push("response.reasoning_summary_part.done", with(&at, "part", reply.summary()));
    }

    fn message(&mut self, index: usize) {
        let reply = self.reply;
        let at = json!({ "item_id": reply.item_id(Item::Message), "output_index": index, "content_index": 0 });
        self.push("response.content_part.added", with(&at, "part", reply.content("")));
        for piece in reply.answer.text_pieces() {
            let logprobs: Vec<Value> = reply.logprobs.then(|| logprob(piece)).into_iter().collect();
            let delta = with(&with(&at, "delta", piece.into()), "logprobs", logprobs.into());
            self.token("response.output_text.delta", delta);
        }
        let text = with(&at, "text", reply.answer.text.as_str().into());
        let logprobs = reply.content(&reply.answer.text)["logprobs"].take();
        self.push("response.output_text.done", with(&text, "logprobs", logprobs));
        self.push("response.content_part.done", with(&at, "part", reply.content(&reply.answer.text)));
    }

    fn call(&mut self, index: usize, wanted: usize) {
        let reply = self.reply;
        let at = json!({ "item_id": reply.item_id(Item::Call(wanted)), "output_index": index });
        let arguments = &reply.answer.calls[wanted].arguments;
        for delta in &reply.answer.deltas {
            match *delta {
                Delta::CallArguments { call, from, to } if call == wanted => {
                    let piece = arguments[from..to].into();
                    self.token("response.function_call_arguments.delta", with(&at, "delta", piece));
                }
                _ => {}
            }
        }
        let done = with(&at, "arguments", arguments.as_str().into());
        let done = with(&done, "name", reply.answer.calls[wanted].name.as_str().into());
        self.push("response.function_call_arguments.done", done);
    }

    fn push(&mut self, kind: &str, data: Value) {
        let event = self.event(kind, data);
        self.frames.push(event);
    }

    fn token(&mut self, kind: &str, data: Value) {
        let event = self.event(kind, data);
        self.frames.push_token(event);
    }

    fn event(&mut self, kind: &str, mut data: Value) -> Bytes {
        data["type"] = kind.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        named_event(kind, &data)
    }
}

fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}
