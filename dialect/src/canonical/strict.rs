//! `strict` where a provider takes it only with schemas of a certain form.

use serde_json::Value;

use super::Function;
use crate::Dropped;

/// What the objects of a schema must be for calls to be held to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// No members beyond those named: `additionalProperties` is `false` (Anthropic, Bedrock).
    Closed,
    /// Closed, and every member is required (OpenAI).
    Whole,
}

impl Function {
    /// `strict` for a provider that refuses it with other schemas. It is dropped and named rather than a call refused
    /// that the client's own dialect (Cohere has no such demand) takes.
    pub(crate) fn strict_for(&self, strictness: Strictness, dropped: &mut Dropped) -> Option<bool> {
        let fits = self.parameters.as_ref().is_none_or(|schema| {
            let schema = schema.to_value();
            describes_objects(&schema) && strictness.fits(&schema)
        });
        let fits = fits || self.strict != Some(true);
        dropped.note_if(!fits, "tools.strict");
        self.strict.filter(|_| fits)
    }
}

impl Strictness {
    /// Looks at every schema within. No deeper than JSON is let nest.
    fn fits(self, schema: &Value) -> bool {
        let Value::Object(map) = schema else { return true };
        let members = map.get("properties").and_then(Value::as_object);
        if describes_objects(schema) || members.is_some() {
            if map.get("additionalProperties") != Some(&Value::Bool(false)) {
                return false;
            }
            let required = map.get("required").and_then(Value::as_array);
            let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|other| other == name));
            if self == Self::Whole && !members.is_none_or(|members| members.keys().all(is_required)) {
                return false;
            }
        }
        let named = ["properties", "$defs", "definitions"].iter().filter_map(|key| map.get(*key)?.as_object());
        let listed = ["anyOf", "allOf", "oneOf"].iter().filter_map(|key| map.get(*key)?.as_array());
        let mut within = named.flat_map(|map| map.values()).chain(listed.flatten()).chain(map.get("items"));
        within.all(|schema| self.fits(schema))
    }
}

fn describes_objects(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

    fn strict(schema: &str, strictness: Strictness) -> bool {
        let parameters = Some(Json::parse(schema).unwrap());
        let function = Function { name: "f".into(), description: None, parameters, strict: Some(true), cache: None };
        let mut dropped = Dropped::new();
        let strict = function.strict_for(strictness, &mut dropped);
        assert_eq!(dropped.header_value().as_deref(), strict.is_none().then_some("tools.strict"));
        strict.is_some()
    }

    #[test]
    fn only_schemas_that_the_provider_takes_stay_strict() {
        let inner = |closed: &str| {
            [
                format!(r#""properties":{{"a":{closed}}},"required":["a"]"#),
                format!(r#""properties":{{"a":{{"type":"array","items":{closed}}}}},"required":["a"]"#),
                format!(r#""properties":{{"a":{{"anyOf":[{{"type":"null"}},{closed}]}}}},"required":["a"]"#),
                format!(r##""properties":{{"a":{{"$ref":"#/$defs/b"}}}},"required":["a"],"$defs":{{"b":{closed}}}"##),
            ]
        };
        let cases = [
            (r#"{"type":"object","additionalProperties":false}"#, true, true),
            (r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#, true, false),
            (r#"{"type":["object","null"],"properties":{},"additionalProperties":true}"#, false, false),
            (r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#, false, false),
            (r#"{"properties":{},"additionalProperties":false}"#, false, false),
            ("{}", false, false),
        ];
        for (schema, closed, whole) in cases {
            assert_eq!(strict(schema, Strictness::Closed), closed, "{schema}");
            assert_eq!(strict(schema, Strictness::Whole), whole, "{schema}");
            for around in inner(schema).into_iter().filter(|_| schema.contains("object")) {
                let around = format!(r#"{{"type":"object","additionalProperties":false,{around}}}"#);
                assert_eq!(strict(&around, Strictness::Closed), closed, "{around}");
                assert_eq!(strict(&around, Strictness::Whole), whole, "{around}");
            }
        }
    }

    #[test]
    fn what_is_not_strict_is_left_alone() {
        let parameters = Some(Json::empty_object());
        let mut function =
            Function { name: "f".into(), description: None, parameters, strict: Some(false), cache: None };
        let mut dropped = Dropped::new();
        assert_eq!(function.strict_for(Strictness::Whole, &mut dropped), Some(false));
        (function.strict, function.parameters) = (Some(true), None);
        assert_eq!(function.strict_for(Strictness::Whole, &mut dropped), Some(true));
        assert!(dropped.is_empty());
    }
}
