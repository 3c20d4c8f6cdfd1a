//! Answers of Converse and ConverseStream.

use bytes::Bytes;
use serde_json::{Value, json};

use super::event_stream::{event, exception};
use crate::answer::{Answer, Block, Call, Delta, End};
use crate::call::{Context, Usage};
use crate::script::{Frames, Script};

#[derive(Debug)]
pub(super) struct Reply {
    id: String,
    pub(super) answer: Answer,
    prompt_tokens: u64,
    usage: Usage,
}

impl Reply {
    pub(super) fn new(context: &Context<'_>, answer: Answer, prompt_tokens: u64) -> Self {
        Self { id: context.id("tooluse_"), answer, prompt_tokens, usage: context.usage }
    }

    pub(super) fn plain(&self) -> Value {
        let answer = &self.answer;
        let mut content = Vec::new();
        if !answer.thinking.is_empty() {
            let text = json!({ "text": answer.thinking, "signature": self.signature() });
            content.push(json!({ "reasoningContent": { "reasoningText": text } }));
        }
        if !answer.text.is_empty() {
            content.push(json!({ "text": answer.text }));
        }
        for (index, call) in answer.calls.iter().enumerate() {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            let mut used = self.call(index, call);
            used["input"] = input;
            content.push(json!({ "toolUse": used }));
        }
        let mut reply = json!({
            "output": { "message": { "role": "assistant", "content": content } },
            "stopReason": self.stop_reason(), "metrics": { "latencyMs": 1 },
        });
        if let Some(usage) = self.usage() {
            reply["usage"] = usage;
        }
        reply
    }

    fn signature(&self) -> String {
        format!("sig-{}", self.id)
    }

    fn call(&self, index: usize, call: &Call) -> Value {
        json!({ "toolUseId": format!("{}{index}", self.id), "name": call.name })
    }

    fn stop_reason(&self) -> &'static str {
        match self.answer.end {
            End::Stop => "end_turn",
            End::StopText(_) => "stop_sequence",
            End::Length => "max_tokens",
            End::Calls | End::ForcedCalls => "tool_use",
        }
    }

    fn usage(&self) -> Option<Value> {
        let (prompt, output) = (self.usage.told(self.prompt_tokens), self.usage.told(self.answer.tokens()));
        (self.usage != Usage::Absent).then(|| {
            json!({ "inputTokens": prompt, "outputTokens": output, "totalTokens": prompt + output,
                    "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0 })
        })
    }

    pub(super) fn script(&self) -> Script {
        let error = json!({ "message": "The model produced an error while streaming. Try your request again." });
        let error = exception("modelStreamErrorException", error.to_string().as_bytes());
        let malformed = event("contentBlockDelta", b"{\"contentBlockIndex\":0,\"delta\":{\"te");
        let mut stream = Stream { frames: Frames::new(error, malformed), reply: self, open: None, blocks: 0 };
        stream.frames.push(json_event("messageStart", json!({ "role": "assistant" })));
        for delta in &self.answer.deltas {
            stream.delta(*delta);
        }
        stream.close();
        stream.frames.push(json_event("messageStop", json!({ "stopReason": self.stop_reason() })));
        let mut metadata = json!({ "metrics": { "latencyMs": 1 } });
        if let Some(usage) = self.usage() {
            metadata["usage"] = usage;
        }
        stream.frames.push(json_event("metadata", metadata));
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
                self.token(json!({ "reasoningContent": { "text": answer.thinking[from..to] } }));
            }
            Delta::Text { from, to } => {
                self.open(Block::Text);
                self.token(json!({ "text": answer.text[from..to] }));
            }
            Delta::CallStart { call } => self.open(Block::Call(call)),
            Delta::CallArguments { call, from, to } => {
                self.token(json!({ "toolUse": { "input": answer.calls[call].arguments[from..to] } }));
            }
        }
    }

    fn open(&mut self, block: Block) {
        if self.open == Some(block) {
            return;
        }
        self.close();
        self.open = Some(block);
        // Only calls are opened with an event of their own.
        if let Block::Call(call) = block {
            let start = json!({ "toolUse": self.reply.call(call, &self.reply.answer.calls[call]) });
            let start = json!({ "contentBlockIndex": self.blocks, "start": start });
            self.frames.push_token(json_event("contentBlockStart", start));
        }
    }

    fn close(&mut self) {
        let Some(block) = self.open.take() else { return };
        if block == Block::Thinking {
            let delta = json!({ "reasoningContent": { "signature": self.reply.signature() } });
            let delta = json!({ "contentBlockIndex": self.blocks, "delta": delta });
            self.frames.push(json_event("contentBlockDelta", delta));
        }
        self.frames.push(json_event("contentBlockStop", json!({ "contentBlockIndex": self.blocks })));
        self.blocks += 1;
    }

    fn token(&mut self, delta: Value) {
        let data = json!({ "contentBlockIndex": self.blocks, "delta": delta });
        self.frames.push_token(json_event("contentBlockDelta", data));
    }
}

fn json_event(kind: &str, mut payload: Value) -> Bytes {
    // Bedrock pads each event, so that its length does not tell the token.
    payload["p"] = "abcdefghijklm".into();
    event(kind, payload.to_string().as_bytes())
}
