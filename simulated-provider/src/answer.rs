//! What the simulated model says: an echo, a tool call or a small JSON object, cut into the pieces that a stream sends.

use serde_json::{Map, Value};

use crate::request::{Asked, Wants};
use crate::tokens;

/// Longer prompts are echoed up to here, so that large prompts do not make large answers.
const LONGEST_ECHO: usize = 4 << 10;
const DEEPEST_SCHEMA: usize = 16;
const FILLER: [&str; 8] = [" and", " then", " one", " more", " word", " comes", " after", " this"];
const ARGUMENT_PIECE: usize = 8;

/// The same for each of the `n` choices.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) finish_reason: &'static str,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// One token of a stream. Ranges are bytes of the text or of the call's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Delta {
    Text { from: usize, to: usize },
    CallStart { call: usize },
    CallArguments { call: usize, from: usize, to: usize },
}

impl Answer {
    /// `length`: how many tokens a text answer has, where it is not just the echo.
    pub(crate) fn to(asked: &Asked<'_>, length: Option<u32>) -> Self {
        match &asked.wants {
            Wants::Calls { tools, forced } => {
                Self::calls(tools, &asked.last_user_text, if *forced { "stop" } else { "tool_calls" })
            }
            Wants::Text => Self::text(echo(&asked.last_user_text, length), asked.max_tokens),
            Wants::JsonObject => {
                let object = serde_json::json!({ "echo": shorten(&asked.last_user_text) });
                Self::text(object.to_string(), asked.max_tokens)
            }
            Wants::JsonSchema(schema) => {
                let schema: Value = serde_json::from_str(schema).unwrap_or_default();
                Self::text(smallest(&schema, 0).to_string(), asked.max_tokens)
            }
        }
    }

    /// Completion tokens of one choice.
    pub(crate) fn tokens(&self) -> u64 {
        self.deltas.len() as u64
    }

    fn text(mut text: String, max_tokens: Option<u64>) -> Self {
        let most = max_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut deltas = Vec::with_capacity(16);
        let mut finish_reason = "stop";
        let mut from = 0;
        for to in tokens::pieces(&text) {
            if deltas.len() == most {
                finish_reason = "length";
                break;
            }
            deltas.push(Delta::Text { from, to });
            from = to;
        }
        text.truncate(from);
        Self { text, calls: Vec::new(), deltas, finish_reason }
    }

    fn calls(tools: &[String], text: &str, finish_reason: &'static str) -> Self {
        let arguments = serde_json::json!({ "text": shorten(text) }).to_string();
        let calls: Vec<_> =
            tools.iter().map(|name| Call { name: name.clone(), arguments: arguments.clone() }).collect();
        let mut deltas = Vec::new();
        for call in 0..calls.len() {
            deltas.push(Delta::CallStart { call });
            let mut from = 0;
            while from < arguments.len() {
                let to = ceil_boundary(&arguments, from + ARGUMENT_PIECE);
                deltas.push(Delta::CallArguments { call, from, to });
                from = to;
            }
        }
        Self { text: String::new(), calls, deltas, finish_reason }
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

/// The smallest value that a schema of the usual kind takes.
fn smallest(schema: &Value, depth: usize) -> Value {
    if depth > DEEPEST_SCHEMA {
        return Value::Null;
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    if let Some(first) = schema.pointer("/anyOf/0") {
        return smallest(first, depth + 1);
    }
    let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match kind {
        Some("string") => Value::String(String::new()),
        Some("integer" | "number") => Value::from(0),
        Some("boolean") => Value::Bool(false),
        Some("array") => Value::Array(Vec::new()),
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let required = schema.get("required").and_then(Value::as_array);
            let required = required.into_iter().flatten().filter_map(Value::as_str);
            let entry = |name: &str| {
                let value =
                    properties.and_then(|properties| properties.get(name)).map(|schema| smallest(schema, depth + 1));
                (name.to_owned(), value.unwrap_or(Value::Null))
            };
            Value::Object(required.map(entry).collect::<Map<_, _>>())
        }
    }
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
    fn cut_at_max_tokens() {
        let answer = Answer::text("echo: one two".into(), Some(2));
        assert_eq!((answer.text.as_str(), answer.finish_reason, answer.tokens()), ("echo: one", "length", 2));
        let answer = Answer::text("echo: one two".into(), Some(3));
        assert_eq!((answer.text.as_str(), answer.finish_reason), ("echo: one two", "stop"));
    }

    #[test]
    fn schemas_are_met() {
        let schema = serde_json::json!({ "type": "object", "required": ["name", "age", "kind", "inner"], "properties": {
            "name": { "type": "string" }, "age": { "type": "integer" }, "kind": { "enum": ["x", "y"] },
            "inner": { "type": "object", "required": ["ok"], "properties": { "ok": { "type": ["boolean", "null"] } } } } });
        assert_eq!(
            smallest(&schema, 0),
            serde_json::json!({ "name": "", "age": 0, "kind": "x", "inner": { "ok": false } })
        );
    }
}
