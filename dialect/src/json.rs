//! JSON that keeps its text, and objects read field by field.
//!
//! Schemas and tool arguments pass through as the text that they were: the order of a schema's properties is the order
//! in which a model writes them, and numbers keep their digits. Objects are read with [`Object`], which knows the place
//! of everything it hands out, so that an error can name it, and gives back what nobody asked for.

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

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    path: String,
    raw: &'a RawValue,
}

/// An object whose members are taken by name. `null` counts as absent.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    path: String,
    members: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// A member's name as it was, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Visitor).map(Key)
    }
}

/// The members in the order of the text.
struct Members<'a>(Vec<(Key<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl<'a> Object<'a> {
    /// The object that a whole message is.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        check_depth(body)?;
        let raw: &RawValue = serde_json::from_slice(body)?;
        Item { path: String::new(), raw }.object()
    }

    /// The name of a member, its place included.
    pub fn place(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes a member out, `null` and what is absent being the same.
    pub fn take(&mut self, key: &str) -> Option<Item<'a>> {
        let raw = self.members.remove(key)?;
        (raw.get() != "null").then(|| Item { path: self.place(key), raw })
    }

    pub fn need(&mut self, key: &str) -> Result<Item<'a>, DecodeError> {
        self.take(key).ok_or_else(|| DecodeError::Missing { field: self.place(key) })
    }

    /// Whether a member is there and not `null`.
    pub fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|raw| raw.get() != "null")
    }

    pub fn string(&mut self, key: &str) -> Result<Option<String>, DecodeError> {
        self.take(key).map(|item| item.string()).transpose()
    }

    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>, DecodeError> {
        self.take(key).map(|item| item.boolean()).transpose()
    }

    pub fn unsigned(&mut self, key: &str) -> Result<Option<u64>, DecodeError> {
        self.take(key).map(|item| item.unsigned()).transpose()
    }

    pub fn number(&mut self, key: &str) -> Result<Option<f64>, DecodeError> {
        self.take(key).map(|item| item.number()).transpose()
    }

    pub fn object(&mut self, key: &str) -> Result<Option<Object<'a>>, DecodeError> {
        self.take(key).map(Item::object).transpose()
    }

    pub fn list(&mut self, key: &str) -> Result<Option<Vec<Item<'a>>>, DecodeError> {
        self.take(key).map(Item::list).transpose()
    }

    pub fn json(&mut self, key: &str) -> Option<Json> {
        self.take(key).map(|item| item.json())
    }

    /// A count that providers tell; anything odd counts as not told.
    pub fn count(&mut self, key: &str) -> u64 {
        self.take(key).and_then(|item| item.unsigned().ok()).unwrap_or(0)
    }

    /// What nobody has taken.
    pub fn rest(self) -> BTreeMap<String, Json> {
        self.members.into_iter().map(|(key, raw)| (key.into_owned(), Json(raw.to_owned()))).collect()
    }

    /// Notes what nobody has taken and is not `null`, as `prefix.name`.
    pub fn note_rest(&self, prefix: &str, unread: &mut crate::Dropped) {
        for name in self.rest_names() {
            unread.note(format!("{prefix}.{name}"));
        }
    }

    /// The names of what nobody has taken and is not `null`.
    pub fn rest_names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|(_, raw)| raw.get() != "null").map(|(key, _)| key.as_ref())
    }
}

impl<'a> Item<'a> {
    pub fn path(&self) -> &str {
        &self.path
    }

    fn first(&self) -> u8 {
        self.raw.get().as_bytes().first().copied().unwrap_or(b' ')
    }

    pub fn is_string(&self) -> bool {
        self.first() == b'"'
    }

    pub fn is_list(&self) -> bool {
        self.first() == b'['
    }

    pub fn is_object(&self) -> bool {
        self.first() == b'{'
    }

    /// An error that says what should be here.
    pub fn expected(&self, expected: impl Into<Cow<'static, str>>) -> DecodeError {
        DecodeError::wrong(if self.path.is_empty() { "body" } else { self.path.as_str() }, expected)
    }

    fn read<T: Deserialize<'a>>(&self, expected: &'static str) -> Result<T, DecodeError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.expected(expected))
    }

    pub fn string(&self) -> Result<String, DecodeError> {
        self.read("a string")
    }

    pub fn boolean(&self) -> Result<bool, DecodeError> {
        self.read("true or false")
    }

    /// A whole number, zero or more. `4096.0`, which some languages print, is one too.
    pub fn unsigned(&self) -> Result<u64, DecodeError> {
        let number: serde_json::Number = self.read("a whole number, zero or more")?;
        let whole = |float: f64| (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64);
        number
            .as_u64()
            .or_else(|| number.as_f64().and_then(whole))
            .ok_or_else(|| self.expected("a whole number, zero or more"))
    }

    pub fn signed(&self) -> Result<i64, DecodeError> {
        self.read("a whole number")
    }

    pub fn number(&self) -> Result<f64, DecodeError> {
        self.read("a number")
    }

    pub fn object(self) -> Result<Object<'a>, DecodeError> {
        let found: Members<'a> = self.read("an object")?;
        let mut members = BTreeMap::new();
        for (Key(key), raw) in found.0 {
            // Parsers differ in which of two they take: a provider must not read another value than the one checked.
            if members.insert(key.clone(), raw).is_some() {
                let object = Object { path: self.path, members };
                return Err(DecodeError::Twice { field: object.place(&key) });
            }
        }
        Ok(Object { path: self.path, members })
    }

    pub fn list(self) -> Result<Vec<Item<'a>>, DecodeError> {
        let raws: Vec<&'a RawValue> = self.read("an array")?;
        let path = self.path;
        Ok(raws.into_iter().enumerate().map(|(at, raw)| Item { path: format!("{path}[{at}]"), raw }).collect())
    }

    pub fn json(&self) -> Json {
        Json(self.raw.to_owned())
    }

    /// The text of the value, as it was.
    pub fn raw(&self) -> &'a str {
        self.raw.get()
    }
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
