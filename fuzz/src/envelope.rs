//! The scan of a request's envelope, and the edits in place: valid JSON stays valid, says what the edit says and nothing
//! else, and bytes that are not edited are the client's.

use bytes::Bytes;
use peerway::dialect::openai::{Envelope, EnvelopeError, Rewrite};
use serde_json::{Map, Value};

/// Which edits, then the body.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, body)) = input.split_first() else { return };
    let valid = serde_json::from_slice::<Value>(body);
    let envelope = match Envelope::scan(body) {
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
    assert_eq!(envelope.rewrite(&body, Rewrite::default()).as_ptr(), body.as_ptr(), "no edit, no copy");
    let rewrite = Rewrite {
        model: (which & 1 != 0).then_some("a \"model\"\u{7}"),
        ask_for_usage: which & 2 != 0,
        max_output: (which & 4 != 0).then_some(("max_tokens", 7)),
    };
    let edited = envelope.rewrite(&body, rewrite);
    // Numbers and literals that are not JSON are the provider's to refuse.
    let Ok(Value::Object(before)) = valid else { return };
    let after: Map<String, Value> = serde_json::from_slice(&edited).unwrap_or_else(|error| {
        panic!("{error}: {} -> {}", String::from_utf8_lossy(&body), String::from_utf8_lossy(&edited))
    });
    assert_eq!(after["model"], rewrite.model.unwrap_or(&envelope.model));
    let asks = rewrite.ask_for_usage && envelope.stream;
    if asks {
        assert_eq!(after["stream_options"]["include_usage"], true);
    }
    let again = Envelope::scan(&edited).expect("an edited body can be scanned");
    assert_eq!((again.stream, again.n, again.has_tools), (envelope.stream, envelope.n, envelope.has_tools));
    for (key, value) in &before {
        match key.as_str() {
            "model" => {}
            "stream_options" if asks => {
                for (name, option) in
                    value.as_object().into_iter().flatten().filter(|(name, _)| *name != "include_usage")
                {
                    assert_eq!(after["stream_options"].get(name), Some(option));
                }
            }
            "max_tokens" if rewrite.max_output.is_some() => {}
            _ => assert_eq!(after.get(key), Some(value), "{key}"),
        }
    }
    if !asks && rewrite.max_output.is_none() {
        // One edit: what stands before and behind it is the client's, byte for byte.
        let front = body.iter().zip(&edited).take_while(|(before, after)| before == after).count();
        let back = body.iter().rev().zip(edited.iter().rev()).take_while(|(before, after)| before == after).count();
        let longest = serde_json::to_string(&rewrite.model).map_or(0, |name| name.len());
        assert!(edited.len() <= front + back + longest, "more than the model has changed");
    }
}
