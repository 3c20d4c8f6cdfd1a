//! A chat as it is compared by meaning: the text of its last turn, and all the rest, which must be the same.
//!
//! The rest is the request with that text taken out and nothing else touched, so that what this gateway does not know
//! of separates two requests here as it does in their ids.

use std::borrow::Cow;
use std::ops::Range;

use peerway_cache::semantic::guard::LONGEST_PROMPT;

use crate::dialect::json::{Malformed, Shape, Value, elements, members};

/// The last turn of a chat, which is a user's and nothing but text.
#[derive(Debug)]
pub(super) struct Turn {
    pub text: String,
    /// Where it stands, in pieces.
    places: Vec<Range<usize>>,
}

/// Why a chat is answered by the same request only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Unfit {
    /// No chat whose last message is a user's.
    NoQuestion,
    /// More messages before it than the configuration allows.
    History,
    /// It holds an image, a sound, a file, or what is not known here.
    NotText,
    /// There is nothing to compare.
    Empty,
    /// Only the same text would serve.
    TooLong,
}

impl Unfit {
    pub(in crate::gateway) fn as_str(self) -> &'static str {
        match self {
            Self::NoQuestion => "no_question",
            Self::History => "history",
            Self::NotText => "not_text",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
        }
    }
}

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Self::NoQuestion
    }
}

impl Turn {
    /// Of a chat that has an id; so no object in it names a member twice. Instructions (`system`, `developer`) are no
    /// history.
    pub(super) fn of(body: &[u8], history: usize) -> Result<Self, Unfit> {
        let messages = member(body, 0..body.len(), "messages")?.ok_or(Unfit::NoQuestion)?;
        let messages = array(body, &messages).ok_or(Unfit::NoQuestion)?;
        let (last, before) = messages.split_last().ok_or(Unfit::NoQuestion)?;
        if role(body, last)?.as_deref() != Some("user") {
            return Err(Unfit::NoQuestion);
        }
        let mut earlier = 0;
        for message in before {
            let is_instruction = matches!(role(body, message)?.as_deref(), Some("system" | "developer"));
            earlier += usize::from(!is_instruction);
            if earlier > history {
                return Err(Unfit::History);
            }
        }
        let content = member(body, last.range.clone(), "content")?.ok_or(Unfit::NotText)?;
        let texts = texts(body, content)?;
        let mut pieces = Vec::with_capacity(texts.len());
        for text in &texts {
            pieces.push(text.text(body).ok_or(Unfit::NotText)?);
        }
        let text = pieces.join("\n");
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        if text.len() > LONGEST_PROMPT {
            return Err(Unfit::TooLong);
        }
        Ok(Self { text, places: texts.into_iter().map(|text| text.range).collect() })
    }

    /// The request without the text.
    pub(super) fn rest(&self, body: &[u8]) -> Vec<u8> {
        let mut rest = Vec::with_capacity(body.len());
        let mut from = 0;
        for place in &self.places {
            rest.extend_from_slice(&body[from..place.start]);
            rest.extend_from_slice(b"\"\"");
            from = place.end;
        }
        rest.extend_from_slice(&body[from..]);
        rest
    }
}

/// The texts that a message's content is made of.
fn texts(body: &[u8], content: Value) -> Result<Vec<Value>, Unfit> {
    if content.shape == Shape::Text {
        return Ok(vec![content]);
    }
    let parts = array(body, &content).ok_or(Unfit::NotText)?;
    parts.iter().map(|part| text_of_part(body, part)).collect()
}

fn text_of_part(body: &[u8], part: &Value) -> Result<Value, Unfit> {
    let mut kind = None;
    let mut text = None;
    if part.shape == Shape::Object {
        members(body, part.range.clone(), |key, value| {
            match &*key {
                "type" => kind = value.text(body),
                "text" => text = Some(value),
                _ => {}
            }
            Ok(())
        })?;
    }
    text.filter(|_| kind.as_deref() == Some("text")).ok_or(Unfit::NotText)
}

fn role<'b>(body: &'b [u8], message: &Value) -> Result<Option<Cow<'b, str>>, Unfit> {
    Ok(member(body, message.range.clone(), "role")?.and_then(|role| role.text(body)))
}

fn member(body: &[u8], range: Range<usize>, name: &str) -> Result<Option<Value>, Unfit> {
    let mut found = None;
    members(body, range, |key, value| {
        if key == name {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

fn array(body: &[u8], value: &Value) -> Option<Vec<Value>> {
    if value.shape != Shape::Array {
        return None;
    }
    elements(body, value.range.clone()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn turn(messages: Value) -> Result<(String, Value), Unfit> {
        let body = json!({"model": "m", "messages": messages, "temperature": 0.5}).to_string();
        let turn = Turn::of(body.as_bytes(), 2)?;
        let rest: Value = serde_json::from_slice(&turn.rest(body.as_bytes())).unwrap();
        assert_eq!((&rest["model"], &rest["temperature"]), (&json!("m"), &json!(0.5)));
        Ok((turn.text, rest["messages"].clone()))
    }

    fn user(content: Value) -> Value {
        json!({"role": "user", "content": content})
    }

    #[test]
    fn the_last_text_is_taken_out_and_nothing_else() {
        let system = json!({"role": "system", "content": "Be \"brief\"."});
        let asked = json!({"content": "Caf\u{e9} \"x\"\n?", "name": "a", "role": "user"});
        let (text, rest) = turn(json!([system, asked])).unwrap();
        assert_eq!(text, "Caf\u{e9} \"x\"\n?");
        assert_eq!(rest, json!([system, {"content": "", "name": "a", "role": "user"}]));
    }

    #[test]
    fn texts_in_parts_are_one_text() {
        let part = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
        let (text, rest) = turn(json!([user(json!([part("one"), part("two")]))])).unwrap();
        assert_eq!(text, "one\ntwo");
        assert_eq!(rest, json!([user(json!([part(""), part("")]))]));
    }

    #[test]
    fn what_is_more_than_a_question_is_not_compared() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
        let text = json!({"type": "text", "text": "what is this?"});
        let assistant = json!({"role": "assistant", "content": "yes"});
        let tool = json!({"role": "tool", "tool_call_id": "1", "content": "7"});
        for (messages, unfit) in [
            (json!([]), Unfit::NoQuestion),
            (json!("hello"), Unfit::NoQuestion),
            (json!(["hello"]), Unfit::NoQuestion),
            (json!([user(json!("a")), assistant]), Unfit::NoQuestion),
            (json!([user(json!("a")), assistant, tool]), Unfit::NoQuestion),
            (json!([user(json!([text, image]))]), Unfit::NotText),
            (json!([user(json!([{"type": "text", "text": 7}]))]), Unfit::NotText),
            (json!([user(json!(["a"]))]), Unfit::NotText),
            (json!([user(json!(null))]), Unfit::NotText),
            (json!([{"role": "user"}]), Unfit::NotText),
            (json!([user(json!([]))]), Unfit::Empty),
            (json!([user(json!(" \n"))]), Unfit::Empty),
            (json!([user(json!("a".repeat(LONGEST_PROMPT + 1)))]), Unfit::TooLong),
        ] {
            assert_eq!(turn(messages.clone()).unwrap_err(), unfit, "{messages}");
        }
    }

    #[test]
    fn a_long_conversation_is_not_compared() {
        let (asked, said) = (user(json!("a")), json!({"role": "assistant", "content": "b"}));
        let told = json!({"role": "developer", "content": "c"});
        assert!(turn(json!([told, told, told, asked, said, asked])).is_ok(), "instructions are no history");
        assert_eq!(turn(json!([asked, said, asked, asked])).unwrap_err(), Unfit::History);
    }
}
