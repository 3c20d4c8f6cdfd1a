//! The events of a streamed message. Every event has a name, which Anthropic's clients go by.

use serde_json::{Value, json};

use super::wire::Reply;
use crate::answer::{Block, Delta};
use crate::script::{Frames, Script, named_event, typed_event};

const MALFORMED: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"del\n\n";

pub(super) fn script(reply: &Reply) -> Script {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let mut stream =
        Stream { frames: Frames::new(named_event("error", &error), MALFORMED), reply, open: None, blocks: 0 };
    let mut message = reply.message(Vec::new());
    if let Some(usage) = reply.usage(1) {
        message["usage"] = usage;
    }
    stream.push("message_start", json!({ "message": message }));
    for delta in &reply.answer.deltas {
        stream.delta(*delta);
    }
    stream.close();
    let (reason, sequence) = reply.stop();
    let mut end = json!({ "delta": { "stop_reason": reason, "stop_sequence": sequence } });
    if let Some(usage) = reply.usage(reply.answer.tokens()) {
        end["usage"] = usage;
    }
    stream.push("message_delta", end);
    stream.push("message_stop", json!({}));
    Script::Frames(stream.frames)
}

struct Stream<'a> {
    frames: Frames,
    reply: &'a Reply,
    open: Option<Block>,
    blocks: u64,
}

impl Stream<'_> {
    fn delta(&mut self, delta: Delta) {
        let answer = &self.reply.answer;
        match delta {
            Delta::Thinking { from, to } => {
                self.open(Block::Thinking);
                self.token(json!({ "type": "thinking_delta", "thinking": answer.thinking[from..to] }));
            }
            Delta::Text { from, to } => {
                self.open(Block::Text);
                self.token(json!({ "type": "text_delta", "text": answer.text[from..to] }));
            }
            Delta::CallStart { call } => {
                self.open(Block::Call(call));
                // The name's token; clients get an empty piece first, as from the real API.
                self.token(json!({ "type": "input_json_delta", "partial_json": "" }));
            }
            Delta::CallArguments { call, from, to } => {
                let piece = &answer.calls[call].arguments[from..to];
                self.token(json!({ "type": "input_json_delta", "partial_json": piece }));
            }
        }
    }

    fn open(&mut self, block: Block) {
        if self.open == Some(block) {
            return;
        }
        self.close();
        self.open = Some(block);
        let content = match block {
            Block::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Block::Text => json!({ "type": "text", "text": "" }),
            Block::Call(call) => self.reply.call(call, &self.reply.answer.calls[call], json!({})),
        };
        self.push("content_block_start", json!({ "index": self.blocks, "content_block": content }));
        if self.blocks == 0 {
            self.push("ping", json!({}));
        }
    }

    fn close(&mut self) {
        let Some(block) = self.open.take() else { return };
        if block == Block::Thinking {
            let delta = json!({ "type": "signature_delta", "signature": self.reply.signature() });
            self.push("content_block_delta", json!({ "index": self.blocks, "delta": delta }));
        }
        self.push("content_block_stop", json!({ "index": self.blocks }));
        self.blocks += 1;
    }

    fn push(&mut self, name: &str, data: Value) {
        self.frames.push(typed_event(name, data));
    }

    fn token(&mut self, delta: Value) {
        let data = json!({ "index": self.blocks, "delta": delta });
        self.frames.push_token(typed_event("content_block_delta", data));
    }
}
