//! A document that fits a JSON schema of the kind that structured output asks for.

use serde_json::{Map, Value};

const DEEPEST: usize = 16;

/// The smallest such document: required properties only, empty strings and lists where the schema allows them.
pub(crate) fn fitting(schema: &Value) -> Value {
    Reading { root: schema }.smallest(schema, 0)
}

struct Reading<'a> {
    /// Where `$ref` points into.
    root: &'a Value,
}

impl Reading<'_> {
    fn smallest(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(first) = schema.pointer("/enum/0") {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#')) {
            return self.root.pointer(target).map_or(Value::Null, |target| self.smallest(target, depth + 1));
        }
        if let Some(first) = ["/anyOf/0", "/oneOf/0", "/allOf/0"].iter().find_map(|path| schema.pointer(path)) {
            return self.smallest(first, depth + 1);
        }
        let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
        // Gemini's own schemas write types in capitals.
        match kind.map(str::to_ascii_lowercase).as_deref() {
            Some("string") => Value::String(string(schema)),
            Some("integer" | "number") => number(schema),
            Some("boolean") => Value::Bool(false),
            Some("array") => {
                let least = count(schema, "minItems");
                let item = schema.get("items").map_or(Value::Null, |items| self.smallest(items, depth + 1));
                Value::Array(vec![item; least])
            }
            Some("null") => Value::Null,
            _ => self.object(schema, depth),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        let entry = |name: &str| {
            let value =
                properties.and_then(|properties| properties.get(name)).map(|schema| self.smallest(schema, depth + 1));
            (name.to_owned(), value.unwrap_or(Value::Null))
        };
        Value::Object(required.map(entry).collect::<Map<_, _>>())
    }
}

fn count(schema: &Value, name: &str) -> usize {
    const MOST: u64 = 64;
    schema.get(name).and_then(Value::as_u64).unwrap_or(0).min(MOST) as usize
}

fn string(schema: &Value) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-01".to_owned(),
        Some("date-time") => "2026-01-01T00:00:00Z".to_owned(),
        Some("time") => "00:00:00Z".to_owned(),
        Some("email") => "a@example.com".to_owned(),
        Some("uri") => "https://example.com".to_owned(),
        Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
        _ => "x".repeat(count(schema, "minLength")),
    }
}

fn number(schema: &Value) -> Value {
    let least = schema.get("minimum").cloned();
    let above =
        schema.get("exclusiveMinimum").and_then(Value::as_f64).map(|above| Value::from(above.floor() as i64 + 1));
    let least = least.or(above).filter(|least| least.as_f64().is_some_and(|least| least > 0.0));
    let most = schema.get("maximum").filter(|most| most.as_f64().is_some_and(|most| most < 0.0)).cloned();
    least.or(most).unwrap_or_else(|| Value::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_met() {
        let schema = json!({ "type": "object", "required": ["name", "age", "kind", "inner"], "properties": {
            "name": { "type": "string" }, "age": { "type": "integer" }, "kind": { "enum": ["x", "y"] },
            "inner": { "type": "object", "required": ["ok"], "properties": { "ok": { "type": ["boolean", "null"] } } } } });
        assert_eq!(fitting(&schema), json!({ "name": "", "age": 0, "kind": "x", "inner": { "ok": false } }));
    }

    #[test]
    fn references_bounds_and_capitals() {
        let schema = json!({ "type": "OBJECT", "required": ["list", "n"], "$defs": { "item": { "type": "STRING", "minLength": 2 } },
            "properties": { "list": { "type": "ARRAY", "minItems": 2, "items": { "$ref": "#/$defs/item" } },
                            "n": { "type": "NUMBER", "minimum": 5 } } });
        assert_eq!(fitting(&schema), json!({ "list": ["xx", "xx"], "n": 5 }));
        let endless = json!({ "$ref": "#" });
        assert_eq!(fitting(&endless), Value::Null);
    }
}
