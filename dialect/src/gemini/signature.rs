//! `thoughtSignature`: base64 in the JSON, and decoded and encoded again by the SDKs on its way through a client.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};

use crate::canonical::{Content, Part, Signature};

use super::HERE;

/// What Google provides for calls that its model did not make.
pub(super) const NOT_CHECKED: &str = "skip_thought_signature_validator";

/// In front of thoughts that only their provider can read.
const REDACTED: &str = "redacted:";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 in the standard alphabet with padding: SDKs write the URL-safe one, which other dialects do not read.
pub(super) fn standard_base64(data: String) -> String {
    let mut data = data;
    if data.contains(['-', '_']) {
        data = data.replace('-', "+").replace('_', "/");
    }
    while !data.is_empty() && !data.len().is_multiple_of(4) && !data.contains(char::is_whitespace) {
        data.push('=');
    }
    data
}

pub(super) fn decode_base64(data: &str) -> Option<Vec<u8>> {
    LENIENT.decode(standard_base64(data.to_owned())).ok()
}

/// The field's text for a signature of any family.
pub(super) fn encode(signature: &Signature) -> String {
    if signature.is_for(HERE) { signature.data.clone() } else { STANDARD.encode(signature.tagged(HERE)) }
}

pub(super) fn encode_redacted(of: crate::Dialect, data: &str) -> String {
    STANDARD.encode(format!("{REDACTED}{of}:{data}"))
}

/// What a `thoughtSignature` is.
pub(super) enum Read {
    Signature(Signature),
    Redacted(Part),
    Nothing,
}

pub(super) fn decode(text: String) -> Read {
    if text.is_empty() || text == NOT_CHECKED {
        return Read::Nothing;
    }
    let plain = decode_base64(&text).and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(plain) = plain {
        let told = Signature::from_tagged(plain.strip_prefix(REDACTED).unwrap_or(&plain), HERE);
        // Untagged text is Gemini's own, by chance readable.
        if told.data.len() < plain.len() {
            if plain.starts_with(REDACTED) {
                return Read::Redacted(Content::RedactedThinking { of: told.of, data: told.data }.into());
            }
            return Read::Signature(told);
        }
    }
    Read::Signature(Signature::new(HERE, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    #[test]
    fn any_signature_survives_a_client_that_decodes_it() {
        for of in Dialect::ALL {
            let signature = Signature::new(of, "EqRk+/8=");
            let wire = encode(&signature);
            let echoed = standard_base64(wire).replace('+', "-").replace('/', "_");
            let Read::Signature(read) = decode(echoed.clone()) else { panic!("{of}: {echoed}") };
            assert!(read.is_for(of), "{of}");
            if of != Dialect::Gemini {
                assert_eq!(read, signature, "{of}");
            }
            let Read::Redacted(part) = decode(encode_redacted(of, "x:y")) else { panic!("{of}") };
            assert_eq!(part.content, Content::RedactedThinking { of, data: "x:y".into() });
        }
    }

    #[test]
    fn base64_becomes_standard() {
        assert_eq!(standard_base64("_-8".into()), "/+8=");
        assert_eq!(standard_base64("AAAA".into()), "AAAA");
        assert_eq!(standard_base64(String::new()), "");
    }
}
