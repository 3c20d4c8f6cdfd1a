//! Fault rules as people write them: which requests (`match`), and what happens to them (`do`).

use serde::{Deserialize, Serialize};

const MOST_RULES: usize = 256;

/// One rule. The first rule whose `match` takes a request acts on it; later ones do not see it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(rename = "match", default)]
    pub matching: Match,
    #[serde(rename = "do")]
    pub effect: Effect,
}

/// Every field narrows; an empty match takes every request to a dialect route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The whole bearer key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Share of the requests that fit so far, 0 to 1; which ones follows from the seed and their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Only the first so many of the requests that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// What happens; fields may be combined.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effect {
    /// Answers with this error status (400 to 599) in the dialect's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// With `status`: sends `retry-after` (seconds, rounded up) and `retry-after-ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Answers chats with this text in place of the echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Time to the answer, to the first token or to the error, instead of the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Gap between tokens instead of the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ms: Option<u64>,
    /// Takes the request and never answers.
    #[serde(skip_serializing_if = "is_false")]
    pub hang: bool,
    /// Ends the connection after so many events, without the end of the body. A plain answer is cut in its middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after_events: Option<u64>,
    /// After so many events sends an error event and ends the stream without `[DONE]`. Streams only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_event_after: Option<u64>,
    /// Breaks the JSON: of the whole answer, or of a stream's third event.
    #[serde(skip_serializing_if = "is_false")]
    pub malformed: bool,
    /// Leaves usage out.
    #[serde(skip_serializing_if = "is_false")]
    pub no_usage: bool,
    /// Says that nothing was used.
    #[serde(skip_serializing_if = "is_false")]
    pub usage_zero: bool,
    /// Never stops producing tokens (at least 1 ms apart) until the client goes.
    #[serde(skip_serializing_if = "is_false")]
    pub endless: bool,
    /// Resets the connection (TCP RST) instead of an answer.
    #[serde(skip_serializing_if = "is_false")]
    pub reset: bool,
    /// Sends the body byte by byte with so many milliseconds between two bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_bytes: Option<u64>,
    /// Writes into each event of a chat completion's stream when it was sent: `sent_us`, microseconds since 1970.
    #[serde(skip_serializing_if = "is_false")]
    pub stamp: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Why fault rules were refused; says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("fault rules are not understood: {0}")]
    Parse(String),
    #[error("fault rule {rule}, {place}: {problem}")]
    Value { rule: usize, place: &'static str, problem: &'static str },
    #[error("{0} fault rules are too many; the most is {MOST_RULES}")]
    TooMany(usize),
}

/// Reads one rule or a list of rules from JSON.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    let parse_error = |error: serde_json::Error| RuleError::Parse(error.to_string());
    let rules = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(parse_error)?
    } else {
        vec![serde_json::from_str(text).map_err(parse_error)?]
    };
    verify(&rules)?;
    Ok(rules)
}

impl std::str::FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let rule: Self = serde_json::from_str(text).map_err(|error| RuleError::Parse(error.to_string()))?;
        verify(std::slice::from_ref(&rule))?;
        Ok(rule)
    }
}

pub(crate) fn verify(rules: &[Rule]) -> Result<(), RuleError> {
    const LONGEST_MS: u64 = 3_600_000;
    if rules.len() > MOST_RULES {
        return Err(RuleError::TooMany(rules.len()));
    }
    for (index, Rule { matching, effect }) in rules.iter().enumerate() {
        let wrong = |place, problem| Err(RuleError::Value { rule: index + 1, place, problem });
        if matching.share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return wrong("match.share", "must be between 0 and 1");
        }
        if matching.first == Some(0) {
            return wrong("match.first", "must be at least 1");
        }
        if effect.status.is_some_and(|status| !(400..600).contains(&status)) {
            return wrong("do.status", "must be between 400 and 599");
        }
        if effect.retry_after_ms.is_some() && effect.status.is_none() {
            return wrong("do.retry_after_ms", "needs a status beside it");
        }
        if *effect == Effect::default() {
            return wrong("do", "says nothing to do");
        }
        let times = [effect.retry_after_ms, effect.latency_ms, effect.token_ms, effect.slow_bytes];
        if times.iter().flatten().any(|milliseconds| *milliseconds > LONGEST_MS) {
            return wrong("do", "a time is longer than 3600000 ms");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_documented_rule() {
        let rules =
            parse_rules(r#"[{"match":{"model":"m","share":0.1,"first":3},"do":{"status":429,"retry_after_ms":2000}}]"#)
                .unwrap();
        assert_eq!(rules[0].matching.share, Some(0.1));
        assert_eq!(rules[0].effect.retry_after_ms, Some(2000));
        assert_eq!(parse_rules(&serde_json::to_string(&rules).unwrap()).unwrap(), rules);
        assert_eq!(r#"{"do":{"hang":true}}"#.parse::<Rule>().unwrap().matching, Match::default());
    }

    #[test]
    fn errors_name_the_place() {
        for (text, place) in [
            (r#"[{"do":{"statu":429}}]"#, "`statu`"),
            (r#"[{"do":{"statu":429}}]"#, "line 1 column 15"),
            (r#"{"match":{"modle":"m"},"do":{"hang":true}}"#, "`modle`"),
            (r#"{"matches":{},"do":{"hang":true}}"#, "`matches`"),
            (r#"[{"do":{"hang":true}},{"match":{"share":2},"do":{"hang":true}}]"#, "fault rule 2, match.share"),
            (r#"{"do":{"status":200}}"#, "do.status"),
            (r#"{"do":{"retry_after_ms":5}}"#, "do.retry_after_ms"),
            (r#"{"do":{}}"#, "nothing"),
            (r#"{"match":{"first":0},"do":{"hang":true}}"#, "match.first"),
        ] {
            let error = parse_rules(text).unwrap_err().to_string();
            assert!(error.contains(place), "{text}: {error}");
        }
    }
}
