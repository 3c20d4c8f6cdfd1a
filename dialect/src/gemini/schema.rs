//! Google's `Schema`, which is OpenAPI 3.0's, as JSON Schema.
//!
//! `type` is lower case, `nullable` becomes one of the types, counts that protocol buffers print as strings become
//! numbers, and `propertyOrdering` becomes the order of the properties. What is JSON Schema already stays as it is, and
//! so does what neither has.

use crate::Json;
use crate::json::{DecodeError, Item};

/// The schema at `item` as JSON Schema.
pub(super) fn to_json_schema(item: Item<'_>) -> Result<Json, DecodeError> {
    let mut text = String::with_capacity(item.raw().len());
    write(item, &mut text)?;
    Json::parse(&text)
}

fn write(item: Item<'_>, out: &mut String) -> Result<(), DecodeError> {
    let mut members = item.members()?;
    let mut nullable = false;
    let mut ordering: Vec<String> = Vec::new();
    for (key, item) in &members {
        match key.as_str() {
            "nullable" => nullable = item.boolean()?,
            "propertyOrdering" | "property_ordering" => {
                ordering = item.clone().list()?.into_iter().map(|name| name.string()).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
    }
    members.retain(|(key, _)| !matches!(key.as_str(), "nullable" | "propertyOrdering" | "property_ordering"));
    object(members, out, |key, item, out| match key {
        "type" if item.is_string() => {
            let name = string(&item.string()?.to_ascii_lowercase());
            if nullable {
                out.push_str(&format!("[{name},\"null\"]"));
            } else {
                out.push_str(&name);
            }
            Ok(())
        }
        "items" | "additionalProperties" if item.is_object() => write(item, out),
        "anyOf" | "any_of" | "oneOf" | "allOf" | "prefixItems" if item.is_list() => list(item, nullable, out),
        "properties" | "defs" | "$defs" => {
            let mut members = item.members()?;
            let place = |key: &str| ordering.iter().position(|name| name == key).unwrap_or(ordering.len());
            members.sort_by_key(|(key, _)| place(key));
            object(members, out, |_, item, out| write(item, out))
        }
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" | "min_items"
        | "max_items" | "min_length" | "max_length" | "min_properties" | "max_properties"
            if item.is_string() =>
        {
            let count: u64 = item.string()?.parse().map_err(|_| item.expected("a whole number"))?;
            out.push_str(&count.to_string());
            Ok(())
        }
        _ => {
            out.push_str(item.raw());
            Ok(())
        }
    })
}

fn list(item: Item<'_>, nullable: bool, out: &mut String) -> Result<(), DecodeError> {
    out.push('[');
    for (at, item) in item.list()?.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(item, out)?;
    }
    if nullable {
        out.push_str(if out.ends_with('[') { "{\"type\":\"null\"}" } else { ",{\"type\":\"null\"}" });
    }
    out.push(']');
    Ok(())
}

fn object<'a>(
    members: Vec<(String, Item<'a>)>,
    out: &mut String,
    mut value: impl FnMut(&str, Item<'a>, &mut String) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    out.push('{');
    for (at, (key, item)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&string(&key));
        out.push(':');
        value(&key, item, out)?;
    }
    out.push('}');
    Ok(())
}

fn string(text: &str) -> String {
    Json::of(&text).text().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_json_schema() {
        let google = r#"{"type":"OBJECT","propertyOrdering":["b","a"],"required":["a"],"properties":{
            "a":{"type":"STRING","nullable":true,"enum":["x","Y"]},
            "b":{"type":"ARRAY","minItems":"1","items":{"type":"INTEGER","description":"TYPE \"q\""}},
            "c":{"anyOf":[{"type":"NUMBER"},{"type":"BOOLEAN"}],"nullable":true},
            "type":{"type":"string","default":{"type":"STRING"}}}}"#;
        let expected = r#"{"type":"object","required":["a"],"properties":{"b":{"type":"array","minItems":1,"items":{"type":"integer","description":"TYPE \"q\""}},"a":{"type":["string","null"],"enum":["x","Y"]},"c":{"anyOf":[{"type":"number"},{"type":"boolean"},{"type":"null"}]},"type":{"type":"string","default":{"type":"STRING"}}}}"#;
        let json = Json::parse(google).unwrap();
        let schema = to_json_schema(json.item("parameters")).unwrap();
        assert_eq!(schema.text(), expected);
        assert_eq!(to_json_schema(schema.item("")).unwrap(), schema, "JSON Schema stays as it is");
        let json = Json::parse(r#"{"properties":{"a":7}}"#).unwrap();
        let error = to_json_schema(json.item("parameters")).unwrap_err().to_string();
        assert_eq!(error, "`parameters.properties.a` must be an object");
    }
}
