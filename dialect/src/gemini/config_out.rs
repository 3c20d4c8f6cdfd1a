//! `generationConfig` for a provider.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Effort, Reasoning, ResponseFormat, ThinkingMode};
use crate::{Dropped, Json};

use super::version;

/// What every thinking model of the generation that counts tokens allows.
const MAX_BUDGET: u64 = 24_576;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<WireThinking>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Json>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireThinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

/// `extra` without `generationConfig.` in front. `None` if there is nothing to say.
pub(super) fn encode<'a>(
    request: &'a ChatRequest,
    extra: BTreeMap<&'a str, &'a Json>,
    dropped: &mut Dropped,
) -> Option<WireConfig<'a>> {
    let seed = request.seed.and_then(|seed| i32::try_from(seed).ok());
    dropped.note_if(seed.is_none() && request.seed.is_some(), "seed");
    let (response_mime_type, response_json_schema) = match &request.response_format {
        None => (None, None),
        Some(ResponseFormat::Text) => (Some("text/plain"), None),
        Some(ResponseFormat::JsonObject) => (Some("application/json"), None),
        Some(ResponseFormat::JsonSchema { schema, description, .. }) => {
            dropped.note_if(description.is_some(), "response_format.description");
            (Some("application/json"), Some(schema))
        }
    };
    let config = WireConfig {
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        max_output_tokens: request.max_output_tokens,
        stop_sequences: &request.stop,
        candidate_count: request.n,
        seed,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.and_then(|wanted| wanted.top),
        response_mime_type,
        response_json_schema,
        thinking_config: request.reasoning.as_ref().and_then(|wanted| thinking(wanted, &request.model, dropped)),
        extra,
    };
    let says_something = serde_json::to_string(&config).is_ok_and(|text| text != "{}");
    says_something.then_some(config)
}

/// A budget is written as it is: every generation takes it. An effort is a level from Gemini 3 on and a budget before.
/// Who asks for thinking in words other than an effort expects to see it.
fn thinking(wanted: &Reasoning, model: &str, dropped: &mut Dropped) -> Option<WireThinking> {
    let mut wire = WireThinking { include_thoughts: wanted.show, ..WireThinking::default() };
    let by_level = version(model).filter(|version| *version >= (3, 0));
    match (wanted.mode, wanted.effort, by_level) {
        (Some(ThinkingMode::Off), _, Some(version)) => {
            dropped.note("thinking.type");
            wire.thinking_level = Some(Level::least(model, version).name());
        }
        (Some(ThinkingMode::Off), effort, None) => {
            dropped.note_if(effort.is_some_and(|effort| effort != Effort::None), "reasoning_effort");
            wire.thinking_budget = Some(0);
        }
        (Some(ThinkingMode::Budget(tokens)), effort, _) => {
            dropped.note_if(effort.is_some(), "reasoning_effort");
            wire.thinking_budget = Some(i64::try_from(tokens).unwrap_or(i64::MAX));
        }
        (_, Some(effort), Some(version)) => {
            wire.thinking_level = Some(Level::of(effort, model, version, dropped).name());
        }
        (_, Some(effort), None) => {
            let budget = effort.budget().unwrap_or(0);
            dropped.note_if(budget > MAX_BUDGET, "reasoning_effort");
            wire.thinking_budget = i64::try_from(budget.min(MAX_BUDGET)).ok();
        }
        (Some(ThinkingMode::Adaptive), None, _) => wire.thinking_budget = Some(-1),
        (None, None, _) => {}
    }
    if matches!(wanted.mode, Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_))) {
        wire.include_thoughts = wire.include_thoughts.or(Some(true));
    }
    (wire != WireThinking::default()).then_some(wire)
}

/// Gemini's scale, of which not every model has every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Minimal,
    Low,
    Medium,
    High,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "MINIMAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }

    /// The Flash-Lite models, and Flash before 3.7, think minimally; others no less than `LOW`.
    fn least(model: &str, version: (u32, u32)) -> Self {
        let minimal = model.contains("flash-lite") || (model.contains("flash") && version < (3, 7));
        if minimal { Self::Minimal } else { Self::Low }
    }

    /// The step of an effort or the nearest one that the model has, and named where it is not the same.
    fn of(effort: Effort, model: &str, version: (u32, u32), dropped: &mut Dropped) -> Self {
        let (wanted, same) = match effort {
            Effort::None => (Self::Minimal, false),
            Effort::Minimal => (Self::Minimal, true),
            Effort::Low => (Self::Low, true),
            Effort::Medium => (Self::Medium, true),
            Effort::High => (Self::High, true),
            Effort::XHigh | Effort::Max => (Self::High, false),
        };
        let mut level = wanted.max(Self::least(model, version));
        // The first Pro of the generation has two steps.
        if level == Self::Medium && model.contains("pro") && version == (3, 0) {
            level = Self::Low;
        }
        dropped.note_if(level != wanted || !same, "reasoning_effort");
        level
    }
}
