//! `fallbacks` in a request's body: what the client wants tried when the model that it names has failed. The member is
//! the gateway's own, in whichever dialect the body is; it is cut out, and every other byte stays.

use std::ops::Range;

use bytes::Bytes;

use crate::dialect::json::{Malformed, Value, members};

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

/// The fallbacks that a body names, and the body without them. A body without the member is returned as it came, at
/// the price of one search; one that is no JSON object too, as whoever reads it next says what is wrong with it.
pub fn take(body: Bytes) -> Result<(Bytes, Vec<Named>), FallbacksError> {
    if memchr::memmem::find(&body, b"\"fallbacks\"").is_none() {
        return Ok((body, Vec::new()));
    }
    let Ok(found) = find(&body) else { return Ok((body, Vec::new())) };
    match found.as_slice() {
        [] => Ok((body, Vec::new())),
        [(value, cut)] => {
            let named = read(&body[value.range.clone()])?;
            let mut rest = Vec::with_capacity(body.len() - cut.len());
            rest.extend_from_slice(&body[..cut.start]);
            rest.extend_from_slice(&body[cut.end..]);
            Ok((Bytes::from(rest), named))
        }
        _ => Err(wrong(FIELD, "is given twice")),
    }
}

/// The member's values, each with the bytes to cut out with it: its key and one comma.
fn find(body: &[u8]) -> Result<Vec<(Value, Range<usize>)>, Malformed> {
    let mut found = Vec::new();
    let mut previous_end = None;
    members(body, 0..body.len(), |key, value| {
        let end = value.range.end;
        if key == FIELD {
            let cut = match previous_end {
                Some(previous_end) => previous_end..end,
                None => first_member(body)..end,
            };
            found.push((value, cut));
        }
        previous_end = Some(end);
        Ok(())
    })?;
    for (_, cut) in &mut found {
        if cut.start == first_member(body) {
            let comma = body[cut.end..].iter().position(|byte| !byte.is_ascii_whitespace());
            if let Some(at) = comma.map(|at| cut.end + at).filter(|at| body[*at] == b',') {
                cut.end = at + 1;
            }
        }
    }
    Ok(found)
}

/// Behind the opening brace.
fn first_member(body: &[u8]) -> usize {
    memchr::memchr(b'{', body).map_or(0, |brace| brace + 1)
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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn taken(body: &str) -> (String, Vec<String>) {
        let (rest, named) = take(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        (String::from_utf8(rest.to_vec()).unwrap(), named.into_iter().map(|named| named.model).collect())
    }

    #[test]
    fn the_member_goes_and_every_other_byte_stays() {
        for (body, rest, models) in [
            (r#"{"model":"a","fallbacks":["b/c","d"]}"#, r#"{"model":"a"}"#, vec!["b/c", "d"]),
            (r#"{ "fallbacks" : ["x"] , "model":"a"}"#, r#"{ "model":"a"}"#, vec!["x"]),
            (r#" {"fallbacks":[]}"#, r#" {}"#, vec![]),
            (
                r#"{"z":[1,  2.50], "fallbacks": [ {"provider":"p","model":"m/n"}, {"model":"q"} ], "a":null}"#,
                r#"{"z":[1,  2.50], "a":null}"#,
                vec!["p/m/n", "q"],
            ),
            (r#"{"a":1,"fallbacks":null}"#, r#"{"a":1}"#, vec![]),
            (
                r#"{"a":1,"fall\u0062acks":["x"],"b":"\"fallbacks\""}"#,
                r#"{"a":1,"fall\u0062acks":["x"],"b":"\"fallbacks\""}"#,
                vec![],
            ),
            (r#"{"messages":[{"fallbacks":["x"]}]}"#, r#"{"messages":[{"fallbacks":["x"]}]}"#, vec![]),
            (r#"{"model":"fallbacks"}"#, r#"{"model":"fallbacks"}"#, vec![]),
            (r#"{"fallbacks":["x"]"#, r#"{"fallbacks":["x"]"#, vec![]),
            (r#"["fallbacks"]"#, r#"["fallbacks"]"#, vec![]),
        ] {
            assert_eq!(taken(body), (rest.to_owned(), models.into_iter().map(str::to_owned).collect()), "{body}");
        }
    }

    #[test]
    fn a_body_without_the_member_is_not_even_copied() {
        let body = Bytes::from_static(br#"{"model":"a"}"#);
        assert_eq!(take(body.clone()).unwrap().0.as_ptr(), body.as_ptr());
    }

    #[test]
    fn wrong_shapes_are_told_with_their_place() {
        for (body, message) in [
            (r#"{"fallbacks":"x"}"#, "`fallbacks` must be a list"),
            (r#"{"fallbacks":{"a":["b"]}}"#, "`fallbacks` must be a list"),
            (r#"{"fallbacks":["a",7]}"#, "`fallbacks[1]` must be a `provider/model` string or an object"),
            (r#"{"fallbacks":[""]}"#, "`fallbacks[0]` must be"),
            (r#"{"fallbacks":[{"provider":"p"}]}"#, "`fallbacks[0].model` is missing"),
            (r#"{"fallbacks":[{"provider":"p","model":[]}]}"#, "`fallbacks[0].model` must be a non-empty string"),
            (r#"{"fallbacks":[{"provider":"","model":"m"}]}"#, "`fallbacks[0].provider` must be a non-empty string"),
            (r#"{"fallbacks":[{"gpt-4o":["m"]}]}"#, "`fallbacks[0]` may have the members `provider` and `model` only"),
            (r#"{"fallbacks":["1","2","3","4","5","6","7","8","9"]}"#, "`fallbacks` may name at most 8 models"),
            (r#"{"fallbacks":["a"],"fallbacks":["b"]}"#, "`fallbacks` is given twice"),
            (r#"{"fallbacks":[01]}"#, "`fallbacks` is not valid JSON"),
        ] {
            let error = take(Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
            assert!(error.to_string().starts_with(message), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_says_the_same(
            before in proptest::collection::btree_map("[a-e]{1,3}", any::<Option<i32>>(), 0..4),
            after in proptest::collection::btree_map("[g-z]{1,3}", ".{0,5}", 0..4),
            pretty: bool,
        ) {
            let mut whole = serde_json::Map::new();
            whole.extend(before.into_iter().map(|(key, value)| (key, json!(value))));
            let mut rest = whole.clone();
            whole.insert("fallbacks".to_owned(), json!(["p/m"]));
            for (key, value) in after {
                whole.insert(key.clone(), json!(value));
                rest.insert(key, json!(value));
            }
            let body = if pretty { serde_json::to_vec_pretty(&whole) } else { serde_json::to_vec(&whole) }.unwrap();
            let (left, named) = take(Bytes::from(body)).unwrap();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&left).unwrap(), serde_json::Value::Object(rest));
            prop_assert_eq!(named.len(), 1);
        }

        #[test]
        fn never_panics(body in r#"[\{\}\[\]",:a ]{0,12}("fallbacks")?[\{\}\[\]",:a ]{0,12}"#) {
            let _ = take(Bytes::from(body));
        }
    }
}
