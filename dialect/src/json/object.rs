//! Objects read field by field, with the place of everything that is wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{DecodeError, Json, check_depth};
use crate::Dropped;

/// A member or an item takes far more memory read than it took bytes to write: without an end, a body within its size
/// limit could fill the memory. Anthropic's own limit on messages is 100,000.
const MAX_ITEMS: usize = 100_000;
const MAX_MEMBERS: usize = 10_000;

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

/// The members in the order of the text, as many as are allowed.
struct Members<'a> {
    members: Vec<(Key<'a>, &'a RawValue)>,
    too_many: bool,
}

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
                while members.len() < MAX_MEMBERS {
                    match map.next_entry::<Key<'de>, &'de RawValue>()? {
                        Some(member) => members.push(member),
                        None => return Ok(Members { members, too_many: false }),
                    }
                }
                let mut too_many = false;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    too_many = true;
                }
                Ok(Members { members, too_many })
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The items of an array, as many as are allowed.
struct Items<'a> {
    items: Vec<&'a RawValue>,
    too_many: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX_ITEMS {
                    match list.next_element::<&'de RawValue>()? {
                        Some(item) => items.push(item),
                        None => return Ok(Items { items, too_many: false }),
                    }
                }
                let mut too_many = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    too_many = true;
                }
                Ok(Items { items, too_many })
            }
        }
        deserializer.deserialize_seq(Visitor)
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
    pub fn note_rest(&self, prefix: &str, unread: &mut Dropped) {
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
    pub(super) fn new(path: String, raw: &'a RawValue) -> Self {
        Self { path, raw }
    }

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

    fn found(&self) -> Result<Vec<(Key<'a>, &'a RawValue)>, DecodeError> {
        let found: Members<'a> = self.read("an object")?;
        if found.too_many {
            return Err(self.expected(format!("an object of at most {MAX_MEMBERS} members")));
        }
        Ok(found.members)
    }

    pub fn object(self) -> Result<Object<'a>, DecodeError> {
        let mut members = BTreeMap::new();
        for (Key(key), raw) in self.found()? {
            // Parsers differ in which of two they take: a provider must not read another value than the one checked.
            if members.insert(key.clone(), raw).is_some() {
                let object = Object { path: self.path, members };
                return Err(DecodeError::Twice { field: object.place(&key) });
            }
        }
        Ok(Object { path: self.path, members })
    }

    /// The members in the order of the text, for schemas, whose order has a meaning.
    pub fn members(self) -> Result<Vec<(String, Item<'a>)>, DecodeError> {
        let found = self.found()?;
        let place = self.object()?;
        let member = |(Key(key), raw): (Key<'a>, _)| {
            let path = place.place(&key);
            (key.into_owned(), Item { path, raw })
        };
        Ok(found.into_iter().map(member).collect())
    }

    pub fn list(self) -> Result<Vec<Item<'a>>, DecodeError> {
        let found: Items<'a> = self.read("an array")?;
        if found.too_many {
            return Err(self.expected(format!("an array of at most {MAX_ITEMS} items")));
        }
        let path = self.path;
        Ok(found.items.into_iter().enumerate().map(|(at, raw)| Item { path: format!("{path}[{at}]"), raw }).collect())
    }

    pub fn json(&self) -> Json {
        Json(self.raw.to_owned())
    }

    /// The text of the value, as it was.
    pub fn raw(&self) -> &'a str {
        self.raw.get()
    }
}
