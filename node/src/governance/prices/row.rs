//! The format of a price file, the built-in one included: one row a model, dollars per million tokens as decimals.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::config::Problem;
use crate::governance::{Limits, MoneyError, NanoUsd, Price, Rates};

/// Dearer than a dollar a token is a slip of the pen.
const DEAREST: u64 = 1_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    #[serde(default)]
    pub(super) models: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) provider: String,
    pub(super) model: String,
    input: Dollars,
    cached_input: Option<Dollars>,
    cache_write: Option<Dollars>,
    audio_input: Option<Dollars>,
    image_input: Option<Dollars>,
    output: Dollars,
    reasoning: Option<Dollars>,
    audio_output: Option<Dollars>,
    /// For prompts that are longer.
    long: Option<Long>,
    /// For each answered request.
    request: Option<Dollars>,
    batch_percent: Option<u8>,
    context: Option<u64>,
    max_output_tokens: Option<u64>,
    pub(super) source: Option<String>,
    pub(super) date: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    /// Prompt tokens.
    over: u64,
    input: Dollars,
    cached_input: Option<Dollars>,
    cache_write: Option<Dollars>,
    output: Dollars,
}

/// Read from the digits as they are written, quoted or not: no float in between.
#[derive(Debug, Clone, Copy)]
struct Dollars(NanoUsd);

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sum: NanoUsd = text.parse().map_err(|error: MoneyError| format!("{error}; {}", error.hint()))?;
        if sum.get() / 1_000_000_000 > DEAREST {
            return Err(format!("more than {DEAREST} dollars per million tokens"));
        }
        Ok(Self(sum))
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PriceFile {
    /// What is wrong with rows that are well formed.
    pub(super) fn judge(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |index: usize, key: &str, message: String| {
            problems.push(Problem { path: format!("models[{index}].{key}"), message, hint: None });
        };
        let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, row) in self.models.iter().enumerate() {
            for (key, name) in [("provider", &row.provider), ("model", &row.model)] {
                if name.is_empty() {
                    problem(index, key, format!("the {key} is empty"));
                }
            }
            if let Some(first) = seen.insert((&row.provider, &row.model), index) {
                let name = format!("{}/{}", row.provider, row.model);
                problem(index, "model", format!("`{name}` has a price already, at models[{first}]"));
            }
            if row.batch_percent.is_some_and(|percent| percent > 100) {
                problem(index, "batch_percent", "a batch pays at most 100 percent".to_owned());
            }
            if row.source.as_deref() == Some("") {
                problem(index, "source", "the source is empty".to_owned());
            }
            if row.date.as_deref().is_some_and(|date| !is_date(date)) {
                problem(index, "date", "not a date; write e.g. 2026-11-21 or 2026-11".to_owned());
            }
        }
        problems
    }
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number =
        |digits: usize| parts.next().filter(|part| part.len() == digits).and_then(|part| part.parse::<u16>().ok());
    let month = number(4).and_then(|_| number(2));
    let day = if text.len() == 7 { Some(1) } else { number(2) };
    let ends = parts.next().is_none();
    ends && month.is_some_and(|month| (1..=12).contains(&month)) && day.is_some_and(|day| (1..=31).contains(&day))
}

impl Row {
    /// What is not priced apart is billed as the larger kind that it is part of.
    pub(super) fn price(&self) -> Price {
        let or = |own: Option<Dollars>, larger: Dollars| own.unwrap_or(larger).0;
        let rates = Rates {
            input: self.input.0,
            cached_input: or(self.cached_input, self.input),
            cache_write: or(self.cache_write, self.input),
            audio_input: or(self.audio_input, self.input),
            image_input: or(self.image_input, self.input),
            output: self.output.0,
            reasoning: or(self.reasoning, self.output),
            audio_output: or(self.audio_output, self.output),
        };
        let long = self.long.as_ref().map(|long| {
            let rates = Rates {
                input: long.input.0,
                cached_input: or(long.cached_input, long.input),
                cache_write: or(long.cache_write, long.input),
                audio_input: or(self.audio_input, long.input).max(long.input.0),
                image_input: or(self.image_input, long.input).max(long.input.0),
                output: long.output.0,
                reasoning: or(self.reasoning, long.output).max(long.output.0),
                audio_output: or(self.audio_output, long.output).max(long.output.0),
            };
            (long.over, rates)
        });
        Price {
            rates,
            long,
            request: self.request.map_or(NanoUsd::ZERO, |fee| fee.0),
            // Nothing known of a discount is no discount.
            batch_percent: self.batch_percent.unwrap_or(100),
            limits: Limits { context: self.context, max_output_tokens: self.max_output_tokens },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_a_month_or_a_day() {
        for good in ["2026-11", "2026-11-21"] {
            assert!(is_date(good), "{good}");
        }
        for bad in ["", "2026", "2026-13", "2026-11-32", "26-11-21", "2026-11-21-01", "2026-1-21", "21.11.2026"] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
