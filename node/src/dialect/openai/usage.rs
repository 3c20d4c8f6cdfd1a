//! What an answer cost in tokens, and whether it is whole: read from the answer's own words.

use serde::Deserialize;

/// Token counts as the provider states them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Usage {
    #[serde(default)]
    pub prompt_tokens: u64,
    #[serde(default)]
    pub completion_tokens: u64,
}

/// The facts of a complete, plain answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub usage: Option<Usage>,
    /// Every choice ended with `stop`.
    pub finished: bool,
    pub has_tool_calls: bool,
}

#[derive(Deserialize)]
struct Parsed {
    usage: Option<Usage>,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    finish_reason: Option<String>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    tool_calls: Option<serde::de::IgnoredAny>,
    function_call: Option<serde::de::IgnoredAny>,
}

impl Answer {
    /// Reads a `chat.completion` body; `None` when it is not one.
    pub fn read(body: &[u8]) -> Option<Self> {
        let parsed: Parsed = serde_json::from_slice(body).ok()?;
        Some(Self {
            usage: parsed.usage,
            finished: !parsed.choices.is_empty()
                && parsed.choices.iter().all(|choice| choice.finish_reason.as_deref() == Some("stop")),
            has_tool_calls: parsed
                .choices
                .iter()
                .filter_map(|choice| choice.message.as_ref())
                .any(|message| message.tool_calls.is_some() || message.function_call.is_some()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_usage_and_finish() {
        let body = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi","tool_calls":null},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
        let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 1 });
        assert_eq!(Answer::read(body), Some(Answer { usage, finished: true, has_tool_calls: false }));
    }

    #[test]
    fn one_unfinished_choice_is_unfinished() {
        let body = br#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#;
        assert!(!Answer::read(body).unwrap().finished);
    }
}
