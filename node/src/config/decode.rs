//! From the tree to the typed configuration, gathering every fault on the way instead of stopping at the first.
//!
//! Serde gives up at the first error. So a value that fails is noted and left out, and the tree is decoded again,
//! until nothing fails any more; each round leaves out at least one more value.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer as _, Unexpected, Visitor};

use super::scalar::SECRET;
use super::suggest;
use super::tree::{Key, Node, Number, Place, Text, Value};

/// Somebody who has made this many mistakes will run the check again.
const MAX_ROUNDS: usize = 50;

/// A value that the model does not take.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) place: Place,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What came of a tree.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    pub(super) value: Option<T>,
    pub(super) misfits: Vec<Misfit>,
    /// The scalars that are safe to show: they were taken as something other than a secret.
    pub(super) showable: HashSet<*const Node>,
}

pub(super) fn decode<T: DeserializeOwned>(root: &Node) -> Decoded<T> {
    let session = Session::default();
    let mut value = None;
    for _ in 0..MAX_ROUNDS {
        match At::decode(root, String::new(), &session, PhantomData::<T>) {
            Ok(decoded) => {
                value = Some(decoded);
                break;
            }
            Err(_) if session.left_out.borrow().contains(&(root as *const Node)) => break,
            Err(_) => {}
        }
    }
    Decoded { value, misfits: session.misfits.into_inner(), showable: session.showable.into_inner() }
}

#[derive(Debug, Default)]
struct Session {
    misfits: RefCell<Vec<Misfit>>,
    left_out: RefCell<HashSet<*const Node>>,
    showable: RefCell<HashSet<*const Node>>,
}

/// Serde's error, kept as parts.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    hint: Option<String>,
    kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    /// Not yet in the session.
    Fresh,
    /// A key that the map lacks.
    Missing,
    /// In the session already; on its way up.
    Noted,
}

impl Fault {
    fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self { message: message.into(), hint, kind: FaultKind::Fresh }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.as_str() {
            "invalid socket address syntax" => Self::new(
                "not an address with a port",
                Some("write IP:PORT, e.g. 0.0.0.0:8080 or [::1]:8080".to_owned()),
            ),
            _ => Self::new(message, None),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {}", plain(expected), contentless(&found)), None)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("{} does not fit: expected {}", contentless(&found), plain(expected)), None)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown key `{field}`"), suggest::hint(field, "keys", expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown value `{variant}`"), suggest::hint(variant, "values", expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: FaultKind::Missing, ..Self::new(format!("`{field}` is missing"), None) }
    }
}

/// Rust's names of numbers in an operator's words.
fn plain(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from zero up".to_owned(),
        "f64" => "a number".to_owned(),
        other => other.to_owned(),
    }
}

/// Texts may be secrets in the wrong place, so only numbers are shown.
fn contentless(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Str(_) => "a text".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a block of keys".to_owned(),
        Unexpected::Unit => "nothing".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// One node, about to be decoded.
struct At<'a> {
    node: &'a Node,
    path: String,
    session: &'a Session,
}

impl At<'_> {
    /// Decodes the node; notes a fresh fault at it, and leaves it out of the next round.
    fn decode<'de, S: DeserializeSeed<'de>>(
        node: &Node,
        path: String,
        session: &Session,
        seed: S,
    ) -> Result<S::Value, Fault> {
        seed.deserialize(At { node, path: path.clone(), session }).map_err(|fault| {
            if fault.kind == FaultKind::Noted {
                return fault;
            }
            let Fault { message, hint, kind } = fault;
            if kind != FaultKind::Missing || !session.has_left_out_a_part_of(node) {
                session.misfits.borrow_mut().push(Misfit { place: node.place, path, message, hint });
            }
            session.left_out.borrow_mut().insert(node);
            Fault { message: String::new(), hint: None, kind: FaultKind::Noted }
        })
    }

    fn show(&self) {
        self.session.showable.borrow_mut().insert(self.node);
    }

    fn expected<V>(&self, what: &str, hint: Option<&str>) -> Result<V, Fault> {
        let message = format!("expected {what}, found {}", self.node.describe());
        Err(Fault::new(message, hint.map(str::to_owned)))
    }
}

impl Session {
    fn leaves_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&(node as *const Node))
    }

    fn has_left_out_a_part_of(&self, node: &Node) -> bool {
        match &node.value {
            Value::Map(entries) => entries.iter().any(|(_, value)| self.leaves_out(value)),
            _ => false,
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: Number, visitor: V) -> Result<V::Value, Fault> {
    match number {
        Number::Unsigned(value) => visitor.visit_u64(value),
        Number::Signed(value) => visitor.visit_i64(value),
        Number::Float(value) => visitor.visit_f64(value),
    }
}

fn number_in(text: &str) -> Option<Number> {
    let text = text.trim();
    let unsigned = || text.parse().ok().map(Number::Unsigned);
    let signed = || text.parse().ok().map(Number::Signed);
    unsigned().or_else(signed).or_else(|| text.parse().ok().map(Number::Float))
}

impl At<'_> {
    fn number<'de, V: Visitor<'de>>(&self, what: &str, visitor: V) -> Result<V::Value, Fault> {
        self.show();
        let number = match &self.node.value {
            Value::Number(number, _) => Some(*number),
            Value::Text(Text { text, interpolated: true, .. }) => number_in(text),
            _ => None,
        };
        match (number, &self.node.value) {
            (Some(number), _) => visit_number(number, visitor),
            (None, Value::Text(Text { text, .. })) if number_in(text).is_some() => {
                self.expected(what, Some("write it without quotes"))
            }
            _ => self.expected(what, None),
        }
    }

    fn text<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        self.show();
        match &self.node.value {
            Value::Text(Text { text, .. }) | Value::Number(_, text) => visitor.visit_str(text),
            Value::Bool(_) => self.expected("a text", Some("write it in quotes if it is meant as a word")),
            _ => self.expected("a text", None),
        }
    }

    fn list<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { items, index: 0, at: self }),
            Value::Null => visitor.visit_seq(Items { items: &[], index: 0, at: self }),
            _ => self.expected("a list", Some("write `- ` before each item, or [a, b]")),
        }
    }

    fn block<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries { entries, index: 0, at: self }),
            // A block whose lines are all commented out.
            Value::Null => visitor.visit_map(Entries { entries: &[], index: 0, at: self }),
            _ => self.expected("a block of keys", None),
        }
    }

    fn boolean<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        self.show();
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Text(Text { text, interpolated: true, .. }) => match text.trim() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => self.expected("true or false", None),
            },
            _ => self.expected("true or false", None),
        }
    }

    fn any<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(_) => self.boolean(visitor),
            Value::Number(..) => self.number("a number", visitor),
            Value::Text(_) => self.text(visitor),
            Value::List(_) => self.list(visitor),
            Value::Map(_) => self.block(visitor),
        }
    }
}

macro_rules! by {
    ($($method:ident => |$at:ident, $visitor:ident| $body:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Fault> {
            let $at = &self;
            $body
        })*
    };
}

impl<'de> de::Deserializer<'de> for At<'_> {
    type Error = Fault;

    by! {
        deserialize_any => |at, visitor| at.any(visitor);
        deserialize_bool => |at, visitor| at.boolean(visitor);
        deserialize_u8 => |at, visitor| at.number("a whole number", visitor);
        deserialize_u16 => |at, visitor| at.number("a whole number", visitor);
        deserialize_u32 => |at, visitor| at.number("a whole number", visitor);
        deserialize_u64 => |at, visitor| at.number("a whole number", visitor);
        deserialize_i8 => |at, visitor| at.number("a whole number", visitor);
        deserialize_i16 => |at, visitor| at.number("a whole number", visitor);
        deserialize_i32 => |at, visitor| at.number("a whole number", visitor);
        deserialize_i64 => |at, visitor| at.number("a whole number", visitor);
        deserialize_f32 => |at, visitor| at.number("a number", visitor);
        deserialize_f64 => |at, visitor| at.number("a number", visitor);
        deserialize_str => |at, visitor| at.text(visitor);
        deserialize_string => |at, visitor| at.text(visitor);
        deserialize_char => |at, visitor| at.text(visitor);
        deserialize_identifier => |at, visitor| at.text(visitor);
        deserialize_seq => |at, visitor| at.list(visitor);
        deserialize_map => |at, visitor| at.block(visitor);
        deserialize_ignored_any => |at, visitor| at.any(visitor);
        deserialize_bytes => |at, visitor| at.text(visitor);
        deserialize_byte_buf => |at, visitor| at.text(visitor);
        deserialize_unit => |at, visitor| at.any(visitor);
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            // `${NAME:-}` is how an optional value is left to the environment.
            Value::Text(Text { text, interpolated: true, .. }) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        let (node, session) = (self.node, self.session);
        let result = visitor.visit_newtype_struct(self);
        if name == SECRET {
            session.showable.borrow_mut().remove(&(node as *const Node));
        }
        result
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.show();
        match &self.node.value {
            Value::Text(Text { text, .. }) | Value::Number(_, text) => {
                visitor.visit_enum(StrDeserializer::<Fault>::new(text))
            }
            _ => self.expected("one word", None),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }
}

struct Items<'a> {
    items: &'a [Node],
    index: usize,
    at: &'a At<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        while let Some(node) = self.items.get(self.index) {
            let path = format!("{}[{}]", self.at.path, self.index);
            self.index += 1;
            if !self.at.session.leaves_out(node) {
                return At::decode(node, path, self.at.session, seed).map(Some);
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    entries: &'a [(Key, Node)],
    index: usize,
    at: &'a At<'a>,
}

impl Entries<'_> {
    fn path(&self, key: &Key) -> String {
        let gap = if self.at.path.is_empty() { "" } else { "." };
        format!("{}{gap}{}", self.at.path, key.name)
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let session = self.at.session;
        while self.entries.get(self.index).is_some_and(|(_, value)| session.leaves_out(value)) {
            self.index += 1;
        }
        let Some((key, value)) = self.entries.get(self.index) else { return Ok(None) };
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| {
            let Fault { message, hint, .. } = fault;
            let misfit = Misfit { place: key.place, path: self.path(key), message: message.clone(), hint };
            session.misfits.borrow_mut().push(misfit);
            session.left_out.borrow_mut().insert(value);
            Fault { message, hint: None, kind: FaultKind::Noted }
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((key, node)) = self.entries.get(self.index) else {
            return Err(Fault::new("a value was asked for where no key is left", None));
        };
        self.index += 1;
        At::decode(node, self.path(key), self.at.session, seed)
    }
}
