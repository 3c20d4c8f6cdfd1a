//! How long an answer or a token takes: a fixed time or a distribution.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::random::Random;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874;
/// Nothing waits longer than this, whatever a distribution's tail says.
const LONGEST: Duration = Duration::from_secs(600);

/// Written `50ms`, `uniform:20ms..80ms` or `lognormal:50ms,p99=200ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    Fixed(Duration),
    Uniform {
        from: Duration,
        to: Duration,
    },
    /// What real providers look like: most answers near the median, a long tail.
    Lognormal {
        median: Duration,
        p99: Duration,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

impl Latency {
    pub(crate) fn sample(&self, random: &Random) -> Duration {
        match *self {
            Self::Fixed(duration) => duration,
            Self::Uniform { from, to } => from + to.saturating_sub(from).mul_f64(random.unit()),
            Self::Lognormal { median, p99 } => {
                let sigma = (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99;
                // Box-Muller; 1 - u keeps the logarithm's argument above 0.
                let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
                let seconds = median.as_secs_f64() * (sigma * normal).exp();
                Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64()))
            }
        }
    }
}

/// Why a text is not a latency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    #[error("`{0}` is not a latency; write `50ms`, `uniform:20ms..80ms` or `lognormal:50ms,p99=200ms`")]
    Form(String),
    #[error("`{0}` is not a duration; write e.g. `500us`, `50ms` or `2s`")]
    Duration(String),
    #[error("`{0}`: the second value must not be less than the first, and a lognormal median must be above 0")]
    Order(String),
    #[error("`{0}` is longer than 600s")]
    TooLong(String),
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let form = || LatencyError::Form(text.to_owned());
        let order = || LatencyError::Order(text.to_owned());
        if let Some(range) = text.strip_prefix("uniform:") {
            let (from, to) = range.split_once("..").ok_or_else(form)?;
            let (from, to) = (duration(from)?, duration(to)?);
            if to < from {
                return Err(order());
            }
            return Ok(Self::Uniform { from, to });
        }
        if let Some(shape) = text.strip_prefix("lognormal:") {
            let (median, p99) = shape.split_once(',').ok_or_else(form)?;
            let p99 = p99.trim().strip_prefix("p99=").ok_or_else(form)?;
            let (median, p99) = (duration(median)?, duration(p99)?);
            if median.is_zero() || p99 < median {
                return Err(order());
            }
            return Ok(Self::Lognormal { median, p99 });
        }
        if text.contains(':') {
            return Err(form());
        }
        duration(text).map(Self::Fixed)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(duration) => write!(f, "{duration:?}"),
            Self::Uniform { from, to } => write!(f, "uniform:{from:?}..{to:?}"),
            Self::Lognormal { median, p99 } => write!(f, "lognormal:{median:?},p99={p99:?}"),
        }
    }
}

fn duration(text: &str) -> Result<Duration, LatencyError> {
    let text = text.trim();
    let wrong = || LatencyError::Duration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds_each = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from_secs_f64(number * seconds_each).map_err(|_| wrong())?;
    if duration > LONGEST { Err(LatencyError::TooLong(text.to_owned())) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["50ms", "1.5s", "500µs", "uniform:20ms..80ms", "lognormal:50ms,p99=200ms"] {
            let latency: Latency = text.parse().unwrap();
            assert_eq!(latency.to_string(), text);
        }
        assert_eq!("0".parse(), Ok(Latency::Fixed(Duration::ZERO)));
        assert_eq!("500us".parse(), Ok(Latency::Fixed(Duration::from_micros(500))));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for text in [
            "",
            "50",
            "50 parsecs",
            "uniform:5ms",
            "uniform:9ms..5ms",
            "lognormal:5ms",
            "lognormal:0,p99=1s",
            "normal:5ms",
            "9999s",
            "-5ms",
        ] {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }

    #[test]
    fn lognormal_has_its_median_and_p99() {
        let latency: Latency = "lognormal:50ms,p99=200ms".parse().unwrap();
        let random = Random::new(7);
        let mut samples: Vec<_> = (0..100_000).map(|_| latency.sample(&random).as_secs_f64() * 1e3).collect();
        samples.sort_by(f64::total_cmp);
        assert!((samples[50_000] - 50.0).abs() < 1.0, "median {}", samples[50_000]);
        assert!((samples[99_000] - 200.0).abs() < 12.0, "p99 {}", samples[99_000]);
    }

    #[test]
    fn uniform_stays_within() {
        let latency: Latency = "uniform:20ms..80ms".parse().unwrap();
        let random = Random::new(7);
        let samples: Vec<_> = (0..10_000).map(|_| latency.sample(&random).as_millis()).collect();
        assert!(samples.iter().all(|sample| (20..=80).contains(sample)));
        assert!(samples.iter().any(|sample| *sample < 25) && samples.iter().any(|sample| *sample > 75));
    }
}
