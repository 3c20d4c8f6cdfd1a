//! What a client asks for.

use std::collections::BTreeMap;

use super::{Message, Tool, ToolChoice};
use crate::{Dialect, Dropped, Json};

/// A chat request. Also the form of a request to count tokens, of a text completion and of a Responses call.
///
/// Parameters that a target lacks are dropped and named: of these, Anthropic and Bedrock lack `seed`, `n`, penalties and
/// logprobs; Gemini lacks `parallel_tool_calls` and `user`; Cohere lacks `n` and `parallel_tool_calls`. `n` above one is
/// refused rather than dropped, because the client would wait for choices that never come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// In Gemini and Bedrock the model is in the path, not in the body.
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// Anthropic: the inverse of `tool_choice.disable_parallel_tool_use`.
    pub parallel_tool_calls: Option<bool>,
    pub response_format: Option<ResponseFormat>,
    /// Thoughts included. OpenAI `max_completion_tokens` or `max_tokens`, Anthropic `max_tokens` (required there: a
    /// documented default is filled in), Gemini `maxOutputTokens`.
    pub max_output_tokens: Option<u64>,
    /// 0 to 2; Anthropic and Cohere end at 1 and are given 1.
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// Anthropic, Gemini, Cohere (`k`), and OpenAI-like servers.
    pub top_k: Option<u64>,
    pub seed: Option<i64>,
    /// OpenAI `stop`, Anthropic `stop_sequences`, Gemini and Bedrock `stopSequences`.
    pub stop: Vec<String>,
    /// Number of choices. Gemini `candidateCount`.
    pub n: Option<u64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub logprobs: Option<LogprobsWanted>,
    pub reasoning: Option<Reasoning>,
    /// Who the end user is. OpenAI `user`, Anthropic `metadata.user_id`.
    pub user: Option<String>,
    /// OpenAI `metadata`, Bedrock `requestMetadata`.
    pub metadata: BTreeMap<String, String>,
    pub stream: bool,
    /// Whether the client asked for usage in the stream (OpenAI `stream_options.include_usage`; other dialects always
    /// have it and set this).
    pub include_usage: bool,
    pub extra: Extra,
    /// Fields inside messages and tools that nothing here can hold: every encoder takes them over as dropped.
    pub unread: Dropped,
}

/// Fields that the model in the middle does not know, as they were. Carried only to the dialect they came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// `None` as long as there are none.
    pub of: Option<Dialect>,
    pub members: BTreeMap<String, Json>,
}

impl Extra {
    /// Fields that are `null` say nothing and are not kept.
    pub fn new(of: Dialect, mut members: BTreeMap<String, Json>) -> Self {
        members.retain(|_, value| value.text() != "null");
        Self { of: (!members.is_empty()).then_some(of), members }
    }

    /// The fields to send to `target`; those of another dialect are noted as dropped.
    pub fn for_target(&self, target: Dialect, dropped: &mut Dropped) -> &BTreeMap<String, Json> {
        static NONE: BTreeMap<String, Json> = BTreeMap::new();
        if self.of == Some(target) {
            return &self.members;
        }
        for name in self.members.keys() {
            dropped.note(name.clone());
        }
        &NONE
    }
}

/// How the text of the answer is to be formed.
///
/// OpenAI `response_format` (responses: `text.format`), Anthropic `output_config.format` (schemas only), Gemini
/// `responseMimeType` and `responseJsonSchema`, Cohere `response_format`. A schema is refused where the target cannot
/// hold the model to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    /// Only OpenAI has a name, a description and `strict`; other dialects read the schema alone, named `response`.
    JsonSchema {
        name: String,
        description: Option<String>,
        schema: Json,
        strict: Option<bool>,
    },
}

/// OpenAI `logprobs: true` with `top_logprobs`; Gemini `responseLogprobs` with `logprobs`; Cohere has no `top`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogprobsWanted {
    /// Alternatives per token.
    pub top: Option<u64>,
}

/// How much the model is to think, and whether the client sees it.
///
/// - OpenAI: `reasoning_effort` (responses: `reasoning.effort`); also OpenAI-like `thinking` in Anthropic's form.
/// - Anthropic: `thinking` is [`Reasoning::mode`], `output_config.effort` is [`Reasoning::effort`].
/// - Gemini: `thinkingConfig` `{thinkingBudget | thinkingLevel, includeThoughts}`.
/// - Cohere: `thinking {type, token_budget}`. Bedrock: Anthropic's form in `additionalModelRequestFields`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    pub mode: Option<ThinkingMode>,
    /// Whether thoughts are wanted in the answer, where the target lets one choose.
    pub show: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingMode {
    Off,
    /// The model decides. Anthropic `adaptive`, Gemini `thinkingBudget: -1`.
    Adaptive,
    /// At most so many tokens of thought.
    Budget(u64),
}

/// OpenAI's and Anthropic's scale. A target without a step takes the nearest one below, or its lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }

    /// The tokens of thought for targets that want a budget; `None` is no thinking.
    pub const fn budget(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Minimal => Some(1_024),
            Self::Low => Some(2_048),
            Self::Medium => Some(8_192),
            Self::High => Some(16_384),
            Self::XHigh => Some(24_576),
            Self::Max => Some(32_000),
        }
    }

    /// The step that thinks about so much: the highest whose budget is not above.
    pub fn of_budget(tokens: u64) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|effort| effort.budget().is_some_and(|at| at <= tokens))
            .unwrap_or(Self::Minimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_and_budget_agree() {
        for effort in Effort::ALL {
            assert_eq!(Effort::from_name(effort.name()), Some(effort));
            if let Some(budget) = effort.budget() {
                assert_eq!(Effort::of_budget(budget), effort);
            }
        }
        assert_eq!(Effort::of_budget(0), Effort::Minimal);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
    }
}
