//! Clients' chat requests: refused, or written for every provider; what a dialect wrote itself it reads back the same.

use peerway::dialect::codec;
use peerway_dialect::canonical::ChatRequest;
use peerway_dialect::openai::chat::Target;
use peerway_dialect::{DecodeError, Dialect, Dropped};

use crate::{dialect, is_json};

/// The dialect, then the body.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, body)) = input.split_first() else { return };
    let client = dialect(which);
    let Ok(decoded) = codec::decode_request(client, body) else { return };
    let mut request = decoded.request;
    // Said in the path.
    if request.model.is_empty() {
        request.model = "claude-gemini-3".to_owned();
    }
    for provider in Dialect::ALL {
        let mut dropped = Dropped::new();
        let Ok(sent) = codec::encode_request(provider, &request, Target::OPENAI, &mut dropped) else { continue };
        assert!(is_json(&sent), "{client} to {provider}: {}", String::from_utf8_lossy(&sent));
        assert!(dropped.header_value().is_none_or(|value| value.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
        settles(provider, &sent, &request);
    }
}

/// What was written for a provider is read as it would be by that provider, and written again the same.
fn settles(provider: Dialect, sent: &[u8], request: &ChatRequest) {
    let read = |body: &[u8]| -> Option<ChatRequest> {
        match codec::decode_request(provider, body).map(|decoded| decoded.request) {
            Ok(mut read) => {
                read.model.clone_from(&request.model);
                Some(read)
            }
            // What was near the limit of nesting is beyond it with what surrounds it in another dialect.
            Err(DecodeError::Malformed { reason }) if reason.contains("nest") => None,
            Err(error) => panic!("{provider} cannot read its own: {error}: {}", String::from_utf8_lossy(body)),
        }
    };
    let write = |request: &ChatRequest| codec::encode_request(provider, request, Target::OPENAI, &mut Dropped::new());
    let Some(first) = read(sent) else { return };
    let again = write(&first).expect("what was sent once can be sent again");
    let Some(second) = read(&again) else { return };
    let third = write(&second).expect("what was sent twice can be sent again");
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&third), "{provider}");
}
