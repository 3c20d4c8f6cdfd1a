//! Answers of a v2 chat, whole and streamed.

use serde_json::{Value, json};

use crate::answer::{Answer, Block, Call, Delta, End};
use crate::asked::Asked;
use crate::call::{Context, Usage};
use crate::script::{Frames, Script, typed_event};

const MALFORMED: &[u8] =
    b"event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"con\n\n";

#[derive(Debug)]
pub(super) struct Reply {
    id: String,
    pub(super) answer: Answer,
    prompt_tokens: u64,
    logprobs: bool,
    usage: Usage,
}

impl Reply {
    pub(super) fn new(context: &Context<'_>, answer: Answer, asked: &Asked<'_>) -> Self {
        let Asked { prompt_tokens, logprobs, .. } = *asked;
        Self { id: context.id(""), answer, prompt_tokens, logprobs, usage: context.usage }
    }

    pub(super) fn plain(&self) -> Value {
        let answer = &self.answer;
        let mut content = Vec::new();
        if !answer.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": answer.thinking }));
        }
        if !answer.text.is_empty() {
            content.push(json!({ "type": "text", "text": answer.text }));
        }
        let mut message = json!({ "role": "assistant" });
        if !content.is_empty() {
            message["content"] = content.into();
        }
        if !answer.calls.is_empty() {
            let calls = answer.calls.iter().enumerate();
            message["tool_calls"] = calls.map(|(index, call)| self.call(index, call, &call.arguments)).collect();
        }
        let mut reply = json!({ "id": self.id, "finish_reason": self.finish_reason(), "message": message });
        if let Some(usage) = self.usage() {
            reply["usage"] = usage;
        }
        if self.logprobs {
            reply["logprobs"] = answer.text_pieces().map(logprob).collect();
        }
        reply
    }

    fn call(&self, index: usize, call: &Call, arguments: &str) -> Value {
        let id = format!("{}_{}{index}", call.name, &self.id[..12.min(self.id.len())]);
        json!({ "id": id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
    }

    fn finish_reason(&self) -> &'static str {
        match self.answer.end {
            End::Stop => "COMPLETE",
            End::StopText(_) => "STOP_SEQUENCE",
            End::Length => "MAX_TOKENS",
            End::Calls | End::ForcedCalls => "TOOL_CALL",
        }
    }

    fn usage(&self) -> Option<Value> {
        let (prompt, output) = (self.usage.told(self.prompt_tokens), self.usage.told(self.answer.tokens()));
        let tokens = json!({ "input_tokens": prompt, "output_tokens": output });
        (self.usage != Usage::Absent).then(|| json!({ "billed_units": tokens, "tokens": tokens }))
    }

    pub(super) fn script(&self) -> Script {
        let error = json!({ "delta": { "error": "internal server error", "finish_reason": "ERROR" } });
        let mut stream = Stream {
            frames: Frames::new(typed_event("message-end", error), MALFORMED),
            reply: self,
            open: None,
            blocks: 0,
        };
        let message = json!({ "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] });
        stream.frames.push(typed_event("message-start", json!({ "id": self.id, "delta": { "message": message } })));
        for delta in &self.answer.deltas {
            stream.delta(*delta);
        }
        stream.close();
        let mut end = json!({ "finish_reason": self.finish_reason() });
        if let Some(usage) = self.usage() {
            end["usage"] = usage;
        }
        stream.frames.push(typed_event("message-end", json!({ "id": self.id, "delta": end })));
        stream.frames.push("data: [DONE]\n\n");
        Script::Frames(stream.frames)
    }
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
                self.token("content-delta", json!({ "content": { "thinking": answer.thinking[from..to] } }), None);
            }
            Delta::Text { from, to } => {
                self.open(Block::Text);
                let piece = &answer.text[from..to];
                let logprobs = self.reply.logprobs.then(|| logprob(piece));
                self.token("content-delta", json!({ "content": { "text": piece } }), logprobs);
            }
            Delta::CallStart { call } => {
                self.open(Block::Call(call));
                let started = self.reply.call(call, &answer.calls[call], "");
                self.token("tool-call-start", json!({ "tool_calls": started }), None);
            }
            Delta::CallArguments { call, from, to } => {
                let arguments = &answer.calls[call].arguments[from..to];
                let piece = json!({ "tool_calls": { "function": { "arguments": arguments } } });
                self.token("tool-call-delta", piece, None);
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
            Block::Thinking => json!({ "type": "thinking", "thinking": "" }),
            Block::Text => json!({ "type": "text", "text": "" }),
            Block::Call(_) => return,
        };
        let start = json!({ "index": self.blocks, "delta": { "message": { "content": content } } });
        self.frames.push(typed_event("content-start", start));
    }

    fn close(&mut self) {
        let Some(block) = self.open.take() else { return };
        let name = if matches!(block, Block::Call(_)) { "tool-call-end" } else { "content-end" };
        self.frames.push(typed_event(name, json!({ "index": self.index(block) })));
        if !matches!(block, Block::Call(_)) {
            self.blocks += 1;
        }
    }

    /// Contents and calls are counted apart.
    fn index(&self, block: Block) -> u64 {
        if let Block::Call(call) = block { call as u64 } else { self.blocks }
    }

    fn token(&mut self, name: &str, message: Value, logprobs: Option<Value>) {
        let index = self.open.map_or(0, |block| self.index(block));
        let mut data = json!({ "index": index, "delta": { "message": message } });
        if let Some(logprobs) = logprobs {
            data["logprobs"] = logprobs;
        }
        self.frames.push_token(typed_event(name, data));
    }
}

fn logprob(piece: &str) -> Value {
    json!({ "text": piece, "token_ids": [piece.len()], "logprobs": [-0.01] })
}
