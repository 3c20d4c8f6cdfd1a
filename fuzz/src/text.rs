//! What stands in headers and paths: signatures that clients present, the models in Gemini's and Bedrock's paths.

use peerway_dialect::bedrock::sigv4::{Credentials, Scope, ToSign, parse_authorization, sign};
use peerway_dialect::bedrock::{decode_model_id, encode_model_id};
use peerway_dialect::gemini::Call;

/// Which function, then the text.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match which % 4 {
        0 => {
            if let Some(told) = parse_authorization(text) {
                assert!(!told.access_key_id.is_empty() && told.date.len() == 8, "{told:?}");
            }
        }
        1 => {
            let Ok(id) = decode_model_id(text) else { return };
            let escaped = encode_model_id(&id);
            assert!(escaped.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'), "{escaped}");
            assert_eq!(decode_model_id(&escaped), Ok(id));
        }
        2 => {
            let Some(call) = Call::parse(text) else { return };
            let path = call.provider_path();
            assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
            assert_eq!(path.matches('?').count(), usize::from(path.ends_with("?alt=sse")), "{path}");
            assert!(!path.contains("/../") && !path.contains('#'), "{path}");
        }
        _ => {
            let (path, query) = text.split_once('?').unwrap_or((text, ""));
            let request = ToSign { method: "POST", path, query, headers: &[("host", text)], body: text.as_bytes() };
            let credentials = Credentials { access_key_id: "AKID", secret_access_key: text, session_token: None };
            let scope = Scope { region: "us-east-1", service: "bedrock", unix_seconds: 1_795_000_000 };
            let signed = sign(&request, &credentials, &scope);
            let read = parse_authorization(&signed.authorization).expect("its own");
            assert_eq!((read.access_key_id, read.signed_headers), ("AKID", "host;x-amz-date"));
        }
    }
}
