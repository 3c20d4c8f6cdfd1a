//! Reading JSON bodies whose shape is checked field by field.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// The body's object.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::invalid("The body must be a JSON object.", None, None)),
        Err(error) => Err(ApiError::invalid(format!("The request body is not valid JSON: {error}"), None, None)),
    }
}

/// The model of an object's `model` field.
pub(crate) fn model(object: &Map<String, Value>) -> Result<String, ApiError> {
    const LONGEST: usize = 256;
    match string(object.get("model")) {
        "" => Err(ApiError::invalid("model: Field required", Some("model"), None)),
        model if model.len() > LONGEST => {
            Err(ApiError::invalid(format!("model: at most {LONGEST} bytes"), Some("model"), None))
        }
        model => Ok(model.to_owned()),
    }
}

/// A string, or nothing.
pub(crate) fn string(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// The elements of a list; of anything else none.
pub(crate) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A string, or the strings of a list.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        other => list(other).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

pub(crate) fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64)
}

/// A text, or the joined `text` fields of a list of parts.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        other => list(other).iter().map(|part| string(part.get("text"))).collect(),
    }
}
