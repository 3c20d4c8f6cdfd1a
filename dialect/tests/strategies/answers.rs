//! Answers.

use peerway_dialect::canonical::{ChatAnswer, Choice, Content, Finish, Part, Signature, Usage};
use peerway_dialect::{Dialect, Dropped};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

/// What Bedrock has no place for: ids, models' names, thoughts among the tokens.
pub fn nameless(mut answer: ChatAnswer) -> ChatAnswer {
    (answer.id, answer.model) = (String::new(), String::new());
    if let Some(usage) = &mut answer.usage {
        usage.reasoning = 0;
    }
    answer
}

pub fn parts(redacted: bool) -> impl Strategy<Value = Vec<Part>> {
    let thought = (text(), any::<bool>()).prop_map(|(text, signed)| {
        let mut part = Part::new(Content::Thinking { text });
        part.signature = signed.then(|| Signature::new(Dialect::Anthropic, "c2ln"));
        part
    });
    let hidden =
        "[a-z]{4,8}".prop_map(move |data| Part::new(Content::RedactedThinking { of: Dialect::Anthropic, data }));
    let calls = vec((name(), object()), 0..4);
    (of(thought), of(hidden), of(text()), calls).prop_map(move |(thought, hidden, text, calls)| {
        let mut parts: Vec<Part> = thought.into_iter().chain(hidden.filter(|_| redacted)).collect();
        parts.extend(text.map(Part::text));
        parts.extend(
            calls
                .into_iter()
                .enumerate()
                .map(|(at, (name, arguments))| Part::tool_call(format!("c{at}"), name, arguments)),
        );
        parts
    })
}

pub fn answer() -> impl Strategy<Value = ChatAnswer> {
    let usage = (0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64, 0..500_u64).prop_map(
        |(fresh, cached_input, cache_write, output, reasoning)| Usage {
            input: fresh + cached_input + cache_write,
            output: output + reasoning,
            cached_input,
            cache_write,
            reasoning,
            ..Usage::default()
        },
    );
    (parts(true), usage, any::<bool>()).prop_map(|(parts, usage, length)| {
        let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
        let finish = if length {
            Finish::Length
        } else if calls {
            Finish::ToolCalls
        } else {
            Finish::Stop
        };
        ChatAnswer {
            id: "a1".into(),
            model: "m".into(),
            created: None,
            choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs: None }],
            usage: Some(usage),
            unread: Dropped::new(),
        }
    })
}

/// What Gemini can say of an answer.
pub fn for_gemini(mut answer: ChatAnswer) -> ChatAnswer {
    answer.usage = answer.usage.map(|usage| Usage { cache_write: 0, ..usage });
    answer
}

/// What Cohere can say of an answer.
pub fn for_cohere(mut answer: ChatAnswer) -> ChatAnswer {
    answer.model.clear();
    let told = |usage: Usage| Usage { cache_write: 0, reasoning: 0, ..usage };
    answer.usage = answer.usage.map(told);
    for choice in &mut answer.choices {
        choice.parts.retain(|part| !matches!(part.content, Content::RedactedThinking { .. }));
        choice.parts.iter_mut().for_each(|part| part.signature = None);
    }
    answer
}

/// OpenAI alone has a date, which is never absent there.
pub fn undated(mut answer: ChatAnswer) -> ChatAnswer {
    answer.created = answer.created.filter(|created| *created > 0);
    answer
}
