//! From a stream to a whole answer and back.

use super::{ChatAnswer, Choice, Content, Failure, Part, StreamEvent};

/// Gathers a stream's events into the answer that a plain call would have given.
#[derive(Debug, Default)]
pub struct Collector {
    answer: ChatAnswer,
    failure: Option<Failure>,
    done: bool,
}

impl Collector {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { id, model, created } => {
                self.answer.id.clone_from(id);
                self.answer.model.clone_from(model);
                self.answer.created = *created;
            }
            StreamEvent::TextDelta { choice, text } => {
                let parts = &mut self.choice(*choice).parts;
                match parts.last_mut() {
                    Some(Part { content: Content::Text(before), .. }) => before.push_str(text),
                    _ => parts.push(Part::text(text)),
                }
            }
            StreamEvent::RefusalDelta { choice, text } => {
                let parts = &mut self.choice(*choice).parts;
                match parts.last_mut() {
                    Some(Part { content: Content::Refusal(before), .. }) => before.push_str(text),
                    _ => parts.push(Content::Refusal(text.clone()).into()),
                }
            }
            StreamEvent::ThinkingDelta { choice, text } => {
                let parts = &mut self.choice(*choice).parts;
                match parts.last_mut() {
                    Some(Part { content: Content::Thinking { text: before }, signature: None, .. }) => {
                        before.push_str(text);
                    }
                    _ => parts.push(Content::Thinking { text: text.clone() }.into()),
                }
            }
            StreamEvent::ThinkingSignature { choice, signature } => {
                let parts = &mut self.choice(*choice).parts;
                match parts.last_mut() {
                    Some(part @ Part { content: Content::Thinking { .. }, signature: None, .. }) => {
                        part.signature = Some(signature.clone());
                    }
                    _ => {
                        let mut part = Part::new(Content::Thinking { text: String::new() });
                        part.signature = Some(signature.clone());
                        parts.push(part);
                    }
                }
            }
            StreamEvent::RedactedThinking { choice, of, data } => {
                self.choice(*choice).parts.push(Content::RedactedThinking { of: *of, data: data.clone() }.into());
            }
            StreamEvent::ToolCallStart { choice, id, name, signature, .. } => {
                let mut part = Part::tool_call(id, name, "");
                part.signature.clone_from(signature);
                self.choice(*choice).parts.push(part);
            }
            StreamEvent::ToolCallDelta { choice, index, arguments } => {
                let mut calls = self.choice(*choice).parts.iter_mut().filter_map(|part| match &mut part.content {
                    Content::ToolCall { arguments, .. } => Some(arguments),
                    _ => None,
                });
                if let Some(call) = calls.nth(*index as usize) {
                    call.push_str(arguments);
                }
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                let all = self.choice(*choice).logprobs.get_or_insert_default();
                all.content.extend(logprobs.content.iter().cloned());
                all.refusal.extend(logprobs.refusal.iter().cloned());
            }
            StreamEvent::Finish { choice, reason } => self.choice(*choice).finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.answer.usage = Some(*usage),
            StreamEvent::Error(failure) => self.failure = Some(failure.clone()),
            StreamEvent::Done => self.done = true,
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let choices = &mut self.answer.choices;
        let at = match choices.iter().position(|choice| choice.index >= index) {
            Some(at) if choices[at].index == index => at,
            place => {
                let at = place.unwrap_or(choices.len());
                choices.insert(at, Choice { index, ..Choice::default() });
                at
            }
        };
        &mut choices[at]
    }

    /// The answer, if the stream came to its proper end.
    pub fn finish(mut self) -> Result<ChatAnswer, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !self.done {
            return Err(Failure::cut());
        }
        for part in self.answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Content::ToolCall { arguments, .. } = &mut part.content
                && arguments.is_empty()
            {
                arguments.push_str("{}");
            }
        }
        Ok(self.answer)
    }
}

/// The events of a whole answer, for a client that wants a stream.
pub fn replay(answer: &ChatAnswer) -> Vec<StreamEvent> {
    let mut events =
        vec![StreamEvent::Start { id: answer.id.clone(), model: answer.model.clone(), created: answer.created }];
    for Choice { index: choice, parts, finish, logprobs } in &answer.choices {
        let choice = *choice;
        let mut calls = 0;
        for part in parts {
            match &part.content {
                Content::Text(text) => events.push(StreamEvent::TextDelta { choice, text: text.clone() }),
                Content::Refusal(text) => events.push(StreamEvent::RefusalDelta { choice, text: text.clone() }),
                Content::Thinking { text } => {
                    events.push(StreamEvent::ThinkingDelta { choice, text: text.clone() });
                    if let Some(signature) = part.signature.clone() {
                        events.push(StreamEvent::ThinkingSignature { choice, signature });
                    }
                }
                Content::RedactedThinking { of, data } => {
                    events.push(StreamEvent::RedactedThinking { choice, of: *of, data: data.clone() });
                }
                Content::ToolCall { id, name, arguments } => {
                    let (id, name, signature) = (id.clone(), name.clone(), part.signature.clone());
                    events.push(StreamEvent::ToolCallStart { choice, index: calls, id, name, signature });
                    let arguments = arguments.clone();
                    events.push(StreamEvent::ToolCallDelta { choice, index: calls, arguments });
                    calls += 1;
                }
                // Not part of what a stream can tell.
                Content::Image { .. }
                | Content::File { .. }
                | Content::Audio { .. }
                | Content::ToolResult { .. }
                | Content::Other { .. } => {}
            }
        }
        if let Some(logprobs) = logprobs.clone() {
            events.push(StreamEvent::Logprobs { choice, logprobs });
        }
        if let Some(reason) = finish.clone() {
            events.push(StreamEvent::Finish { choice, reason });
        }
    }
    events.extend(answer.usage.map(StreamEvent::Usage));
    events.push(StreamEvent::Done);
    events
}
