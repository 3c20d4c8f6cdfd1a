//! `extra_fields`: what the headers tell of an answer, once more in its body, for clients that look for it there as
//! Bifrost's do. Only where the configuration wants it; what is put into the cache is without it.

use std::borrow::Cow;
use std::ops::Range;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use memchr::memmem;
use serde::Serialize;

use super::headers::is_of_type;
use crate::dialect::json;

const NAME: &str = "extra_fields";

/// What is told.
#[derive(Debug, Serialize)]
pub(super) struct ExtraFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<&'a str>,
    /// From the request's head to its answer, in milliseconds.
    pub(super) latency: u64,
    /// Of requests that take part in the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_debug: Option<CacheDebug<'a>>,
}

/// How the cache took part.
#[derive(Debug, Serialize)]
pub(super) struct CacheDebug<'a> {
    pub(super) cache_hit: bool,
    /// `direct`, `semantic` or `coalesced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hit_type: Option<&'static str>,
    /// Where the guard was asked; and then what was wanted of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_id: Option<&'a str>,
}

/// The answer with them in its body, if that is a JSON object.
pub(super) async fn added(response: Response, fields: &ExtraFields<'_>) -> Response {
    if !is_of_type(response.headers(), "application/json") {
        return response;
    }
    let Ok(fields) = serde_json::to_string(fields) else { return response };
    let (mut head, body) = response.into_parts();
    // All of it is in memory.
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Response::from_parts(head, Body::from_stream(stream::iter([Err::<Bytes, _>(error)]))),
    };
    let body = with_member(&body, &fields).map_or(body, Bytes::from);
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(body))
}

/// The object with one member more, the last, or in place of one of its name; none if it is no object. Looks at its ends
/// alone, unless the name occurs in it.
fn with_member(object: &[u8], value: &str) -> Option<Vec<u8>> {
    let (open, close) = (object.len() - object.trim_ascii_start().len(), object.trim_ascii_end().len().checked_sub(1)?);
    if object.get(open) != Some(&b'{') || object.get(close) != Some(&b'}') || open == close {
        return None;
    }
    if let Some(before) = member(object) {
        return Some([&object[..before.start], value.as_bytes(), &object[before.end..]].concat());
    }
    let is_empty = object[open + 1..close].trim_ascii().is_empty();
    let comma = if is_empty { "" } else { "," };
    let mut longer = Vec::with_capacity(object.len() + NAME.len() + value.len() + 4);
    longer.extend_from_slice(&object[..close]);
    for part in [comma, "\"", NAME, "\":", value] {
        longer.extend_from_slice(part.as_bytes());
    }
    longer.extend_from_slice(&object[close..]);
    Some(longer)
}

/// The value that another gateway, asked as a provider, has put there.
fn member(object: &[u8]) -> Option<Range<usize>> {
    memmem::find(object, b"\"extra_fields\"")?;
    let mut found = None;
    let told = json::members(object, 0..object.len(), |name: Cow<'_, str>, value| {
        if name == NAME {
            found = Some(value.range);
        }
        Ok(())
    });
    found.filter(|_| told.is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn with(object: &str, value: &str) -> Option<String> {
        with_member(object.as_bytes(), value).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn it_is_the_last_member_and_nothing_else_changes() {
        for (object, expected) in [
            ("{\"a\": 1}", "{\"a\": 1,\"extra_fields\":7}"),
            ("{}", "{\"extra_fields\":7}"),
            (" { \n} \n", " { \n\"extra_fields\":7} \n"),
            ("{\"a\": {\"extra_fields\": 1}}\n", "{\"a\": {\"extra_fields\": 1},\"extra_fields\":7}\n"),
            ("{\"a\": \"\\\"extra_fields\\\": 3\"}", "{\"a\": \"\\\"extra_fields\\\": 3\",\"extra_fields\":7}"),
            ("{\"extra_fields\" : {\"b\": [2]}, \"a\": 1}", "{\"extra_fields\" : 7, \"a\": 1}"),
        ] {
            assert_eq!(with(object, "7").as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for other in ["", " ", "{", "}", "[{}]", "\"{}\"", "null", "{\"a\": 1", "{} []"] {
            assert_eq!(with(other, "7"), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let debug = CacheDebug {
            cache_hit: true,
            hit_type: Some("semantic"),
            similarity: Some(0.912),
            threshold: Some(0.85),
            cache_id: Some("ab"),
        };
        let fields = ExtraFields { provider: Some("p"), model: Some("m"), latency: 12, cache_debug: Some(debug) };
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            "{\"provider\":\"p\",\"model\":\"m\",\"latency\":12,\"cache_debug\":{\"cache_hit\":true,\
             \"hit_type\":\"semantic\",\"similarity\":0.912,\"threshold\":0.85,\"cache_id\":\"ab\"}}"
        );
        let fields = ExtraFields { provider: None, model: None, latency: 0, cache_debug: None };
        assert_eq!(serde_json::to_value(&fields).unwrap(), json!({"latency": 0}));
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_object_and_the_member(
            members in prop::collection::btree_map("[a-z_\"\\\\{}\u{e9}]{0,6}|extra_fields", "[a-z\"{}\\\\ ,]{0,9}", 0..5),
            pretty in any::<bool>(),
        ) {
            let mut object = json!(members);
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let longer = with(&text.unwrap(), "{\"latency\":1}").unwrap();
            object[NAME] = json!({"latency": 1});
            prop_assert_eq!(serde_json::from_str::<Value>(&longer).unwrap(), object);
            prop_assert_eq!(longer.matches("{\"latency\":1}").count(), 1);
        }
    }
}
