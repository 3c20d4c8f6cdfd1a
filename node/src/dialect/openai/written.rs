//! What a model wrote, for the case that its provider does not say how many tokens it was.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dialect::json;
use crate::governance::Written;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"text\""));
static MESSAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"message\""));

/// Counts the deltas of a stream's event.
pub fn count_chunk(event: &[u8], written: &mut Written) {
    count(event, &DELTA, written);
}

/// Counts the texts of an event of a text completion's stream.
pub fn count_text_chunk(event: &[u8], written: &mut Written) {
    count(event, &TEXT, written);
}

/// Counts the texts of a text completion.
pub fn count_text_answer(body: &[u8], written: &mut Written) {
    count(body, &TEXT, written);
}

/// Counts the messages of a plain answer, and of one without an end what there is of them.
pub fn count_answer(body: &[u8], written: &mut Written) {
    count(body, &MESSAGE, written);
}

/// As in events, a key is found by its quoted bytes: inside a JSON string a quote is escaped.
fn count(data: &[u8], key: &Finder<'_>, written: &mut Written) {
    let mut from = 0;
    while let Some(at) = key.find(&data[from..]) {
        from += at + key.needle().len();
        let Some(value) = json::value_after_colon(data, from) else {
            if is_cut_off(&data[from..]) {
                // There is no telling text from framing any more, nor a further key.
                return written.text(&String::from_utf8_lossy(&data[from..]));
            }
            continue;
        };
        from = value.range.end;
        let mut deserializer = serde_json::Deserializer::from_slice(&data[value.range]);
        // What was read before an error is counted; the walker has found the value's end, so errors are oddities of
        // numbers and escapes.
        let _ = Text { key: Key::Other, written }.deserialize(&mut deserializer);
    }
}

/// A value begins behind the colon, and the data ends before it does.
fn is_cut_off(data: &[u8]) -> bool {
    data.trim_ascii_start().starts_with(b":")
}

/// What a value is, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// Not written by the model.
    Framing,
    /// Encoded sound.
    Sound,
    Other,
}

struct Text<'w> {
    key: Key,
    written: &'w mut Written,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        match self.key {
            Key::Framing => {}
            Key::Sound => self.written.sound(text.len()),
            Key::Other => self.written.text(text),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Text { key: self.key, written: &mut *self.written })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key_seed(Name)? {
            if key == Key::Framing {
                members.next_value::<IgnoredAny>()?;
            } else {
                members.next_value_seed(Text { key, written: &mut *self.written })?;
            }
        }
        Ok(())
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(match name {
            "role" | "id" | "type" | "index" => Key::Framing,
            "data" => Key::Sound,
            _ => Key::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(event: &str) -> u64 {
        let mut written = Written::default();
        count_chunk(event.as_bytes(), &mut written);
        written.tokens()
    }

    #[test]
    fn only_what_the_model_wrote_is_counted() {
        let event = |delta: &str| {
            format!("data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
        };
        assert_eq!(chunk(&event(r#"{"role":"assistant","content":"","refusal":null}"#)), 0);
        assert_eq!(chunk(&event(r#"{"content":"a"}"#)), 2, "one, and a tenth");
        assert_eq!(chunk(&event(r#"{"reasoning_content":"a"}"#)), 2);
        assert_eq!(
            chunk(&event(r#"{"content":"\"delta\":{\"a\":1}"}"#)),
            chunk(&event(r#"{"content":"'delta':{'a':1}"}"#))
        );
        assert!(
            chunk(&event(
                r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}"#
            )) >= 5
        );
        assert_eq!(chunk("data: [DONE]\n\n"), 0);
    }

    #[test]
    fn all_choices_of_an_answer_are_counted() {
        let mut written = Written::default();
        let body =
            br#"{"choices":[{"message":{"role":"assistant","content":"one two"}},{"message":{"content":"three"}}]}"#;
        count_answer(body, &mut written);
        let mut text = Written::default();
        text.text("one two");
        text.text("three");
        assert_eq!(written, text);
    }

    #[test]
    fn of_an_answer_without_an_end_the_rest_is_counted() {
        let mut written = Written::default();
        let body = br#"{"id":"chatcmpl-1","choices":[{"message":{"role":"assistant","content":"one two three four fi"#;
        count_answer(body, &mut written);
        assert!((6..30).contains(&written.tokens()), "{}", written.tokens());
    }
}
