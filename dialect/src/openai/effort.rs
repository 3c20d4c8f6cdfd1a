//! How much to think, in OpenAI's one word for it.

use crate::Dropped;
use crate::canonical::{Effort, Reasoning, ThinkingMode};

/// The effort that comes nearest to what is wanted. A budget becomes the effort that thinks about as much. That there
/// is to be no thinking is said only to who said so in this word: models differ in whether they know `none`, and those
/// that do not think refuse the field.
pub(super) fn effort(wanted: &Reasoning, model: &str, dropped: &mut Dropped) -> Option<&'static str> {
    let effort = match (wanted.effort, wanted.mode) {
        (Some(effort), _) => Some(effort),
        (None, Some(ThinkingMode::Budget(tokens))) => {
            dropped.note("thinking.budget_tokens");
            Some(Effort::of_budget(tokens))
        }
        (None, Some(ThinkingMode::Off)) => {
            dropped.note("thinking.type");
            None
        }
        (None, Some(ThinkingMode::Adaptive) | None) => None,
    };
    if effort.is_some() && never_thinks(model) {
        dropped.note("reasoning_effort");
        return None;
    }
    effort.map(Effort::name)
}

/// OpenAI's models before those that reason.
pub(super) fn never_thinks(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["gpt-3", "gpt-4", "chatgpt-4o"].iter().any(|old| name.starts_with(old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_think_are_told_how_much() {
        let told = |model, wanted, mode| {
            let mut dropped = Dropped::new();
            let told = effort(&Reasoning { effort: wanted, mode, show: None }, model, &mut dropped);
            (told, dropped.header_value().unwrap_or_default())
        };
        assert_eq!(told("gpt-5", Some(Effort::None), None), (Some("none"), String::new()));
        assert_eq!(told("gpt-5", None, Some(ThinkingMode::Off)), (None, "thinking.type".to_owned()));
        let budget = Some(ThinkingMode::Budget(9000));
        assert_eq!(told("o3", None, budget), (Some("medium"), "thinking.budget_tokens".to_owned()));
        assert_eq!(told("openai/gpt-4o", Some(Effort::Low), None), (None, "reasoning_effort".to_owned()));
        assert_eq!(told("openai/gpt-oss-120b", Some(Effort::Low), None).0, Some("low"));
    }
}
