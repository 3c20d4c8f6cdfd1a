//! The scan of a request's envelope, and the edits in place: valid JSON stays valid, says what the edit says and nothing
//! else, and bytes that are not edited are the client's.

use bytes::Bytes;
use peerway::operation::Operation;
use peerway::surface::{Call, Envelope, EnvelopeError, Rewrite};
use peerway_dialect::Dialect;
use serde_json::{Map, Value};

use crate::dialect;

/// The dialect, which edits, then the body.
pub(crate) fn run(input: &[u8]) {
    let [of, which, body @ ..] = input else { return };
    let mut call = Call::new(dialect(*of), Operation::Chat);
    if matches!(call.dialect, Dialect::Gemini | Dialect::Bedrock) {
        (call.model, call.stream) = (Some("in the path".to_owned()), Some(which & 16 != 0));
    }
    let valid = serde_json::from_slice::<Value>(body);
    let envelope = match Envelope::scan(&call, body) {
        Ok(envelope) => envelope,
        Err(EnvelopeError::Malformed(malformed)) => {
            assert!(malformed.offset <= body.len());
            let nested = malformed.reason.contains("nest");
            assert!(nested || !valid.is_ok_and(|value| value.is_object()), "valid JSON is refused: {malformed}");
            return;
        }
        Err(error) => return assert!(error.field().is_some()),
    };
    let body = Bytes::copy_from_slice(body);
    let rewrite = Rewrite {
        model: (which & 1 != 0).then_some("a \"model\"\u{7}"),
        ask_for_usage: which & 2 != 0,
        max_output: (which & 4 != 0).then_some(7),
        max_completion_tokens: which & 8 != 0,
    };
    let edited = envelope.rewrite(&body, rewrite);
    // Numbers and literals that are not JSON are the provider's to refuse.
    let Ok(Value::Object(before)) = valid else { return };
    let after: Map<String, Value> = serde_json::from_slice(&edited).unwrap_or_else(|error| {
        panic!("{error}: {} -> {}", String::from_utf8_lossy(&body), String::from_utf8_lossy(&edited))
    });
    if !before.contains_key("fallbacks")
        && rewrite.model.is_none()
        && !rewrite.ask_for_usage
        && rewrite.max_output.is_none()
    {
        assert_eq!(edited.as_ptr(), body.as_ptr(), "no edit, no copy");
    }
    assert!(!after.contains_key("fallbacks"), "the gateway's own business");
    assert_eq!(
        serde_json::from_slice::<Map<String, Value>>(&envelope.cleared(&body)).expect("JSON").get("fallbacks"),
        None
    );
    match call.dialect {
        Dialect::Gemini | Dialect::Bedrock => {}
        _ => assert_eq!(after["model"], rewrite.model.unwrap_or(&envelope.model)),
    }
    let asks = rewrite.ask_for_usage && envelope.stream && !envelope.include_usage;
    if asks {
        assert_eq!(after["stream_options"]["include_usage"], true);
    }
    let again = Envelope::scan(&call, &edited).expect("an edited body can be scanned");
    assert_eq!(again.stream, envelope.stream);
    for (key, value) in &before {
        match key.as_str() {
            "model" | "fallbacks" => {}
            "stream_options" if asks => {
                for (name, option) in value.as_object().into_iter().flatten() {
                    assert!(name == "include_usage" || after["stream_options"].get(name) == Some(option), "{name}");
                }
            }
            _ if rewrite.max_output.is_some() && is_bound(key) => bounded(key, value, &after),
            _ => assert_eq!(after.get(key), Some(value), "{key}"),
        }
    }
}

fn is_bound(key: &str) -> bool {
    [
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "generationConfig",
        "generation_config",
        "inferenceConfig",
    ]
    .contains(&key)
}

/// What holds the bound is as it was but for it: a bound that is given otherwise is left to whoever reserves.
fn bounded(key: &str, before: &Value, after: &Map<String, Value>) {
    let Some(before) = before.as_object() else { return };
    let after = after[key].as_object().expect("an object as before");
    for (name, value) in before {
        let is_bound = ["maxTokens", "maxOutputTokens", "max_output_tokens"].contains(&name.as_str());
        assert!(is_bound || after.get(name) == Some(value), "{key}.{name}");
    }
}
