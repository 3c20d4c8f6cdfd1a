//! `fallbacks` in a request's body: what the client wants tried when the model that it names has failed. The member is
//! the gateway's own, in whichever dialect the body is; the envelope finds it and keeps it from the provider.

/// More than this many are a mistake or an attack: each may become a request upstream.
pub const MOST: usize = 8;
const FIELD: &str = "fallbacks";

/// One fallback that a request names, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `provider/model`, an alias or a bare model.
    pub model: String,
    /// Where in the body, for error messages.
    pub place: String,
}

/// A list of fallbacks that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` {fault}")]
pub struct FallbacksError {
    pub place: String,
    fault: &'static str,
}

fn wrong(place: impl Into<String>, fault: &'static str) -> FallbacksError {
    FallbacksError { place: place.into(), fault }
}

/// The fallbacks that the member's value names.
pub fn read(json: &[u8]) -> Result<Vec<Named>, FallbacksError> {
    use serde_json::Value;
    const SHAPE: &str = "must be a list of `provider/model` strings or of objects {\"provider\", \"model\"}";
    let items = match serde_json::from_slice(json) {
        Ok(Value::Array(items)) => items,
        Ok(Value::Null) => return Ok(Vec::new()),
        Ok(_) => return Err(wrong(FIELD, SHAPE)),
        Err(_) => return Err(wrong(FIELD, "is not valid JSON")),
    };
    if items.len() > MOST {
        return Err(wrong(FIELD, "may name at most 8 models"));
    }
    items.into_iter().enumerate().map(|(index, item)| named(item, format!("{FIELD}[{index}]"))).collect()
}

fn named(item: serde_json::Value, place: String) -> Result<Named, FallbacksError> {
    use serde_json::Value;
    let members = match item {
        Value::String(model) if !model.is_empty() => return Ok(Named { model, place }),
        Value::Object(members) => members,
        _ => return Err(wrong(place, "must be a `provider/model` string or an object {\"provider\", \"model\"}")),
    };
    let (mut provider, mut model) = (None, None);
    for (key, value) in members {
        let (slot, place) = match key.as_str() {
            "provider" => (&mut provider, format!("{place}.provider")),
            "model" => (&mut model, format!("{place}.model")),
            _ => return Err(wrong(place, "may have the members `provider` and `model` only")),
        };
        match value {
            Value::String(name) if !name.is_empty() => *slot = Some(name),
            _ => return Err(wrong(place, "must be a non-empty string")),
        }
    }
    let Some(model) = model else { return Err(wrong(format!("{place}.model"), "is missing")) };
    Ok(Named { model: provider.map_or_else(|| model.clone(), |provider| format!("{provider}/{model}")), place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_objects_name_models() {
        let models = |json: &str| -> Vec<String> {
            read(json.as_bytes()).unwrap().into_iter().map(|named| named.model).collect()
        };
        assert_eq!(models(r#"["b/c", "d"]"#), ["b/c", "d"]);
        assert_eq!(models(r#"[{"provider":"p","model":"m/n"}, {"model":"q"}]"#), ["p/m/n", "q"]);
        assert!(models("[]").is_empty() && models("null").is_empty());
    }

    #[test]
    fn wrong_shapes_are_told_with_their_place() {
        for (json, message) in [
            (r#""x""#, "`fallbacks` must be a list"),
            (r#"{"a":["b"]}"#, "`fallbacks` must be a list"),
            (r#"["a",7]"#, "`fallbacks[1]` must be a `provider/model` string or an object"),
            (r#"[""]"#, "`fallbacks[0]` must be"),
            (r#"[{"provider":"p"}]"#, "`fallbacks[0].model` is missing"),
            (r#"[{"provider":"p","model":[]}]"#, "`fallbacks[0].model` must be a non-empty string"),
            (r#"[{"provider":"","model":"m"}]"#, "`fallbacks[0].provider` must be a non-empty string"),
            (r#"[{"gpt-4o":["m"]}]"#, "`fallbacks[0]` may have the members `provider` and `model` only"),
            (r#"["1","2","3","4","5","6","7","8","9"]"#, "`fallbacks` may name at most 8 models"),
            ("[01]", "`fallbacks` is not valid JSON"),
        ] {
            let error = read(json.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(message), "{json}: {error}");
        }
    }
}
