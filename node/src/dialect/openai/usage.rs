//! What an answer cost in tokens, and whether it is whole: read from the answer's own words.

use serde::Deserialize;

use super::details::{Details, count};

/// Token counts as the provider states them. The details are parts of the sums, and 0 where nothing is said of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stated")]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// 0: not stated. Some providers count reasoning here and not among the completion tokens.
    pub total_tokens: u64,
    /// Of the prompt: read from the provider's own prompt cache.
    pub cached_tokens: u64,
    /// Of the prompt: written to that cache.
    pub cache_write_tokens: u64,
    /// Of those: written to be kept for an hour, which is dearer. Only Anthropic's models tell it.
    pub cache_write_1h_tokens: u64,
    pub prompt_audio_tokens: u64,
    pub prompt_image_tokens: u64,
    pub reasoning_tokens: u64,
    pub completion_audio_tokens: u64,
}

#[derive(Deserialize)]
struct Stated {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default, deserialize_with = "count")]
    total_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Details,
    #[serde(default)]
    completion_tokens_details: Details,
}

impl From<Stated> for Usage {
    fn from(stated: Stated) -> Self {
        let (prompt, completion) = (stated.prompt_tokens_details, stated.completion_tokens_details);
        Self {
            prompt_tokens: stated.prompt_tokens,
            completion_tokens: stated.completion_tokens,
            total_tokens: stated.total_tokens,
            cached_tokens: prompt.cached,
            cache_write_tokens: prompt.cache_write,
            cache_write_1h_tokens: 0,
            prompt_audio_tokens: prompt.audio,
            prompt_image_tokens: prompt.image,
            reasoning_tokens: completion.reasoning,
            completion_audio_tokens: completion.audio,
        }
    }
}

/// The facts of a complete, plain answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub usage: Option<Usage>,
    /// Every choice ended with `stop`, and none refuses.
    pub finished: bool,
    pub has_tool_calls: bool,
    /// There is something under `choices`, and so no error in the place of an answer.
    pub has_choices: bool,
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
    /// The model's words where it refuses; OpenAI ends those with `stop` too.
    refusal: Option<serde_json::Value>,
}

impl Choice {
    fn is_answered(&self) -> bool {
        let refusal = self.message.as_ref().and_then(|message| message.refusal.as_ref());
        self.finish_reason.as_deref() == Some("stop") && refusal.is_none_or(|refusal| refusal == "")
    }
}

impl Answer {
    /// Reads a `chat.completion` body; `None` when it is not one.
    pub fn read(body: &[u8]) -> Option<Self> {
        // Checked as a whole where it can be: string by string takes longer.
        let parsed: Parsed = match std::str::from_utf8(body) {
            Ok(text) => serde_json::from_str(text).ok()?,
            Err(_) => serde_json::from_slice(body).ok()?,
        };
        Some(Self {
            usage: parsed.usage,
            finished: !parsed.choices.is_empty() && parsed.choices.iter().all(Choice::is_answered),
            has_tool_calls: parsed
                .choices
                .iter()
                .filter_map(|choice| choice.message.as_ref())
                .any(|message| message.tool_calls.is_some() || message.function_call.is_some()),
            has_choices: !parsed.choices.is_empty(),
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
        let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4, ..Usage::default() });
        assert_eq!(
            Answer::read(body),
            Some(Answer { usage, finished: true, has_tool_calls: false, has_choices: true })
        );
    }

    #[test]
    fn what_is_not_an_answer_is_none() {
        for body in [
            "",
            "[]",
            "7",
            r#"{"usage":{}"#,
            r#"{"usage":{}}x"#,
            r#"{"usage":7}"#,
            r#"{"usage":{"prompt_tokens":-1}}"#,
            r#"{"usage":null,"usage":null}"#,
            r#"{"choices":{}}"#,
            r#"{"choices":["stop"]}"#,
            r#"{"choices":[{"finish_reason":7}]}"#,
            r#"{"choices":[{"finish_reason":"stop","finish_reason":"length"}]}"#,
            r#"{"choices":[{"finish_reason":"stop","message":"hi"}]}"#,
        ] {
            assert_eq!(Answer::read(body.as_bytes()), None, "{body}");
        }
        for body in ["{}", r#"{"choices":[]}"#, r#" {"usage":null,"choices":[],"x":[{"choices":1}]} "#] {
            assert_eq!(Answer::read(body.as_bytes()), Some(Answer::default()), "{body}");
        }
    }

    #[test]
    fn a_call_of_a_tool_is_seen_in_any_choice() {
        for (name, has_tool_calls) in [("tool_calls", true), ("function_call", true), ("audio", false)] {
            let body = format!(
                r#"{{"choices":[{{"finish_reason":"stop","message":null}},
                    {{"finish_reason":"stop","message":{{"content":"\"}}","{name}":[]}}}}]}}"#
            );
            let answer = Answer::read(body.as_bytes()).unwrap();
            assert_eq!((answer.has_tool_calls, answer.finished), (has_tool_calls, true), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_not_finished() {
        for (refusal, finished) in [("null", true), ("\"\"", true), ("\"I cannot do that.\"", false), ("[]", false)] {
            let body = format!(r#"{{"choices":[{{"finish_reason":"stop","message":{{"refusal":{refusal}}}}}]}}"#);
            assert_eq!(Answer::read(body.as_bytes()).unwrap().finished, finished, "{body}");
        }
    }

    #[test]
    fn one_unfinished_choice_is_unfinished() {
        let body = br#"{"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#;
        assert!(!Answer::read(body).unwrap().finished);
    }

    #[test]
    fn reads_the_details() {
        let usage: Usage = serde_json::from_str(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":7,"image_tokens":5,"cache_write_tokens":3,"text_tokens":25},
            "completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":2,"accepted_prediction_tokens":0}}"#,
        )
        .unwrap();
        let expected = Usage {
            prompt_tokens: 100,
            completion_tokens: 50,
            total_tokens: 150,
            cached_tokens: 60,
            cache_write_tokens: 3,
            cache_write_1h_tokens: 0,
            prompt_audio_tokens: 7,
            prompt_image_tokens: 5,
            reasoning_tokens: 40,
            completion_audio_tokens: 2,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn odd_details_do_not_spoil_the_sums() {
        for details in [
            "null",
            "{}",
            "[]",
            "[1]",
            "7",
            "\"none\"",
            r#"{"cached_tokens":null,"audio_tokens":"x"}"#,
            r#"{"cached_tokens":-1,"audio_tokens":{"a":[1]}}"#,
        ] {
            let body = format!(
                r#"{{"prompt_tokens":3,"completion_tokens":1,"total_tokens":null,"prompt_tokens_details":{details},"completion_tokens_details":{details}}}"#
            );
            let usage: Usage = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{details}: {error}"));
            assert_eq!(usage, Usage { prompt_tokens: 3, completion_tokens: 1, ..Usage::default() }, "{details}");
        }
        let usage: Usage =
            serde_json::from_str(r#"{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":1.5}}"#).unwrap();
        assert_eq!(usage.cached_tokens, 1, "a discount is not rounded up");
    }
}
