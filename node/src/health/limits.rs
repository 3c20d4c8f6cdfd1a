//! What providers say of their own limits, in headers. Times are taken as durations only: a moment would need clocks that
//! agree.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};

use super::Quota;

/// No provider can park our clients for longer.
const MAX_PAUSE: f64 = 600.0;

/// How the limits of one kind are written: limit, remaining, and the time until it is whole again.
const FAMILIES: [[&str; 3]; 6] = [
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining", ""],
    ["anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining", ""],
    ["anthropic-ratelimit-output-tokens-limit", "anthropic-ratelimit-output-tokens-remaining", ""],
    ["x-ratelimit-limit", "x-ratelimit-remaining", ""],
];

/// How all those names begin: of most answers nothing is compared.
const BEGINNINGS: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];

/// The limit that is nearest, if any is stated.
pub fn quota(headers: &HeaderMap) -> Option<Quota> {
    let mut nearest: Option<Quota> = None;
    for (index, [limit, remaining, reset]) in stated(headers)?.into_iter().enumerate() {
        let (Some(limit), Some(remaining)) = (number(limit), number(remaining)) else { continue };
        if limit <= 0.0 || remaining < 0.0 {
            continue;
        }
        let left = (remaining / limit).min(1.0) as f32;
        // What OpenAI and those like it call a limit of requests is one a minute.
        let calls_per_second = (index == 0).then_some((limit / 60.0) as f32);
        let known = nearest.and_then(|quota| quota.calls_per_second).or(calls_per_second);
        let is_nearer = nearest.is_none_or(|quota| left < quota.left);
        let resets_in = if is_nearer { text(reset).and_then(period) } else { None };
        nearest = Some(match nearest {
            Some(quota) if !is_nearer => Quota { calls_per_second: known, ..quota },
            _ => Quota { left, resets_in, calls_per_second: known },
        });
    }
    nearest
}

/// What the headers say of each family. One pass over what is there: to look all the names up takes longer than all else
/// that is done with an answer's head.
fn stated(headers: &HeaderMap) -> Option<[[Option<&HeaderValue>; 3]; FAMILIES.len()]> {
    let mut stated = None;
    for (name, value) in headers {
        if let Some((family, field)) = place(name.as_str()) {
            stated.get_or_insert([[None; 3]; FAMILIES.len()])[family][field].get_or_insert(value);
        }
    }
    stated
}

/// Where in the table a name stands.
fn place(name: &str) -> Option<(usize, usize)> {
    if !BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
        return None;
    }
    let mut families = FAMILIES.iter().enumerate();
    families.find_map(|(family, names)| Some((family, names.iter().position(|known| *known == name)?)))
}

/// Seconds or milliseconds; a date is rare enough to be left out.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds = number(headers.get("retry-after-ms")).map(|ms| ms / 1000.0);
    let seconds = milliseconds.or_else(|| number(headers.get(RETRY_AFTER)))?;
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_PAUSE)))
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok().map(str::trim)
}

fn number(value: Option<&HeaderValue>) -> Option<f64> {
    text(value)?.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `1s`, `6m0s`, `2m59.56s`, `15ms`, or plain seconds.
fn period(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds));
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_nearest_limit_counts() {
        let openai = headers(&[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "540"),
            ("x-ratelimit-reset-requests", "6s"),
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "2500"),
            ("x-ratelimit-reset-tokens", "1m30.5s"),
        ]);
        let resets_in = Some(Duration::from_millis(90_500));
        assert_eq!(quota(&openai), Some(Quota { left: 0.25, resets_in, calls_per_second: Some(10.0) }));
        let anthropic = headers(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T12:00:00Z"),
        ]);
        assert_eq!(quota(&anthropic), Some(Quota { left: 0.0, resets_in: None, calls_per_second: None }));
        assert_eq!(
            quota(&headers(&[("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")])),
            None
        );
        assert_eq!(
            quota(&headers(&[("x-ratelimit-limit-requests", "NaN"), ("x-ratelimit-remaining-requests", "1")])),
            None
        );
        assert_eq!(quota(&HeaderMap::new()), None);
    }

    #[test]
    fn pauses_are_read_and_bounded() {
        let pause = |name, value| retry_after(&headers(&[(name, value)])).map(|pause| pause.as_secs_f64());
        assert_eq!(pause("retry-after", "2"), Some(2.0));
        assert_eq!(pause("retry-after", "0.5"), Some(0.5));
        assert_eq!(pause("retry-after-ms", "1500"), Some(1.5));
        assert_eq!(pause("retry-after", "86400"), Some(600.0));
        assert_eq!(pause("retry-after", "1e300"), Some(600.0));
        assert_eq!((pause("retry-after", "-1"), pause("retry-after", "NaN")), (None, None));
        assert_eq!(pause("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
        let both = headers(&[("retry-after-ms", "5"), ("retry-after", "9")]);
        assert_eq!(retry_after(&both), Some(Duration::from_millis(5)));
    }

    #[test]
    fn periods_of_all_providers() {
        let seconds = |text| period(text).map(|period| period.as_secs_f64());
        assert_eq!(
            ["1s", "6m0s", "2m59.5s", "15ms", "1h2m3s", "7"].map(seconds).map(Option::unwrap),
            [1.0, 360.0, 179.5, 0.015, 3_723.0, 7.0]
        );
        assert_eq!(
            ["", "s", "1x", "1", "2026-11-21T12:00:00Z", "99999999"].map(|text| seconds(text).is_some()),
            [true, false, false, true, false, false]
        );
    }
}
