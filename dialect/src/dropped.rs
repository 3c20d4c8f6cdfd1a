//! What could not be carried over: dropped and named, or refused.

use std::borrow::Cow;

use crate::Dialect;

/// Names beyond this many are counted, not listed: clients choose the names of unknown fields, headers are small.
const MAX_NAMES: usize = 32;
const MAX_NAME: usize = 64;

/// The fields that a translation left out or changed, in the order they were met, for `x-peerway-dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    names: Vec<Cow<'static, str>>,
    more: usize,
}

impl Dropped {
    pub const fn new() -> Self {
        Self { names: Vec::new(), more: 0 }
    }

    /// Notes a field by its name in the client's dialect or, where dialects differ, in the canonical model.
    pub fn note(&mut self, field: impl Into<Cow<'static, str>>) {
        let field = printable(field.into());
        if self.names.contains(&field) {
            return;
        }
        if self.names.len() == MAX_NAMES {
            self.more += 1;
            return;
        }
        self.names.push(field);
    }

    /// Notes `field` if it holds something.
    pub fn note_if(&mut self, given: bool, field: &'static str) {
        if given {
            self.note(field);
        }
    }

    /// Takes over what another step dropped.
    pub fn absorb(&mut self, other: &Self) {
        for name in &other.names {
            self.note(name.clone());
        }
        self.more += other.more;
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// `seed, logit_bias`: visible ASCII only, so always a valid header value. `None` when nothing was dropped.
    pub fn header_value(&self) -> Option<String> {
        if self.names.is_empty() {
            return None;
        }
        let mut value = self.names.join(", ");
        if self.more > 0 {
            value.push_str(&format!(", and {} more", self.more));
        }
        Some(value)
    }
}

fn printable(name: Cow<'static, str>) -> Cow<'static, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    if name.len() <= MAX_NAME && name.bytes().all(plain) && !name.is_empty() {
        return name;
    }
    let kept: String =
        name.bytes().take(MAX_NAME).map(|byte| if plain(byte) { char::from(byte) } else { '?' }).collect();
    Cow::Owned(if kept.is_empty() { "?".to_owned() } else { kept })
}

/// A request that the target's dialect cannot express without changing what the model sees or may do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` cannot be sent to a provider that speaks {target}: {reason}")]
pub struct Unsupported {
    /// The place in the request, such as `messages[2].content[0]`.
    pub field: String,
    pub target: Dialect,
    /// What stands in the way, and what would do.
    pub reason: Cow<'static, str>,
}

impl Unsupported {
    pub fn new(field: impl Into<String>, target: Dialect, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), target, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_says_each_name_once() {
        let mut dropped = Dropped::new();
        assert_eq!(dropped.header_value(), None);
        for name in ["seed", "logit_bias", "seed"] {
            dropped.note(name);
        }
        assert_eq!(dropped.header_value().unwrap(), "seed, logit_bias");
    }

    #[test]
    fn hostile_names_stay_header_values_and_few() {
        let mut dropped = Dropped::new();
        dropped.note("a\r\nset-cookie: x".to_owned());
        dropped.note(String::new());
        for at in 0..1000 {
            dropped.note(format!("{at}{}", "x".repeat(200)));
        }
        let value = dropped.header_value().unwrap();
        assert!(value.starts_with("a??set-cookie??x, ?, "), "{value}");
        assert!(value.len() < 3000 && value.ends_with(", and 970 more"), "{value}");
    }
}
