//! Objects whose members may be spelled `camelCase` or `snake_case`, as protocol buffers allow.

use std::collections::BTreeMap;

use crate::Json;
use crate::json::{DecodeError, Item, Object};

/// An object read by the `camelCase` names of its members.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(Object<'a>);

impl<'a> Fields<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        Object::parse(body).map(Self)
    }

    pub(super) fn of(item: Item<'a>) -> Result<Self, DecodeError> {
        item.object().map(Self)
    }

    pub(super) fn place(&self, key: &str) -> String {
        self.0.place(key)
    }

    pub(super) fn take(&mut self, key: &str) -> Result<Option<Item<'a>>, DecodeError> {
        let camel = self.0.take(key);
        let snake = snake(key).and_then(|key| self.0.take(&key));
        if camel.is_some() && snake.is_some() {
            return Err(DecodeError::Twice { field: self.place(key) });
        }
        Ok(camel.or(snake))
    }

    pub(super) fn need(&mut self, key: &str) -> Result<Item<'a>, DecodeError> {
        self.take(key)?.ok_or_else(|| DecodeError::Missing { field: self.place(key) })
    }

    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, DecodeError> {
        self.take(key)?.map(|item| item.string()).transpose()
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, DecodeError> {
        self.take(key)?.map(|item| item.boolean()).transpose()
    }

    pub(super) fn unsigned(&mut self, key: &str) -> Result<Option<u64>, DecodeError> {
        self.take(key)?.map(|item| item.unsigned()).transpose()
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, DecodeError> {
        self.take(key)?.map(|item| item.number()).transpose()
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Self>, DecodeError> {
        self.take(key)?.map(Self::of).transpose()
    }

    /// Absent is empty.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Item<'a>>, DecodeError> {
        Ok(self.take(key)?.map(Item::list).transpose()?.unwrap_or_default())
    }

    pub(super) fn strings(&mut self, key: &str) -> Result<Vec<String>, DecodeError> {
        self.list(key)?.into_iter().map(|item| item.string()).collect()
    }

    /// A count that providers tell; anything odd counts as not told.
    pub(super) fn count(&mut self, key: &str) -> u64 {
        self.take(key).ok().flatten().and_then(|item| item.unsigned().ok()).unwrap_or(0)
    }

    /// What nobody has taken and is not `null`, by its `camelCase` names.
    pub(super) fn rest(self) -> BTreeMap<String, Json> {
        let told = |(key, value): (String, Json)| (value.text() != "null").then(|| (plain_name(key), value));
        self.0.rest().into_iter().filter_map(told).collect()
    }
}

fn snake(key: &str) -> Option<String> {
    key.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| {
        let mut snake = String::with_capacity(key.len() + 4);
        for letter in key.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    })
}

/// The `camelCase` name, unless the name is no spelling of it: two names must not become one.
fn plain_name(key: String) -> String {
    let camel = camel(&key);
    if snake(&camel).as_ref() == Some(&key) { camel } else { key }
}

fn camel(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut raise = false;
    for letter in key.chars() {
        if letter == '_' {
            raise = true;
        } else if std::mem::take(&mut raise) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_but_not_at_once() {
        let mut fields = Fields::parse(br#"{"max_output_tokens":5,"topP":0.5,"safety_settings":[],"x":null}"#).unwrap();
        assert_eq!(fields.unsigned("maxOutputTokens").unwrap(), Some(5));
        assert_eq!(fields.number("topP").unwrap(), Some(0.5));
        assert_eq!(fields.rest().into_keys().collect::<Vec<_>>(), ["safetySettings"]);
        let fields = Fields::parse(br#"{"max__output_tokens":9,"a_b":1}"#).unwrap();
        assert_eq!(fields.rest().into_keys().collect::<Vec<_>>(), ["aB", "max__output_tokens"]);
        let mut fields = Fields::parse(br#"{"top_p":1,"topP":0.5}"#).unwrap();
        assert_eq!(fields.number("topP").unwrap_err().to_string(), "`topP` is given twice");
    }
}
