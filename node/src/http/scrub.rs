//! Takes what looks like a key out of text that comes from a provider: some repeat the key they refuse, and ours is no
//! client's business.

use std::borrow::Cow;

use bytes::Bytes;

/// How keys begin, and how long they are at least.
const PREFIXES: [(&str, usize); 22] = [
    ("sk-", 12),
    ("sk_", 12),
    ("pk-", 12),
    ("rk-", 12),
    ("gsk_", 12),
    ("xai-", 12),
    ("fw_", 12),
    ("r8_", 12),
    ("hf_", 12),
    ("nvapi-", 12),
    ("pplx-", 12),
    ("csk-", 12),
    ("tgp_", 12),
    ("AIza", 20),
    ("AQ.", 20),
    ("ya29.", 12),
    ("eyJ", 24),
    ("AKIA", 16),
    ("ASIA", 16),
    ("ABSK", 20),
    ("bedrock-api-key-", 16),
    ("ghp_", 12),
];
const INSTEAD: &str = "[key]";

/// The text without anything that looks like a key. Borrowed when there is none, which is nearly always.
pub fn text(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut clean = String::new();
    let (mut kept, mut at) = (0, 0);
    while at < bytes.len() {
        if !is_of_key(bytes[at]) {
            at += 1;
            continue;
        }
        let word = bytes[at..].iter().position(|byte| !is_of_key(*byte)).map_or(bytes.len(), |length| at + length);
        // A word is ASCII, so both its ends are between characters.
        if is_key(&text[at..word]) || follows_bearer(&text[..at], word - at) {
            clean.push_str(&text[kept..at]);
            clean.push_str(INSTEAD);
            kept = word;
        }
        at = word;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[kept..]);
    Cow::Owned(clean)
}

/// The same for a body; one that is not text stays as it is.
pub fn body(body: Bytes) -> Bytes {
    let clean = match std::str::from_utf8(&body).map(text) {
        Ok(Cow::Owned(clean)) => Some(clean),
        _ => None,
    };
    clean.map_or(body, Bytes::from)
}

fn is_of_key(byte: u8) -> bool {
    // Providers show keys with stars in their middle.
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'+' | b'~')
}

fn is_key(word: &str) -> bool {
    let by_prefix = PREFIXES.iter().any(|(prefix, least)| word.len() >= *least && word.starts_with(prefix));
    by_prefix || word.len() >= 40 && is_mixed(word)
}

/// Letters of both cases and digits, all through: no word of a language, no id in hexadecimal digits, no date.
fn is_mixed(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let some = word.len() / 10;
    count(u8::is_ascii_uppercase) > some && count(u8::is_ascii_lowercase) > some && count(u8::is_ascii_digit) > some / 2
}

fn follows_bearer(before: &str, length: usize) -> bool {
    let before = before.trim_end_matches([' ', '"', '\'', '`', ':']);
    let word = before.get(before.len().saturating_sub(6)..).unwrap_or_default();
    length >= 8 && word.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_taken_out_and_words_stay() {
        for (given, clean) in [
            (
                "Incorrect API key provided: sk-proj-abcdefghijkl1234. You can find",
                "Incorrect API key provided: [key] You can find",
            ),
            ("key \"sk-ant-api03-AAAABBBBCCCC\" is wrong", "key \"[key]\" is wrong"),
            ("provided: sk-pr************wxyz", "provided: [key]"),
            ("?key=AIzaSyA1234567890abcdefghij&x=1", "?key=[key]&x=1"),
            ("Authorization: Bearer abcdefgh-1234", "Authorization: Bearer [key]"),
            ("token Zk3JvQ9mT2xL8pWc5RbN7yHd4GfS1aUe6KoXiPzM0", "token [key]"),
        ] {
            assert_eq!(text(given), clean);
        }
        for fine in [
            "the model `gpt-4o-mini-2024-07-18` does not exist",
            "sk-8 is a road; the max_completion_tokens_of_this_organisation_is_limited",
            "request 0123456789abcdef0123456789abcdef0123456789abcdef failed",
            "messages[0].content: h\u{e9}llo w\u{f6}rld",
            "bearer of bad news",
        ] {
            assert_eq!(text(fine), fine);
        }
    }

    proptest! {
        #[test]
        fn a_planted_key_never_stays(before in "\\PC{0,40}", secret in "[A-Za-z0-9]{24,48}", after in "\\PC{0,40}") {
            let given = format!("{before} sk-{secret} {after}");
            prop_assert!(!text(&given).contains(&secret));
        }
    }
}
