//! Model ids in paths: `/model/{id}/converse`, where `:` and the `/` of an ARN are escaped.

use std::fmt::Write as _;

/// A path segment that is no model id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadModelId {
    #[error("the model id in the path is empty")]
    Empty,
    #[error("the model id in the path has a `%` that is not followed by two hexadecimal digits")]
    Escape,
    #[error("the model id in the path is not UTF-8 or holds control characters")]
    Characters,
}

/// The model id that a path segment stands for: escapes are resolved once, `+` is a plus.
pub fn decode_model_id(segment: &str) -> Result<String, BadModelId> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let ([high, low], after) = rest.split_first_chunk().ok_or(BadModelId::Escape)?;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return Err(BadModelId::Escape) };
        bytes.push(high * 16 + low);
        rest = after;
    }
    let id = String::from_utf8(bytes).map_err(|_| BadModelId::Characters)?;
    if id.is_empty() {
        return Err(BadModelId::Empty);
    }
    if id.chars().any(char::is_control) { Err(BadModelId::Characters) } else { Ok(id) }
}

/// The segment for a model id: all but RFC 3986's unreserved characters escaped, as AWS's SDKs do.
pub fn encode_model_id(id: &str) -> String {
    let mut segment = String::with_capacity(id.len() + 8);
    escape(id.as_bytes(), &mut segment);
    segment
}

/// Appends `bytes` with all but the unreserved characters escaped.
pub(super) fn escape(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // A String takes all that is written to it.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_sdks_send() {
        for (segment, id) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1%3A0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("anthropic.claude-v2:1", "anthropic.claude-v2:1"),
            ("openai%2fgpt-5", "openai/gpt-5"),
            ("a%2520b+c", "a%20b+c"),
            ("%C3%A9", "é"),
        ] {
            assert_eq!(decode_model_id(segment).as_deref(), Ok(id));
        }
        let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0";
        let segment = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-pro-v1%3A0";
        assert_eq!(encode_model_id(arn), segment);
        assert_eq!(decode_model_id(segment).as_deref(), Ok(arn));
    }

    #[test]
    fn refuses_what_is_no_id() {
        for (segment, error) in [
            ("", BadModelId::Empty),
            ("a%", BadModelId::Escape),
            ("a%3", BadModelId::Escape),
            ("a%+3", BadModelId::Escape),
            ("a%0d%0ab", BadModelId::Characters),
            ("%ff", BadModelId::Characters),
        ] {
            assert_eq!(decode_model_id(segment), Err(error), "{segment}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn comes_back(id in r"\PC{1,40}") {
            prop_assert_eq!(decode_model_id(&encode_model_id(&id)), Ok(id));
        }
    }
}
