//! How long a client waits for an answer to begin: nobody works for one who has hung up.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::config::Period;

static TIMEOUT: HeaderName = HeaderName::from_static("x-peerway-timeout");
static BF_TIMEOUT: HeaderName = HeaderName::from_static("x-bf-timeout");
static READ_TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-read-timeout");

/// Longer than this is as good as no bound.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// By `x-peerway-timeout` (`30s`, `500ms` or seconds), else by what OpenAI's and Anthropic's SDKs tell of their own
/// read timeout.
pub(super) fn of(headers: &HeaderMap) -> Option<Instant> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let ours = text(&TIMEOUT).or_else(|| text(&BF_TIMEOUT));
    let period = ours.and_then(read).or_else(|| text(&READ_TIMEOUT).and_then(seconds))?;
    (!period.is_zero() && period < LONGEST).then(|| Instant::now() + period)
}

fn read(text: &str) -> Option<Duration> {
    seconds(text).or_else(|| text.parse().map(Period::get).ok())
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_say() {
        for (text, expected) in [
            ("30", Some(Duration::from_secs(30))),
            ("0.5", Some(Duration::from_millis(500))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2m", Some(Duration::from_secs(120))),
            ("soon", None),
            ("-1", None),
            ("inf", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(of(&HeaderMap::new()).is_none());
    }
}
