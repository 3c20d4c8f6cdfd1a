//! How much to think: `thinking` and `output_config.effort`.

use serde::Serialize;

use crate::Dropped;
use crate::canonical::{ChatRequest, Content, Effort, Part, Reasoning, Role, ThinkingMode, ToolChoice};
use crate::json::{DecodeError, Object};

use super::{NoThinking, Target, ThinkingStyle};

/// Anthropic's least.
const MIN_BUDGET: u64 = 1024;

pub(super) fn decode(
    thinking: Option<Object<'_>>,
    output: Option<&mut Object<'_>>,
) -> Result<Option<Reasoning>, DecodeError> {
    let mut told = Reasoning::default();
    if let Some(mut thinking) = thinking {
        let kind = thinking.need("type")?;
        told.mode = Some(match kind.string()?.as_str() {
            "enabled" => ThinkingMode::Budget(thinking.need("budget_tokens")?.unsigned()?),
            "disabled" => ThinkingMode::Off,
            // Kinds to come, such as `between_tools`, all leave it to the model when to think.
            _ => ThinkingMode::Adaptive,
        });
        told.show = thinking.string("display")?.map(|display| display != "omitted");
    }
    if let Some(effort) = output.and_then(|output| output.take("effort")) {
        let known = Effort::from_name(&effort.string()?);
        told.effort = Some(known.ok_or_else(|| effort.expected("low, medium, high, xhigh or max"))?);
    }
    Ok((told != Reasoning::default()).then_some(told))
}

#[derive(Debug, Serialize)]
pub(crate) struct WireThinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'static str>,
}

/// What a request says of thinking, and the `max_tokens` that leaves room for it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) thinking: Option<WireThinking>,
    pub(crate) effort: Option<&'static str>,
    pub(crate) max_tokens: u64,
}

impl Plan {
    /// Whether the model thinks, which excludes sampling parameters and forced calls.
    pub(super) fn thinks(&self) -> bool {
        self.thinking.as_ref().is_some_and(|thinking| thinking.kind != "disabled")
    }
}

pub(crate) fn plan(request: &ChatRequest, target: Target, dropped: &mut Dropped) -> Plan {
    let max_tokens = request.max_output_tokens.unwrap_or(target.default_max_tokens);
    let mut plan = Plan { max_tokens, ..Plan::default() };
    let Some(wanted) = &request.reasoning else { return plan };
    let mut mode = match (wanted.mode, wanted.effort) {
        (Some(mode), _) => mode,
        (None, Some(Effort::None)) => ThinkingMode::Off,
        (None, Some(effort)) => effort.budget().map_or(ThinkingMode::Off, ThinkingMode::Budget),
        (None, None) => return plan,
    };
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if mode != ThinkingMode::Off && forced && !request.tools.is_empty() {
        // Either is refused with the other; the call is what the client needs.
        dropped.note("reasoning");
        return plan;
    }
    let display = wanted.show.map(|show| if show { "summarized" } else { "omitted" });
    let told = |kind, budget_tokens| Some(WireThinking { kind, budget_tokens, display });
    match target.thinking {
        ThinkingStyle::Adaptive => {
            plan.effort = wanted.effort.and_then(effort_name);
            plan.thinking = match mode {
                ThinkingMode::Off => off(target, &mut plan.effort, dropped),
                ThinkingMode::Adaptive => told("adaptive", None),
                ThinkingMode::Budget(tokens) => {
                    if wanted.effort.is_none() {
                        dropped.note("thinking.budget_tokens");
                        plan.effort = effort_name(Effort::of_budget(tokens));
                    }
                    told("adaptive", None)
                }
            };
        }
        ThinkingStyle::Budget => {
            if mode == ThinkingMode::Adaptive {
                dropped.note("thinking.type");
                let effort = wanted.effort.unwrap_or(Effort::Medium);
                mode = effort.budget().map_or(ThinkingMode::Off, ThinkingMode::Budget);
            } else if wanted.mode.is_some() {
                dropped.note_if(wanted.effort.is_some(), "output_config.effort");
            }
            plan.thinking = match mode {
                ThinkingMode::Budget(tokens) => {
                    let tokens = tokens.max(MIN_BUDGET);
                    match request.max_output_tokens {
                        None => plan.max_tokens = target.default_max_tokens.saturating_add(tokens),
                        // Room for thoughts alone would leave no answer.
                        Some(max) if max <= MIN_BUDGET => {
                            dropped.note("reasoning");
                            return plan;
                        }
                        Some(_) => {}
                    }
                    if is_within_unsigned_calls(request) {
                        dropped.note("reasoning");
                        return plan;
                    }
                    dropped.note_if(tokens >= plan.max_tokens, "thinking.budget_tokens");
                    told("enabled", Some(tokens.min(plan.max_tokens.saturating_sub(1))))
                }
                ThinkingMode::Off | ThinkingMode::Adaptive => {
                    Some(WireThinking { kind: "disabled", budget_tokens: None, display: None })
                }
            };
        }
    }
    plan
}

/// No thinking, or as little as the model does with.
fn off(target: Target, effort: &mut Option<&'static str>, dropped: &mut Dropped) -> Option<WireThinking> {
    let kind = match target.no_thinking {
        NoThinking::Disabled => {
            if effort.is_some_and(|effort| effort == Effort::XHigh.name() || effort == Effort::Max.name()) {
                dropped.note("output_config.effort");
                *effort = Some(Effort::High.name());
            }
            "disabled"
        }
        NoThinking::BetweenTools => {
            dropped.note("thinking.type");
            "between_tools"
        }
        NoThinking::Never => {
            dropped.note("thinking.type");
            effort.get_or_insert(Effort::Low.name());
            return None;
        }
    };
    Some(WireThinking { kind, budget_tokens: None, display: None })
}

fn effort_name(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => Some(Effort::Low.name()),
        effort => Some(effort.name()),
    }
}

/// Whether the conversation stands between calls and their results without the thoughts that led to the calls: with a
/// budget, Anthropic refuses to go on from there.
fn is_within_unsigned_calls(request: &ChatRequest) -> bool {
    let spoke = request.messages.iter().rev().find(|message| message.role != Role::Tool);
    let called = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    let Some(message) = spoke.filter(|message| message.role == Role::Assistant && message.parts.iter().any(called))
    else {
        return false;
    };
    !message.parts.first().is_some_and(|part| match &part.content {
        Content::Thinking { .. } => part.signature.as_ref().is_some_and(|signature| signature.is_for(super::HERE)),
        Content::RedactedThinking { of, .. } => matches!(of, crate::Dialect::Anthropic | crate::Dialect::Bedrock),
        _ => false,
    })
}
