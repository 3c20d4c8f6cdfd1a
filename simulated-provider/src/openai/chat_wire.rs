//! Chat completions as OpenAI writes them: the plain answer, and the events of a stream.
//!
//! Written by hand into one buffer: the shape is fixed and this is the hottest code here.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::answer::{Answer, Call, Delta, End};
use crate::call::Usage;

/// Everything that the answer to one request says.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) answer: Answer,
    pub(crate) choices: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) include_usage: bool,
    pub(crate) logprobs: bool,
    pub(crate) usage: Usage,
    /// Whether each event says when it was sent.
    pub(crate) stamp: bool,
}

const DONE: &[u8] = b"data: [DONE]\n\n";

/// What the n-th event of a stream is.
#[derive(Debug)]
pub(crate) enum Event {
    Role(u64),
    Token { choice: u64, token: u64 },
    Finish(u64),
    Usage,
    Done,
}

impl Reply {
    pub(crate) fn completion_tokens(&self) -> u64 {
        self.answer.tokens() * self.choices
    }

    /// The whole answer as one JSON object.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut out = self.plain_until_content();
        out.reserve(self.answer.text.len() * self.choices as usize + 512);
        for index in 0..self.choices {
            if index > 0 {
                out.push(b',');
            }
            raw(&mut out, "{\"index\":");
            number(&mut out, index);
            raw(&mut out, ",\"message\":{\"role\":\"assistant\",\"content\":");
            if self.answer.calls.is_empty() {
                string(&mut out, &self.answer.text);
            } else {
                raw(&mut out, "null,\"tool_calls\":[");
                for (position, call) in self.answer.calls.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    raw(&mut out, "{");
                    self.call_head(&mut out, index, position, call);
                    raw(&mut out, ",\"arguments\":");
                    string(&mut out, &call.arguments);
                    raw(&mut out, "}}");
                }
                raw(&mut out, "]");
            }
            raw(&mut out, ",\"refusal\":null,\"annotations\":[]},\"logprobs\":");
            self.write_logprobs(&mut out, &self.answer.deltas);
            raw(&mut out, ",\"finish_reason\":");
            string(&mut out, self.finish_reason());
            out.push(b'}');
        }
        raw(&mut out, "]");
        if self.usage != Usage::Absent {
            raw(&mut out, ",\"usage\":");
            self.write_usage(&mut out);
        }
        raw(&mut out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_simulated\"}");
        out
    }

    /// A plain answer up to where its choices begin.
    fn plain_until_content(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(768);
        raw(&mut out, "{\"id\":\"");
        raw(&mut out, &self.id);
        raw(&mut out, "\",\"object\":\"chat.completion\",\"created\":");
        number(&mut out, self.created);
        raw(&mut out, ",\"model\":");
        string(&mut out, &self.model);
        raw(&mut out, ",\"choices\":[");
        out
    }

    fn finish_reason(&self) -> &'static str {
        match self.answer.end {
            End::Stop | End::StopText(_) | End::ForcedCalls => "stop",
            End::Length => "length",
            End::Calls => "tool_calls",
        }
    }

    fn call_head(&self, out: &mut Vec<u8>, choice: u64, position: usize, call: &Call) {
        raw(out, "\"id\":\"call_");
        // The tail of the answer's own id keeps call ids distinct between answers, as clients rely on.
        raw(out, &self.id[self.id.len().saturating_sub(20)..]);
        number(out, choice);
        out.push(b'_');
        number(out, position as u64);
        raw(out, "\",\"type\":\"function\",\"function\":{\"name\":");
        string(out, &call.name);
    }

    fn write_usage(&self, out: &mut Vec<u8>) {
        let (prompt, completion) = match self.usage {
            Usage::True => (self.prompt_tokens, self.completion_tokens()),
            Usage::Zero | Usage::Absent => (0, 0),
        };
        raw(out, "{\"prompt_tokens\":");
        number(out, prompt);
        raw(out, ",\"completion_tokens\":");
        number(out, completion);
        raw(out, ",\"total_tokens\":");
        number(out, prompt + completion);
        raw(
            out,
            ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\
             \"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
        );
    }

    fn write_logprobs(&self, out: &mut Vec<u8>, deltas: &[Delta]) {
        if !self.logprobs {
            return raw(out, "null");
        }
        raw(out, "{\"content\":[");
        let mut first = true;
        for delta in deltas {
            let Delta::Text { from, to } = *delta else { continue };
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            let token = &self.answer.text[from..to];
            raw(out, "{\"token\":");
            string(out, token);
            raw(out, ",\"logprob\":-0.01,\"bytes\":[");
            for (position, byte) in token.bytes().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                number(out, u64::from(byte));
            }
            raw(out, "],\"top_logprobs\":[]}");
        }
        raw(out, "],\"refusal\":null}");
    }
}

/// Writes the chunks of one stream; what all chunks share is made once.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) reply: Reply,
    prefix: Vec<u8>,
    suffix: &'static str,
}

impl Chunks {
    pub(crate) fn new(reply: Reply) -> Self {
        let mut prefix = Vec::with_capacity(256);
        raw(&mut prefix, "data: {\"id\":\"");
        raw(&mut prefix, &reply.id);
        raw(&mut prefix, "\",\"object\":\"chat.completion.chunk\",\"created\":");
        number(&mut prefix, reply.created);
        raw(&mut prefix, ",\"model\":");
        string(&mut prefix, &reply.model);
        raw(&mut prefix, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_simulated\",\"choices\":[");
        // With include_usage OpenAI sends `usage: null` in every chunk but the last.
        let suffix = if reply.include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" };
        Self { reply, prefix, suffix }
    }

    /// What comes after so many events; `endless` goes on with tokens for ever.
    pub(crate) fn event(&self, sent: u64, endless: bool) -> Option<Event> {
        let reply = &self.reply;
        let choices = reply.choices;
        let Some(position) = sent.checked_sub(choices) else { return Some(Event::Role(sent)) };
        let tokens = reply.completion_tokens();
        let Some(position) = position.checked_sub(tokens).filter(|_| !endless) else {
            return Some(Event::Token { choice: position % choices, token: position / choices });
        };
        if position < choices {
            return Some(Event::Finish(position));
        }
        let usage = u64::from(reply.include_usage && reply.usage != Usage::Absent);
        match position - choices {
            0 if usage == 1 => Some(Event::Usage),
            position if position == usage => Some(Event::Done),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, event: &Event) -> Bytes {
        match *event {
            Event::Role(choice) => self.role(choice),
            Event::Token { choice, token } => {
                let deltas = &self.reply.answer.deltas;
                let delta = deltas.get(usize::try_from(token).unwrap_or(usize::MAX)).or(deltas.last());
                delta.map_or_else(|| self.finish(choice), |delta| self.delta(choice, *delta))
            }
            Event::Finish(choice) => self.finish(choice),
            Event::Usage => self.usage(),
            Event::Done => Bytes::from_static(DONE),
        }
    }

    fn choice(&self, index: u64, delta: impl FnOnce(&mut Vec<u8>), logprobs: &[Delta], finish: Option<&str>) -> Bytes {
        let mut out = Vec::with_capacity(self.prefix.len() + 192);
        out.extend_from_slice(&self.prefix);
        raw(&mut out, "{\"index\":");
        number(&mut out, index);
        raw(&mut out, ",\"delta\":{");
        delta(&mut out);
        raw(&mut out, "},\"logprobs\":");
        if logprobs.is_empty() {
            raw(&mut out, "null")
        } else {
            self.reply.write_logprobs(&mut out, logprobs)
        }
        raw(&mut out, ",\"finish_reason\":");
        match finish {
            Some(reason) => string(&mut out, reason),
            None => raw(&mut out, "null"),
        }
        if self.reply.stamp {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            raw(&mut out, ",\"sent_us\":");
            number(&mut out, u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        }
        raw(&mut out, "}");
        raw(&mut out, self.suffix);
        out.into()
    }

    fn role(&self, index: u64) -> Bytes {
        let content = if self.reply.answer.calls.is_empty() { "\"\"" } else { "null" };
        let delta = |out: &mut Vec<u8>| {
            raw(out, "\"role\":\"assistant\",\"content\":");
            raw(out, content);
            raw(out, ",\"refusal\":null");
        };
        self.choice(index, delta, &[], None)
    }

    fn delta(&self, index: u64, delta: Delta) -> Bytes {
        let answer = &self.reply.answer;
        let write = |out: &mut Vec<u8>| match delta {
            Delta::Text { from, to } => {
                raw(out, "\"content\":");
                string(out, &answer.text[from..to]);
            }
            // Chat completions do not show how an answer came about.
            Delta::Thinking { .. } => {}
            Delta::CallStart { call } => {
                raw(out, "\"tool_calls\":[{\"index\":");
                number(out, call as u64);
                out.push(b',');
                self.reply.call_head(out, index, call, &answer.calls[call]);
                raw(out, ",\"arguments\":\"\"}}]");
            }
            Delta::CallArguments { call, from, to } => {
                raw(out, "\"tool_calls\":[{\"index\":");
                number(out, call as u64);
                raw(out, ",\"function\":{\"arguments\":");
                string(out, &answer.calls[call].arguments[from..to]);
                raw(out, "}}]");
            }
        };
        self.choice(index, write, &[delta], None)
    }

    fn finish(&self, index: u64) -> Bytes {
        self.choice(index, |_| (), &[], Some(self.reply.finish_reason()))
    }

    fn usage(&self) -> Bytes {
        let mut out = self.prefix.clone();
        raw(&mut out, "],\"usage\":");
        self.reply.write_usage(&mut out);
        raw(&mut out, "}\n\n");
        out.into()
    }
}

fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a string into a vector has no way to fail.
    let _ = serde_json::to_writer(out, text);
}
