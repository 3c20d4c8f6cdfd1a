//! JSON that keeps its text, and objects read field by field.
//!
//! Schemas and tool arguments pass through as the text that they were: the order of a schema's properties is the order
//! in which a model writes them, and numbers keep their digits. Objects are read with [`Object`], which knows the place
//! of everything it hands out, so that an error can name it, and gives back what nobody asked for.

mod object;

pub use object::{Item, Object};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Deeper nesting is refused: no real message has it, and every parser behind us recurses.
pub const MAX_DEPTH: usize = 128;

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not valid JSON: {reason}")]
    Malformed { reason: String },
    #[error("`{field}` is missing")]
    Missing { field: String },
    #[error("`{field}` must be {expected}")]
    WrongShape { field: String, expected: Cow<'static, str> },
    #[error("`{field}` is given twice")]
    Twice { field: String },
}

impl DecodeError {
    pub fn wrong(field: impl Into<String>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self::WrongShape { field: field.into(), expected: expected.into() }
    }

    /// The place to name in an error body.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed { .. } => None,
            Self::Missing { field } | Self::WrongShape { field, .. } | Self::Twice { field } => Some(field),
        }
    }
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}

/// A JSON value as the text that it was. Equal when the text is equal.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The value that `text` is; refuses what is not JSON or nested too deep.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        check_depth(text.as_bytes())?;
        Ok(Self(serde_json::from_str(text)?))
    }

    /// The JSON of anything that serialises.
    pub fn of(value: &impl Serialize) -> Self {
        // Only maps with odd keys and failing implementations do not serialise; neither is used with this.
        serde_json::value::to_raw_value(value).map_or_else(|_| Self::null(), Self)
    }

    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    pub fn empty_object() -> Self {
        Self::of(&BTreeMap::<String, ()>::new())
    }

    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The text without the space between its tokens: what a dialect has as an object and another as a string.
    pub fn compact(&self) -> String {
        compact(self.text())
    }

    pub fn is_object(&self) -> bool {
        self.text().trim_ascii_start().starts_with('{')
    }

    /// The value as something to read, at the place `path`.
    pub fn item(&self, path: impl Into<String>) -> Item<'_> {
        Item::new(path.into(), &self.0)
    }

    /// The value as a tree (keys sorted), for those who must look inside.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(self.text()).unwrap_or_default()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Works with `serde_json` alone, and not inside `flatten`, `untagged` or tagged enums, which buffer values.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

/// Bytes of anything that serialises; our own wire types always do.
pub fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// JSON without the space between its tokens.
fn compact(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        kept.push(c);
    }
    kept
}

/// Refuses text that nests deeper than [`MAX_DEPTH`], before anything recurses over it.
pub fn check_depth(text: &[u8]) -> Result<(), DecodeError> {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(DecodeError::Malformed {
                        reason: format!("nested deeper than {MAX_DEPTH} levels at byte {at}"),
                    });
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                at += 1;
                while let Some(step) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
                    at += step;
                    if text[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn errors_name_the_place() {
        let body = br#"{"messages":[{"role":"user"},{"role":7}],"n":1.5,"stop":null}"#;
        let mut object = Object::parse(body).unwrap();
        assert_eq!(object.unsigned("n").unwrap_err().to_string(), "`n` must be a whole number, zero or more");
        assert!(object.take("stop").is_none(), "null is absent");
        assert_eq!(object.need("model").unwrap_err().to_string(), "`model` is missing");
        let mut messages = object.list("messages").unwrap().unwrap();
        let mut second = messages.pop().unwrap().object().unwrap();
        assert_eq!(second.string("role").unwrap_err().to_string(), "`messages[1].role` must be a string");
        assert!(object.rest().is_empty());
    }

    #[test]
    fn refuses_a_member_given_twice_even_in_disguise() {
        let error = Object::parse(br#"{"model":"a","mod\u0065l":"b"}"#).unwrap_err();
        assert_eq!(error.to_string(), "`model` is given twice");
    }

    #[test]
    fn keeps_the_text_of_what_it_does_not_know() {
        let object = Object::parse(br#"{"z":{"b":1.10,"a":[ 2 ]}}"#).unwrap();
        assert_eq!(object.rest()["z"].text(), r#"{"b":1.10,"a":[ 2 ]}"#);
    }

    #[test]
    fn compact_leaves_strings_alone() {
        let json = Json::parse("{ \"a b\" : [ 1 ,\n\t2.50 ] , \"c\" : \" \\\\\\\" x \\\\\", \"d\" : { } }").unwrap();
        assert_eq!(json.compact(), r#"{"a b":[1,2.50],"c":" \\\" x \\","d":{}}"#);
    }

    #[test]
    fn refuses_floods_of_items_and_members() {
        let mut object =
            format!(r#"{{"ok":[{}1],"many":[{}1]}}"#, "1,".repeat(99_999), "1,".repeat(100_000)).into_bytes();
        let mut read = Object::parse(&object).unwrap();
        assert_eq!(read.list("ok").unwrap().unwrap().len(), 100_000);
        assert_eq!(read.list("many").unwrap_err().to_string(), "`many` must be an array of at most 100000 items");
        let members: Vec<String> = (0..10_001).map(|at| format!(r#""{at}":1"#)).collect();
        object = format!("{{{}}}", members.join(",")).into_bytes();
        assert_eq!(
            Object::parse(&object).unwrap_err().to_string(),
            "`body` must be an object of at most 10000 members"
        );
        object = format!("{{{}}}", members[1..].join(",")).into_bytes();
        assert!(Object::parse(&object).is_ok());
    }

    #[test]
    fn refuses_deep_nesting() {
        let deep = "[".repeat(100_000);
        assert!(Object::parse(deep.as_bytes()).unwrap_err().to_string().contains("nested deeper than 128"));
        assert!(Json::parse(&format!("{}1{}", "[".repeat(128), "]".repeat(128))).is_ok());
        assert!(Json::parse(r#""[[[\"[[[""#).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Object::parse(&body);
        }

        #[test]
        fn compact_keeps_the_value(text in r#"[\[{]?("[a \\\\n]*"|[0-9 ,:]|true){0,6}[\]}]?"#) {
            if let Ok(json) = Json::parse(&text) {
                prop_assert_eq!(Json::parse(&json.compact()).unwrap().to_value(), json.to_value());
            }
        }

        #[test]
        fn depth_agrees_with_brackets_outside_strings(text in r#"[\[\]{}"\\a]{0,60}"#) {
            let _ = check_depth(text.as_bytes());
        }
    }
}
