//! A JSON walker that builds no tree: it finds where values begin and end, so that a body can be read lazily and
//! edited in place. It accepts what RFC 8259 accepts, and is lax only inside numbers and literals, which are
//! passed on to somebody who parses them in full.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Deeper nesting is refused: no real request has it, and every parser behind us recurses.
const MAX_DEPTH: usize = 128;

/// Where a body stops being JSON, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct Malformed {
    pub offset: usize,
    pub reason: &'static str,
}

/// What a value is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

/// A value's place in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub shape: Shape,
    /// All of it, quotes and brackets included.
    pub range: Range<usize>,
}

impl Value {
    /// The string that a [`Shape::Text`] value stands for; `None` for other shapes and broken escapes.
    pub fn text<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, str>> {
        if self.shape != Shape::Text {
            return None;
        }
        unescape(&body[self.range.clone()])
    }

    pub fn integer(&self, body: &[u8]) -> Option<u64> {
        if self.shape != Shape::Number {
            return None;
        }
        std::str::from_utf8(&body[self.range.clone()]).ok()?.parse().ok()
    }
}

/// The number that a text stands for, where providers take one for a number. Nothing that has no end.
pub fn told_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let number: f64 = if text.contains('_') { text.replace('_', "").parse() } else { text.parse() }.ok()?;
    number.is_finite().then_some(number)
}

fn unescape(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = &quoted[1..quoted.len() - 1];
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
}

/// Calls `member` for each key and value of the object that `body[range]` is. Stops at the first error.
pub fn members<'a>(
    body: &'a [u8],
    range: Range<usize>,
    mut member: impl FnMut(Cow<'a, str>, Value) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    keyed_members(body, range, |key, _, value| member(key, value))
}

/// As [`members`]; tells besides where each key begins, for those who take a member out.
pub fn keyed_members<'a>(
    body: &'a [u8],
    range: Range<usize>,
    mut member: impl FnMut(Cow<'a, str>, usize, Value) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut walker = Walker { body: &body[..range.end], at: range.start };
    walker.members(&mut member)?;
    walker.space();
    if walker.at != range.end {
        return Err(walker.malformed("text after the end of the object"));
    }
    Ok(())
}

/// The elements of the array that `body[range]` is.
pub fn elements(body: &[u8], range: Range<usize>) -> Result<Vec<Value>, Malformed> {
    let mut walker = Walker { body: &body[..range.end], at: range.start };
    let mut found = Vec::new();
    walker.elements(&mut found)?;
    walker.space();
    if walker.at != range.end {
        return Err(walker.malformed("text after the end of the array"));
    }
    Ok(found)
}

/// The value behind the colon that follows at `from`; `None` where there is none, or none that ends.
pub fn value_after_colon(body: &[u8], from: usize) -> Option<Value> {
    let mut walker = Walker { body, at: from };
    walker.space();
    walker.expect(b':', "expected `:` after a key").ok()?;
    walker.space();
    let start = walker.at;
    let shape = walker.value(0).ok()?;
    Some(Value { shape, range: start..walker.at })
}

struct Walker<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    fn malformed(&self, reason: &'static str) -> Malformed {
        Malformed { offset: self.at.min(self.body.len()), reason }
    }

    fn space(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), Malformed> {
        if self.body.get(self.at) == Some(&byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.malformed(reason))
    }

    fn members(
        &mut self,
        member: &mut impl FnMut(Cow<'a, str>, usize, Value) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.space();
        self.expect(b'{', "expected `{`")?;
        self.space();
        if self.body.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let key_start = self.at;
            self.string()?;
            let key = unescape(&self.body[key_start..self.at])
                .ok_or(Malformed { offset: key_start, reason: "a key that is not a valid string" })?;
            self.space();
            self.expect(b':', "expected `:` after a key")?;
            self.space();
            let start = self.at;
            let shape = self.value(0)?;
            member(key, key_start, Value { shape, range: start..self.at })?;
            self.space();
            match self.body.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.malformed("expected `,` or `}`")),
            }
        }
    }

    fn elements(&mut self, found: &mut Vec<Value>) -> Result<(), Malformed> {
        self.space();
        self.expect(b'[', "expected `[`")?;
        self.space();
        if self.body.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            let shape = self.value(0)?;
            found.push(Value { shape, range: start..self.at });
            self.space();
            match self.body.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.malformed("expected `,` or `]`")),
            }
        }
    }

    /// Steps over one value.
    fn value(&mut self, depth: usize) -> Result<Shape, Malformed> {
        match self.body.get(self.at) {
            Some(b'"') => self.string().map(|()| Shape::Text),
            Some(b'{') => self.nested(depth, b'}', true).map(|()| Shape::Object),
            Some(b'[') => self.nested(depth, b']', false).map(|()| Shape::Array),
            Some(b't') => self.literal(b"true").map(|()| Shape::True),
            Some(b'f') => self.literal(b"false").map(|()| Shape::False),
            Some(b'n') => self.literal(b"null").map(|()| Shape::Null),
            Some(b'-' | b'0'..=b'9') => {
                while matches!(self.body.get(self.at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                    self.at += 1;
                }
                Ok(Shape::Number)
            }
            Some(_) => Err(self.malformed("expected a value")),
            None => Err(self.malformed("the body ends where a value should be")),
        }
    }

    fn nested(&mut self, depth: usize, close: u8, keyed: bool) -> Result<(), Malformed> {
        if depth == MAX_DEPTH {
            return Err(self.malformed("nested deeper than 128 levels"));
        }
        self.at += 1;
        self.space();
        if self.body.get(self.at) == Some(&close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            if keyed {
                self.string()?;
                self.space();
                self.expect(b':', "expected `:` after a key")?;
                self.space();
            }
            self.value(depth + 1)?;
            self.space();
            match self.body.get(self.at) {
                Some(b',') => self.at += 1,
                Some(byte) if *byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.malformed("expected `,` or a closing bracket")),
            }
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Malformed> {
        if self.body[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.malformed("expected `true`, `false` or `null`"))
    }

    fn string(&mut self) -> Result<(), Malformed> {
        self.expect(b'"', "expected a string")?;
        loop {
            match memchr2(b'"', b'\\', &self.body[self.at..]) {
                Some(step) if self.body[self.at + step] == b'"' => {
                    self.at += step + 1;
                    return Ok(());
                }
                Some(step) => self.at += step + 2,
                None => {
                    self.at = self.body.len();
                    return Err(self.malformed("a string without an end"));
                }
            }
            if self.at > self.body.len() {
                return Err(self.malformed("a string without an end"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(body: &str) -> Result<Vec<(String, Shape)>, Malformed> {
        let mut found = Vec::new();
        members(body.as_bytes(), 0..body.len(), |key, value| {
            found.push((key.into_owned(), value.shape));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn finds_members_of_every_shape() {
        let found = keys(r#" {"a":"x\"}","b":[1,{"c":null}],"d":-1.5e3,"e":true,"f":false,"\u0067":{} } "#).unwrap();
        let shapes: Vec<_> = found.iter().map(|(key, shape)| (key.as_str(), *shape)).collect();
        assert_eq!(
            shapes,
            [
                ("a", Shape::Text),
                ("b", Shape::Array),
                ("d", Shape::Number),
                ("e", Shape::True),
                ("f", Shape::False),
                ("g", Shape::Object)
            ]
        );
    }

    #[test]
    fn finds_elements_of_every_shape() {
        let body = r#" [ "a,]" , {"b":[1]},[], null ] "#;
        let found = elements(body.as_bytes(), 0..body.len()).unwrap();
        let found: Vec<_> = found.iter().map(|value| (value.shape, &body[value.range.clone()])).collect();
        let (object, array) = (Shape::Object, Shape::Array);
        assert_eq!(found, [(Shape::Text, "\"a,]\""), (object, "{\"b\":[1]}"), (array, "[]"), (Shape::Null, "null")]);
        assert_eq!(elements(b"[]", 0..2), Ok(Vec::new()));
        for body in ["", "[", "[1", "[1,", "[1,]", "[1]2", "{}", "[1 2]"] {
            assert!(elements(body.as_bytes(), 0..body.len()).is_err(), "{body}");
        }
    }

    #[test]
    fn refuses_what_is_cut_or_has_a_tail() {
        for body in
            ["", "{", r#"{"a"#, r#"{"a\"#, r#"{"a":}"#, r#"{"a":1"#, r#"{"a":1}x"#, "[1]", r#"{"a":tru}"#, r#"{a:1}"#]
        {
            assert!(keys(body).is_err(), "{body}");
        }
    }

    #[test]
    fn refuses_deep_nesting_without_recursing_away() {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(keys(&body).unwrap_err().reason, "nested deeper than 128 levels");
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_keys(map in proptest::collection::btree_map(".*", any::<Option<f64>>(), 0..8)) {
            let body = serde_json::to_string(&map).unwrap();
            let found: Vec<String> = keys(&body).unwrap().into_iter().map(|(key, _)| key).collect();
            prop_assert_eq!(found, map.into_keys().collect::<Vec<_>>());
        }

        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = members(&body, 0..body.len(), |_, _| Ok(()));
        }
    }
}
