//! Requests ready to be sent: the scenario's kinds with their bodies prepared, and
//! the choice of a kind for each request of the timetable.
//!
//! The choice depends on the request's number alone, so every system and every round
//! gets the same schedule. Prompts of `miss` and `stream` also carry the run's salt,
//! so that no cache has seen them in an earlier run.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use thiserror::Error;

use crate::scenario::{Item, Kind, Scenario, Spread};

const MARK_DIGITS: usize = 16;

/// Why a scenario's request cannot be built.
#[derive(Debug, Error)]
pub(crate) enum MixError {
    #[error("the scenario's header `{name}: {value}` is not a valid HTTP header; correct it")]
    Header { name: String, value: String },
    #[error("the path `{0}` is not a valid URL path; correct `path` in the scenario or the target's URL")]
    Path(String),
}

/// The prepared kinds of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Mix(Arc<[Prepared]>);

#[derive(Debug)]
struct Prepared {
    name: &'static str,
    stream: bool,
    headers: HeaderMap,
    /// The sum of the weights up to and including this kind.
    weight_up_to: u64,
    bodies: Bodies,
}

#[derive(Debug)]
enum Bodies {
    /// One template; the mark at `at` makes each body unique.
    Unique { template: Vec<u8>, at: usize, salt: u64 },
    /// A pool, with the cumulated probability of each body.
    Pool { bodies: Vec<Bytes>, up_to: Vec<f64> },
}

/// One request to send.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) kind: usize,
    pub(crate) stream: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Mix {
    /// Prepares the bodies; `model` goes before the scenario's models.
    pub(crate) fn prepare(scenario: &Scenario, model: Option<&str>, salt: u64) -> Result<Mix, MixError> {
        let mut weight_up_to = 0;
        let mut kinds = Vec::with_capacity(scenario.mix.len());
        for item in scenario.mix.iter().map(|item| &item.value) {
            weight_up_to += u64::from(item.weight);
            let model = model.or(item.model.as_deref()).unwrap_or(&scenario.model);
            kinds.push(Prepared {
                name: item.name(),
                stream: item.kind == Kind::Stream,
                headers: headers(scenario, item)?,
                weight_up_to,
                bodies: bodies(item, model, salt),
            });
        }
        Ok(Mix(kinds.into()))
    }

    /// The kinds, in the scenario's order: name and whether it streams.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, bool)> {
        self.0.iter().map(|kind| (kind.name, kind.stream)).collect()
    }

    /// The request with the number `index`.
    pub(crate) fn ask(&self, index: u64) -> Option<Ask> {
        let total = self.0.last()?.weight_up_to;
        let dice = scramble(index);
        let pick = dice % total;
        let kind = self.0.iter().position(|kind| pick < kind.weight_up_to)?;
        let prepared = &self.0[kind];
        let body = prepared.bodies.body(index, scramble(dice));
        Some(Ask { kind, stream: prepared.stream, headers: prepared.headers.clone(), body })
    }
}

impl Bodies {
    fn body(&self, index: u64, dice: u64) -> Bytes {
        match self {
            Bodies::Unique { template, at, salt } => {
                let mut body = template.clone();
                write_mark(&mut body[*at..*at + MARK_DIGITS], salt ^ index);
                Bytes::from(body)
            }
            Bodies::Pool { bodies, up_to } => {
                let point = (dice >> 11) as f64 / (1u64 << 53) as f64;
                let pick = up_to.partition_point(|up_to| *up_to <= point).min(bodies.len() - 1);
                bodies[pick].clone()
            }
        }
    }
}

/// The path a target's base path and the scenario's path make together.
pub(crate) fn path(base: &str, scenario: &Scenario) -> Result<Uri, MixError> {
    let path = format!("{}/{}", base.trim_end_matches('/'), scenario.path.trim_start_matches('/'));
    path.parse().map_err(|_| MixError::Path(path))
}

fn headers(scenario: &Scenario, item: &Item) -> Result<HeaderMap, MixError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let bearer = scenario.key.iter().map(|key| (AUTHORIZATION.as_str(), format!("Bearer {key}")));
    let cache = item.cache_key.iter().map(|key| ("x-peerway-cache-key", key.clone()));
    let given = scenario.headers.iter().chain(&item.headers).map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in bearer.chain(cache).chain(given) {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(&value));
        let (Ok(header), Ok(content)) = parsed else {
            return Err(MixError::Header { name: name.to_owned(), value });
        };
        headers.insert(header, content);
    }
    Ok(headers)
}

fn bodies(item: &Item, model: &str, salt: u64) -> Bodies {
    let template = body(item, model);
    // The mark is the first thing in the prompt, so no two prompts share a prefix.
    let at = memchr::memmem::find(&template, &[b'0'; MARK_DIGITS]).unwrap_or(0);
    if item.kind != Kind::Repeat {
        return Bodies::Unique { template, at, salt };
    }
    let pool = item.pool.unwrap_or(100);
    let bodies = (0..pool as u64)
        .map(|k| {
            let mut body = template.clone();
            write_mark(&mut body[at..at + MARK_DIGITS], scramble(k));
            Bytes::from(body)
        })
        .collect();
    let share = |k: usize| if item.spread == Some(Spread::Uniform) { 1.0 } else { 1.0 / (k + 1) as f64 };
    let whole: f64 = (0..pool).map(share).sum();
    let up_to = (0..pool)
        .scan(0.0, |sum, k| {
            *sum += share(k) / whole;
            Some(*sum)
        })
        .collect();
    Bodies::Pool { bodies, up_to }
}

fn body(item: &Item, model: &str) -> Vec<u8> {
    const WORDS: &str = " The harbour master wrote down every ship, its cargo and the hour of the tide.";
    let mut prompt = "0".repeat(MARK_DIGITS);
    while prompt.len() < item.prompt_bytes {
        prompt.push_str(WORDS);
    }
    prompt.truncate(item.prompt_bytes.max(MARK_DIGITS));
    let message = serde_json::json!([{ "role": "user", "content": prompt }]);
    let model = serde_json::Value::from(model);
    let stream =
        if item.kind == Kind::Stream { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
    // The prompt comes before the model: a model name of zeros would be taken for the mark.
    format!(r#"{{"messages":{message},"model":{model},"max_tokens":{}{stream}}}"#, item.max_tokens).into_bytes()
}

fn write_mark(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// SplitMix64: a fast, well spread function of its input.
pub(crate) fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn mix(text: &str, model: Option<&str>, salt: u64) -> Mix {
        Mix::prepare(&Scenario::parse("x", text).unwrap(), model, salt).unwrap()
    }

    #[test]
    fn kinds_come_by_their_weights_and_the_same_in_every_run() {
        let text = "mix: [{kind: miss, weight: 6}, {kind: repeat, weight: 3}, {kind: stream, weight: 1}]";
        let (one, two) = (mix(text, None, 1), mix(text, None, 2));
        let mut counts = [0u32; 3];
        for index in 0..20_000 {
            let ask = one.ask(index).unwrap();
            assert_eq!(ask.kind, two.ask(index).unwrap().kind);
            assert_eq!(ask.stream, ask.kind == 2);
            counts[ask.kind] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.6, 0.3, 0.1]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn a_miss_never_comes_twice_not_even_in_the_next_run() {
        let text = "mix: [{kind: miss, prompt_bytes: 64}]";
        let (one, two) = (mix(text, None, scramble(1)), mix(text, None, scramble(2)));
        let seen: HashSet<Bytes> =
            (0..5000).flat_map(|i| [one.ask(i).unwrap().body, two.ask(i).unwrap().body]).collect();
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn bodies_are_requests_of_the_asked_size_with_key_cache_key_and_model() {
        let text = "key: k\nmix: [{kind: stream, prompt_bytes: 500, cache_key: c, headers: {x-a: b}}]";
        let ask = mix(text, Some("other/model"), 7).ask(3).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&ask.body).unwrap();
        assert_eq!(body["messages"][0]["content"].as_str().unwrap().len(), 500);
        assert_eq!((body["model"].as_str(), body["stream"].as_bool()), (Some("other/model"), Some(true)));
        assert_eq!(ask.headers["authorization"], "Bearer k");
        assert_eq!(
            (&ask.headers["x-peerway-cache-key"], &ask.headers["x-a"]),
            (&"c".parse().unwrap(), &"b".parse().unwrap())
        );
    }

    #[test]
    fn a_pool_is_picked_evenly_or_by_zipf() {
        let count = |spread: &str| {
            let mix = mix(&format!("mix: [{{kind: repeat, pool: 50, prompt_bytes: 20, spread: {spread}}}]"), None, 0);
            let mut counts: HashMap<Bytes, u32> = HashMap::new();
            (0..50_000).for_each(|i| *counts.entry(mix.ask(i).unwrap().body).or_default() += 1);
            let mut counts: Vec<u32> = counts.into_values().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            counts
        };
        let (uniform, zipf) = (count("uniform"), count("zipf"));
        assert_eq!((uniform.len(), zipf.len()), (50, 50));
        assert!(uniform[0] < 1300);
        // 1 / H(50) = 0.222 of all, and twice as often as the second.
        assert!((10_500..11_800).contains(&zipf[0]) && zipf[1] * 2 < zipf[0] + 900, "{zipf:?}");
    }

    #[test]
    fn a_bad_header_is_named() {
        let scenario = Scenario::parse("x", "headers: {'a b': c}\nmix: [{kind: miss}]").unwrap();
        assert!(Mix::prepare(&scenario, None, 0).unwrap_err().to_string().contains("a b"));
    }
}
