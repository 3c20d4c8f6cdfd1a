//! A YAML document as a tree of values that know their places.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};

use super::braces::Shielded;
use super::interpolate::{Expanded, Variables, expand};

/// Deeper than any configuration, and shallow enough for every recursion over the tree.
const MAX_DEPTH: usize = 48;

/// Where something stands: line and column from 1, in characters; how many characters it takes on its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// With the digits as they were written, so that a text may be made of it without going through a float.
    Number(Number, String),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    /// It held references: its type is what its text looks like, as nobody could have quoted it otherwise.
    pub(super) interpolated: bool,
    /// As it stood in the file, where it is known to hold no secret: nothing but a reference.
    pub(super) only_reference: bool,
}

/// A fault of the YAML itself or of a reference in it.
#[derive(Debug)]
pub(super) struct TreeFault {
    pub(super) place: Option<Place>,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The tree, and the references in it that could not be replaced; or the one fault that kept it from being a tree.
pub(super) fn parse(source: &str, variables: Variables<'_>) -> Result<(Node, Vec<TreeFault>), TreeFault> {
    let shielded = Shielded::new(source);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(&shielded.text, options).map_err(|error| fault(&error, &shielded))?;
    let mut builder = Builder { shielded: &shielded, variables, faults: Vec::new() };
    let root = builder.node(raw, &mut String::new());
    Ok((root, builder.faults))
}

fn fault(error: &serde_saphyr::Error, shielded: &Shielded) -> TreeFault {
    let place = error.location().map(|location| Place { length: 1, ..place(location) });
    if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error.without_snippet() {
        let message = format!("the key `{}` is there twice", shielded.restore(key));
        let place = place.map(|place| Place { length: key.chars().count(), ..place });
        return TreeFault { place, path: String::new(), message, hint: None };
    }
    let rendered = shielded.restore(&error.without_snippet().to_string());
    // The place is told apart, so the parser's own words for it would say it twice.
    let message = rendered.split(" at line ").next().unwrap_or_default().to_owned();
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    TreeFault { place, path: String::new(), message, hint: None }
}

fn place(location: Location) -> Place {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place { line: number(location.line()), column: number(location.column()), length: number(location.span().len()) }
}

/// Turns what the parser gives into nodes: references replaced, places made plain.
struct Builder<'a> {
    shielded: &'a Shielded,
    variables: Variables<'a>,
    faults: Vec<TreeFault>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>, path: &mut String) -> Node {
        let place = place(raw.defined);
        let digits = |location: Location| {
            let range = location.span().byte_offset().zip(location.span().byte_len());
            let range = range.map(|(at, length)| at as usize..(at + length) as usize);
            range
                .and_then(|range| self.shielded.text.get(range))
                .map_or_else(String::new, |text| text.trim().to_owned())
        };
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(number) => Value::Number(number, digits(raw.defined)),
            Raw::Text(text) => Value::Text(self.text(&text, place, path)),
            Raw::List(items) => Value::List(self.list(items, path)),
            Raw::Map(entries) => Value::Map(self.map(entries, path)),
        };
        let length = match &value {
            Value::List(_) | Value::Map(_) => 1,
            _ => place.length,
        };
        Node { place: Place { length, ..place }, value }
    }

    fn text(&mut self, parsed: &str, place: Place, path: &str) -> Text {
        let written = self.shielded.restore(parsed);
        let only_reference = written.starts_with("file:///")
            || (written.starts_with("${") && written.find('}') == Some(written.len() - 1) && !written.contains(":-"));
        match expand(&written, self.variables) {
            Ok(Expanded::AsWritten) => Text { text: written, interpolated: false, only_reference },
            Ok(Expanded::Replaced(text)) => Text { text, interpolated: true, only_reference },
            Err(error) => {
                let fault = TreeFault {
                    place: Some(place),
                    path: path.to_owned(),
                    message: error.to_string(),
                    hint: error.hint(),
                };
                self.faults.push(fault);
                Text { text: String::new(), interpolated: true, only_reference }
            }
        }
    }

    fn list(&mut self, items: Vec<Spanned<Raw>>, path: &mut String) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let end = path.len();
            path.push_str(&format!("[{index}]"));
            nodes.push(self.node(item, path));
            path.truncate(end);
        }
        nodes
    }

    fn map(&mut self, entries: Vec<(Spanned<String>, Spanned<Raw>)>, path: &mut String) -> Vec<(Key, Node)> {
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = Key { place: place(key.defined), name: self.shielded.restore(&key.value) };
            let end = path.len();
            path.push_str(if end == 0 { "" } else { "." });
            path.push_str(&key.name);
            let mut node = self.node(value, path);
            if matches!(node.value, Value::List(_) | Value::Map(_)) {
                // What is wrong with a block as a whole is best shown at its name.
                node.place = key.place;
            }
            nodes.push((key, node));
            path.truncate(end);
        }
        nodes
    }
}

impl Node {
    /// The node at a path such as `providers[0].base_url`, or the nearest one above it that is written.
    pub(super) fn nearest(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')).filter(|step| !step.is_empty()) {
            let next = match &node.value {
                Value::Map(entries) => entries.iter().find(|(key, _)| key.name == step).map(|(_, value)| value),
                Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return node,
            }
        }
        node
    }

    /// What it is, in an operator's words and without its content.
    pub(super) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(..) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a block of keys",
        }
    }
}

enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::Signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(Number::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
