//! Whose models a provider serves, and what a model is called without its date.

use http::Uri;

use crate::config::{Provider, ProviderKind};
use crate::provider::table::row;

/// Hosts whose models and prices are their vendor's own. A provider's *name* is the operator's choice and says nothing:
/// what answers at another address may charge anything.
const VENDORS: [(&str, &str); 8] = [
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("api.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("api.x.ai", "xai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
];

/// The vendor whose prices hold at a provider: by its type where that settles it, else by its host.
pub(super) fn vendor(provider: &Provider) -> Option<&'static str> {
    if provider.kind == ProviderKind::Simulated {
        return Some("simulated");
    }
    let uri: Uri = provider.base_url.as_deref().or(row(provider.kind).base_url)?.parse().ok()?;
    let host = uri.host()?;
    VENDORS.iter().find(|(known, _)| known.eq_ignore_ascii_case(host)).map(|(_, vendor)| *vendor)
}

/// The name without one date at its end: `-YYYY-MM-DD` or `-YYYYMMDD` of this century, and nothing else. Shorter
/// numbers (`-0125`, `-2411`) and words (`-latest`, `-preview`) stay, as models that differ in these differ in price.
pub(super) fn undated(model: &str) -> Option<&str> {
    const FORMS: [&str; 2] = ["-dddd-dd-dd", "-dddddddd"];
    FORMS.iter().find_map(|form| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(form.len())?)?;
        let fits = |(form, byte): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
        let digits: Vec<u8> = date.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        let number = |range: std::ops::Range<usize>| digits.get(range).map(|d| d.iter().fold(0_u8, |n, d| n * 10 + d));
        let is_date = form.bytes().zip(date.bytes()).all(fits)
            && number(0..2) == Some(20)
            && number(4..6).is_some_and(|month| (1..=12).contains(&month))
            && number(6..8).is_some_and(|day| (1..=31).contains(&day));
        (is_date && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_dates_are_left_out() {
        for (model, name) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5")),
            ("m-2024-08-06-2024-08-06", Some("m-2024-08-06")),
            ("gpt-4o", None),
            ("gpt-3.5-turbo-0125", None),
            ("mistral-large-2411", None),
            ("codestral-latest", None),
            ("m-2024-13-06", None),
            ("m-2024-00-06", None),
            ("m-20241232", None),
            ("m-19991231", None),
            ("m_2024-08-06", None),
            ("-2024-08-06", None),
            ("m-2024-08-06-preview", None),
            ("", None),
        ] {
            assert_eq!(undated(model), name, "{model}");
        }
    }

    #[test]
    fn a_vendor_is_known_by_type_or_host_and_never_by_name() {
        let vendor = |kind: &str, base_url: Option<&str>| {
            let provider = serde_json::json!({ "name": "openai", "type": kind, "base_url": base_url });
            vendor(&serde_json::from_value(provider).unwrap())
        };
        assert_eq!(vendor("openai", None), Some("openai"));
        assert_eq!(vendor("openai", Some("https://API.openai.com:443/v1")), Some("openai"));
        assert_eq!(vendor("openai", Some("https://proxy.example/v1")), None);
        assert_eq!(vendor("openai_compatible", Some("https://api.groq.com/openai/v1")), Some("groq"));
        assert_eq!(vendor("openai_compatible", Some("https://api.openai.com.evil.example/v1")), None);
        assert_eq!(vendor("openai_compatible", Some("http://127.0.0.1:11434/v1")), None);
        assert_eq!(vendor("simulated", Some("http://127.0.0.1:8280/v1")), Some("simulated"));
    }

    proptest! {
        #[test]
        fn never_panics(model in ".{0,30}") {
            if let Some(name) = undated(&model) {
                prop_assert!(model.starts_with(name));
            }
        }
    }
}
