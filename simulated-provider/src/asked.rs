//! What a client wants of a chat, whichever dialect it says it in.
//!
//! **Tool calls.** A request with tools whose last user text begins with `call ` makes calls: `call NAME` one,
//! `call NAME NAME` two in parallel, `call NAME {"a":1} NAME {"b":2}` with these arguments; words that are no tool's name
//! are skipped, and where none is, the first tool is called. Without a JSON object a call's arguments are
//! `{"text": <the user's text>}`. A tool choice that demands a call makes one without the words. A tool's result as the
//! last message gets a text answer.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::tokens;

const MOST_CALLS: usize = 16;

/// A checked request for a chat.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) logprobs: bool,
    pub(crate) choices: u64,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    /// The answer is to show how it came about.
    pub(crate) think: bool,
    pub(crate) prompt_tokens: u64,
    pub(crate) last_user_text: Cow<'a, str>,
    pub(crate) wants: Wants<'a>,
}

/// The kind of answer that is wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Wants<'a> {
    Text,
    /// Calls of these tools; `forced` by name, which OpenAI ends with `stop` and not with `tool_calls`.
    Calls {
        calls: Vec<Wanted>,
        forced: bool,
    },
    JsonObject,
    JsonSchema(Cow<'a, str>),
}

/// A wanted call; without arguments it gets the user's text.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) arguments: Option<String>,
}

/// What the client says of the use of its tools.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    Never,
    Any,
    Named(String),
}

/// The calls that a request wants, if it does.
pub(crate) fn calls<'a>(tools: &[String], choice: Choice, user_is_last: bool, text: &str) -> Option<Wants<'a>> {
    if tools.is_empty() || choice == Choice::Never {
        return None;
    }
    if let Choice::Named(name) = choice {
        let arguments = text.find('{').and_then(|at| object_at(&text[at..])).map(|(object, _)| object.to_owned());
        return Some(Wants::Calls { calls: vec![Wanted { name, arguments }], forced: true });
    }
    // A tool's result as the last message wants an answer, not the same call again.
    let asked_for = text.strip_prefix("call ").filter(|_| user_is_last);
    if asked_for.is_none() && choice != Choice::Any {
        return None;
    }
    let mut calls = named(asked_for.unwrap_or_default(), tools);
    if calls.is_empty() {
        calls.extend(tools.first().map(|name| Wanted { name: name.clone(), arguments: None }));
    }
    Some(Wants::Calls { calls, forced: false })
}

fn named(mut rest: &str, tools: &[String]) -> Vec<Wanted> {
    let mut calls: Vec<Wanted> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || calls.len() == MOST_CALLS {
            return calls;
        }
        if let Some((object, after)) = object_at(rest) {
            if let Some(last) = calls.last_mut() {
                last.arguments.get_or_insert_with(|| object.to_owned());
            }
            rest = after;
            continue;
        }
        let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if let Some(name) = tools.iter().find(|tool| *tool == word) {
            calls.push(Wanted { name: name.clone(), arguments: None });
        }
        rest = after;
    }
}

/// The JSON object that the text begins with, and what follows it.
fn object_at(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(text.split_at(values.byte_offset()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// A conversation as it is read, message by message; counts tokens as `tokens` says.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    bytes: Vec<usize>,
    last_user_text: String,
    user_is_last: bool,
    pub(crate) tools: Vec<String>,
    pub(crate) choice: Choice,
}

impl Conversation {
    pub(crate) fn say(&mut self, role: Role, text: String) {
        self.bytes.push(text.len());
        self.user_is_last = role == Role::User;
        if role == Role::User {
            self.last_user_text = text;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn prompt_tokens(&self) -> u64 {
        tokens::prompt_tokens(self.bytes.iter().copied(), self.tools.len())
    }

    /// The request with every option as if it had not been given; `format` is what is wanted unless tools are called.
    pub(crate) fn asked(self, model: String, format: Wants<'static>) -> Asked<'static> {
        let prompt_tokens = self.prompt_tokens();
        let wants = calls(&self.tools, self.choice, self.user_is_last, &self.last_user_text).unwrap_or(format);
        Asked {
            model,
            stream: false,
            include_usage: true,
            logprobs: false,
            choices: 1,
            max_tokens: None,
            stop: Vec::new(),
            think: false,
            prompt_tokens,
            last_user_text: Cow::Owned(self.last_user_text),
            wants,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Vec<(String, Option<String>)> {
        let tools = ["add".to_owned(), "weather".to_owned()];
        match calls(&tools, Choice::Auto, true, text) {
            Some(Wants::Calls { calls, .. }) => calls.into_iter().map(|call| (call.name, call.arguments)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn calls_are_scripted_in_the_prompt() {
        let call = |name: &str, arguments: Option<&str>| (name.to_owned(), arguments.map(str::to_owned));
        assert_eq!(wanted("call weather"), [call("weather", None)]);
        assert_eq!(wanted("call nothing"), [call("add", None)]);
        assert_eq!(
            wanted(r#"call add {"a": 1, "b": {"c": "} {"}} and weather {"city":"Bern"}"#),
            [call("add", Some(r#"{"a": 1, "b": {"c": "} {"}}"#)), call("weather", Some(r#"{"city":"Bern"}"#))]
        );
        assert_eq!(wanted("please call add"), []);
    }
}
