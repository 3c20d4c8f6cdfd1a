//! A whole message.

use serde_json::{Value, json};

use super::request::Cached;
use crate::answer::{Answer, Call, End};
use crate::call::{Context, Usage};

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) answer: Answer,
    prompt_tokens: u64,
    cached: Cached,
    usage: Usage,
}

impl Reply {
    pub(super) fn new(
        context: &Context<'_>,
        model: String,
        answer: Answer,
        prompt_tokens: u64,
        cached: Cached,
    ) -> Self {
        Self { id: context.id("msg_01"), model, answer, prompt_tokens, cached, usage: context.usage }
    }

    pub(super) fn plain(&self) -> Value {
        let answer = &self.answer;
        let mut content = Vec::new();
        if !answer.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": answer.thinking, "signature": self.signature() }));
        }
        if !answer.text.is_empty() {
            content.push(json!({ "type": "text", "text": answer.text }));
        }
        for (index, call) in answer.calls.iter().enumerate() {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            content.push(self.call(index, call, input));
        }
        let (reason, sequence) = self.stop();
        let mut message = self.message(content);
        message["stop_reason"] = reason.into();
        message["stop_sequence"] = sequence;
        if let Some(usage) = self.usage(answer.tokens()) {
            message["usage"] = usage;
        }
        message
    }

    /// A message that has not been ended.
    pub(super) fn message(&self, content: Vec<Value>) -> Value {
        json!({ "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content,
                "stop_reason": null, "stop_sequence": null })
    }

    pub(super) fn call(&self, index: usize, call: &Call, input: Value) -> Value {
        let id = format!("toolu_01{}{index}", &self.id[self.id.len().saturating_sub(20)..]);
        json!({ "type": "tool_use", "id": id, "name": call.name, "input": input })
    }

    pub(super) fn signature(&self) -> String {
        format!("sig-{}", self.id)
    }

    /// `stop_reason` and `stop_sequence`.
    pub(super) fn stop(&self) -> (&'static str, Value) {
        match &self.answer.end {
            End::Stop => ("end_turn", Value::Null),
            End::StopText(text) => ("stop_sequence", text.as_str().into()),
            End::Length => ("max_tokens", Value::Null),
            End::Calls | End::ForcedCalls => ("tool_use", Value::Null),
        }
    }

    pub(super) fn usage(&self, output_tokens: u64) -> Option<Value> {
        let told = |tokens| self.usage.told(tokens);
        let Cached { read, written } = self.cached;
        (self.usage != Usage::Absent).then(|| {
            json!({
                "input_tokens": told(self.prompt_tokens - read - written),
                "cache_creation_input_tokens": told(written),
                "cache_read_input_tokens": told(read),
                "cache_creation": { "ephemeral_5m_input_tokens": told(written), "ephemeral_1h_input_tokens": 0 },
                "output_tokens": told(output_tokens),
                "service_tier": "standard",
            })
        })
    }
}
