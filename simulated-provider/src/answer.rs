//! What the simulated model says: an echo, a tool call or a small JSON object, cut into the pieces that a stream sends.

use std::borrow::Cow;

use serde_json::Value;

use crate::asked::{Asked, Wanted, Wants};
use crate::call::Context;
use crate::schema;
use crate::tokens;

/// Longer prompts are echoed up to here, so that large prompts do not make large answers.
const LONGEST_ECHO: usize = 4 << 10;
const FILLER: [&str; 8] = [" and", " then", " one", " more", " word", " comes", " after", " this"];
const ARGUMENT_PIECE: usize = 8;

/// The same for each of the `n` choices.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// How the answer came about, for those who asked for it.
    pub(crate) thinking: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Why an answer ends where it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Stop,
    /// One of the client's stop texts came up; it is not part of the answer.
    StopText(String),
    Length,
    Calls,
    /// The client named the tool to call.
    ForcedCalls,
}

/// One token of a stream. Ranges are bytes of the thinking, of the text or of the call's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Delta {
    Thinking { from: usize, to: usize },
    Text { from: usize, to: usize },
    CallStart { call: usize },
    CallArguments { call: usize, from: usize, to: usize },
}

/// What a stream that is cut into blocks has open: a delta of another kind, or of another call, opens the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Thinking,
    Text,
    Call(usize),
}

impl Answer {
    pub(crate) fn to(asked: &Asked<'_>, context: &Context<'_>) -> Self {
        let user_text = &asked.last_user_text;
        let thinking = if asked.think { format!("The user says: {}", shorten(user_text)) } else { String::new() };
        let answer = Self::thinking(thinking);
        match &asked.wants {
            Wants::Calls { calls, forced } => {
                answer.calls(calls, user_text, if *forced { End::ForcedCalls } else { End::Calls })
            }
            Wants::Text => {
                let text = context.text.clone().unwrap_or_else(|| echo(user_text, context.length));
                answer.text(text, asked.max_tokens, &asked.stop)
            }
            Wants::JsonObject => {
                let object = serde_json::json!({ "echo": shorten(user_text) });
                answer.text(object.to_string(), asked.max_tokens, &[])
            }
            Wants::JsonSchema(schema) => {
                let schema: Value = serde_json::from_str(schema).unwrap_or_default();
                answer.text(schema::fitting(&schema).to_string(), asked.max_tokens, &[])
            }
        }
    }

    /// Completion tokens of one choice.
    pub(crate) fn tokens(&self) -> u64 {
        self.deltas.len() as u64
    }

    /// Tokens of the thinking alone.
    pub(crate) fn thinking_tokens(&self) -> u64 {
        self.deltas.iter().filter(|delta| matches!(delta, Delta::Thinking { .. })).count() as u64
    }

    /// Tokens of one call.
    pub(crate) fn call_tokens(&self, wanted: usize) -> u64 {
        let of_call = |delta: &&Delta| match **delta {
            Delta::CallStart { call } | Delta::CallArguments { call, .. } => call == wanted,
            _ => false,
        };
        self.deltas.iter().filter(of_call).count() as u64
    }

    /// The pieces of the text, as far as they are tokens.
    pub(crate) fn text_pieces(&self) -> impl Iterator<Item = &str> {
        self.deltas.iter().filter_map(|delta| match *delta {
            Delta::Text { from, to } => Some(&self.text[from..to]),
            _ => None,
        })
    }

    fn thinking(thinking: String) -> Self {
        let mut from = 0;
        let piece = |to| Delta::Thinking { from: std::mem::replace(&mut from, to), to };
        let deltas = tokens::pieces(&thinking).map(piece).collect();
        Self { thinking, deltas, ..Self::default() }
    }

    fn text(mut self, mut text: String, max_tokens: Option<u64>, stop: &[String]) -> Self {
        let stop = stop.iter().filter(|stop| !stop.is_empty());
        if let Some((at, stop)) = stop.filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min() {
            text.truncate(at);
            self.end = End::StopText(stop.clone());
        }
        let most = max_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut from = 0;
        for to in tokens::pieces(&text) {
            if self.deltas.len() >= most {
                self.end = End::Length;
                break;
            }
            self.deltas.push(Delta::Text { from, to });
            from = to;
        }
        text.truncate(from);
        self.text = text;
        self
    }

    fn calls(mut self, wanted: &[Wanted], text: &str, end: End) -> Self {
        for (call, Wanted { name, arguments }) in wanted.iter().enumerate() {
            let arguments = match arguments {
                Some(arguments) => Cow::Borrowed(arguments.as_str()),
                None => Cow::Owned(serde_json::json!({ "text": shorten(text) }).to_string()),
            };
            self.deltas.push(Delta::CallStart { call });
            let mut from = 0;
            while from < arguments.len() {
                let to = ceil_boundary(&arguments, from + ARGUMENT_PIECE);
                self.deltas.push(Delta::CallArguments { call, from, to });
                from = to;
            }
            self.calls.push(Call { name: name.clone(), arguments: arguments.into_owned() });
        }
        self.end = end;
        self
    }
}

fn echo(text: &str, length: Option<u32>) -> String {
    let mut answer = format!("echo: {}", shorten(text));
    let Some(length) = length else { return answer };
    let length = length as usize;
    match tokens::pieces(&answer).enumerate().last() {
        Some((last, _)) if last + 1 < length => {
            for number in 0..length - last - 1 {
                answer.push_str(FILLER[number % FILLER.len()]);
            }
        }
        _ => {
            let end = tokens::pieces(&answer).nth(length.saturating_sub(1)).unwrap_or(answer.len());
            answer.truncate(end);
        }
    }
    answer
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_ECHO)]
}

fn ceil_boundary(text: &str, at: usize) -> usize {
    text.ceil_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_kept() {
        for length in [1, 2, 3, 40] {
            assert_eq!(tokens::completion_tokens(&echo("one two three", Some(length))), u64::from(length));
        }
        assert_eq!(echo("one two", None), "echo: one two");
        assert!(echo(&"ä".repeat(10_000), None).len() <= LONGEST_ECHO + 6);
    }

    #[test]
    fn cut_at_max_tokens_or_a_stop_text() {
        let answer = |text: &str, most, stop: &[&str]| {
            let stop: Vec<String> = stop.iter().map(|stop| (*stop).to_owned()).collect();
            let answer = Answer::default().text(text.into(), most, &stop);
            (answer.text.clone(), answer.end.clone(), answer.tokens())
        };
        assert_eq!(answer("echo: one two", Some(2), &[]), ("echo: one".into(), End::Length, 2));
        assert_eq!(answer("echo: one two", Some(3), &[]), ("echo: one two".into(), End::Stop, 3));
        let stopped = End::StopText(" t".into());
        assert_eq!(answer("echo: one two", None, &["two", " t"]), ("echo: one".into(), stopped, 2));
    }

    #[test]
    fn thinking_comes_first_and_counts() {
        let answer = Answer::thinking("a b".into()).text("c".into(), None, &[]);
        assert_eq!((answer.tokens(), answer.thinking_tokens()), (3, 2));
    }
}
