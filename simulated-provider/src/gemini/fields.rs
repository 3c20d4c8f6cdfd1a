//! Fields as protobuf's JSON takes them: each in camel case or in snake case, and no unknown ones.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// A field by its name in camel case.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.get(&snake(name)))
}

/// A field of what may be an object.
pub(super) fn of<'a>(value: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    field(value?.as_object()?, name)
}

/// Refuses an object with a field that is none of these.
pub(super) fn only(object: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), ApiError> {
    let is_known = |name: &String| known.iter().any(|known| known == name || snake(known) == *name);
    match object.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
            let message = format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.");
            Err(ApiError::invalid(message, None, None))
        }
    }
}

fn snake(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len() + 4), |mut out, letter| {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
        out
    })
}
