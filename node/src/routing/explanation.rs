//! Why a request's targets are tried in this order, for whoever asked: in a header of the answer, or from the admin API.

use std::fmt::Write;

use http::HeaderValue;
use serde::Serialize;
use utoipa::ToSchema;

/// Longest header. Servers and proxies take 8 KiB for all headers together, some of them 4.
const LONGEST: usize = 3_072;

/// The order in which a request's targets are tried, and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// The alias, or the provider of a model that was asked for directly.
    pub route: String,
    /// How the route orders its targets.
    pub strategy: &'static str,
    /// Whether the order is that of a session.
    pub session: bool,
    /// Those that are tried in their order, then those that are passed over.
    pub candidates: Vec<Considered>,
    /// Candidates beyond these, where the list is cut short.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// A target that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Considered {
    /// `provider/model`.
    pub target: String,
    /// `target`, `request_fallback`, `route_fallback`, or `context_fallback`.
    pub role: &'static str,
    /// From 1 on; none: it is passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// Why it has this place or none.
    pub why: String,
    /// As configured, times what its key makes of it.
    pub weight: f64,
    /// Its chance of being the first, where that goes by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Above zero and at most 1.
    pub health: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Requests of this node that it has not answered yet.
    pub in_flight: u32,
    /// The most that the request may cost there, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// The model's context window in tokens, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// The id of the provider's key that the session sticks to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Explanation {
    /// Of the targets that had a place, some have none any more.
    pub(super) fn pass_over(&mut self, kept: &[bool], why: &str) {
        let mut kept = kept.iter();
        let mut place = 0;
        for candidate in self.candidates.iter_mut().filter(|candidate| candidate.place.is_some()) {
            candidate.place = (kept.next() == Some(&true)).then(|| {
                place += 1;
                place
            });
            if candidate.place.is_none() {
                why.clone_into(&mut candidate.why);
            }
        }
        self.candidates.sort_by_key(|candidate| candidate.place.unwrap_or(usize::MAX));
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The explanation as a header: JSON in ASCII, cut to as many candidates as there is room for.
pub fn header_value(explanation: &Explanation) -> Option<HeaderValue> {
    let mut cut = explanation.clone();
    loop {
        let text = ascii(&serde_json::to_string(&cut).ok()?);
        if text.len() <= LONGEST {
            return HeaderValue::try_from(text).ok();
        }
        cut.candidates.pop()?;
        cut.more += 1;
    }
}

/// Other characters only ever stand in JSON's strings, where they may be written as escapes.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(names: impl IntoIterator<Item = String>) -> Explanation {
        let candidates = names.into_iter().map(|target| Considered {
            target,
            role: "target",
            place: Some(1),
            why: "drawn by weight".to_owned(),
            weight: 1.0,
            share: None,
            health: 1.0,
            latency_ms: None,
            in_flight: 0,
            cost_usd: None,
            context: None,
            key: None,
        });
        let candidates = candidates.collect();
        Explanation { route: "smart".to_owned(), strategy: "weighted", session: false, candidates, more: 0 }
    }

    #[test]
    fn a_header_is_ascii_and_means_the_same() {
        let names = ["p/grün".to_owned(), "p/\u{1F600}\u{7f}\n\"".to_owned()];
        let value = header_value(&explanation(names.clone())).unwrap();
        let text = value.to_str().unwrap();
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        let found = read["candidates"].as_array().unwrap().iter().map(|one| one["target"].as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), names);
        assert_eq!(read["more"], serde_json::Value::Null);
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let value = header_value(&explanation((0..200).map(|index| format!("provider/model-{index}")))).unwrap();
        assert!(value.len() <= LONGEST && value.len() > LONGEST / 2, "{}", value.len());
        let read: serde_json::Value = serde_json::from_str(value.to_str().unwrap()).unwrap();
        let shown = read["candidates"].as_array().unwrap().len();
        assert_eq!(read["more"], 200 - shown);
        assert_eq!(header_value(&explanation(["x".repeat(9_000)])).unwrap().len(), 80, "the rest of it still fits");
    }
}
