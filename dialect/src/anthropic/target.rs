//! What Anthropic's models do not have alike, told by their names.

use crate::Dropped;
use crate::canonical::{Function, Strictness};

/// How to write a request for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// `max_tokens` where the client gave none: the dialect demands one.
    pub default_max_tokens: u64,
    /// Whether `temperature`, `top_p` and `top_k` are taken (Claude up to 4.6, and the models of others).
    pub sampling: bool,
    /// Whether `temperature` and `top_p` are taken together (not from Claude 4.1 on).
    pub both_samplings: bool,
    pub thinking: ThinkingStyle,
    pub no_thinking: NoThinking,
    /// Whether the model can be made to call a tool (not where it always thinks).
    pub forced_calls: bool,
    /// Whether answers can be held to a schema (Claude from 4.5 on).
    pub structured_output: bool,
    /// Whether system messages may stand among the others; else they are moved to the front, and named as moved.
    pub system_in_place: bool,
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingStyle {
    /// `thinking.budget_tokens` (Claude up to 4.5, and the models of others).
    Budget,
    /// `thinking.type: adaptive` with `output_config.effort` (Claude from 4.6 on).
    Adaptive,
}

/// How a model is told not to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoThinking {
    /// `thinking.type: disabled`, without an effort above `high`.
    Disabled,
    /// `thinking.type: between_tools`, which is its least (Claude Sonnet from 5.5 on).
    BetweenTools,
    /// Not at all: it always thinks, and an effort of `low` is its least (Claude Opus from 5.5 on, Fable, Mythos).
    Never,
}

impl Target {
    /// The habits of the model of this name. A Claude without a version that can be read counts as the newest; what is no
    /// Claude is taken for a server that is alike, with the habits of the older ones.
    pub fn for_model(model: &str) -> Self {
        let version = match model.rsplit_once("claude") {
            Some((_, rest)) => version(rest).unwrap_or((u32::MAX, 0)),
            None => (0, 0),
        };
        let always_thinks = ["fable", "mythos"].iter().any(|name| model.contains(name)) || version >= (5, 5);
        Self {
            no_thinking: match always_thinks {
                true if model.contains("sonnet") => NoThinking::BetweenTools,
                true => NoThinking::Never,
                false => NoThinking::Disabled,
            },
            forced_calls: version < (5, 1) || (version < (5, 5) && !always_thinks),
            default_max_tokens: if (1..4).contains(&version.0) { 4096 } else { 8192 },
            sampling: version < (4, 7),
            both_samplings: version < (4, 1),
            thinking: if version < (4, 6) { ThinkingStyle::Budget } else { ThinkingStyle::Adaptive },
            structured_output: version >= (4, 5),
            system_in_place: false,
        }
    }

    /// Whether calls of a function are held to its schema: models that cannot be do not know the word.
    pub(crate) fn strict(self, function: &Function, dropped: &mut Dropped) -> Option<bool> {
        if self.structured_output {
            return function.strict_for(Strictness::Closed, dropped);
        }
        dropped.note_if(function.strict == Some(true), "tools.strict");
        None
    }
}

/// `-3-5-sonnet-20241022`, `-opus-4-6`, `-sonnet-4@20250514`, `-2.1`: the first one or two small numbers.
fn version(name: &str) -> Option<(u32, u32)> {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let small = |word: &str| word.parse::<u32>().ok().filter(|number| *number < 100);
    let major = words.by_ref().find_map(small)?;
    let minor = words.next().and_then(small).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_in_every_order() {
        for (name, expected) in [
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-opus-4-6", Some((4, 6))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-sonnet-4@20250514", Some((4, 0))),
            ("anthropic.claude-opus-4-7-v1:0", Some((4, 7))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-fable-5-2", Some((5, 2))),
            ("claude-2.1", Some((2, 1))),
            ("claude-next", None),
        ] {
            let (_, rest) = name.rsplit_once("claude").unwrap();
            assert_eq!(version(rest), expected, "{name}");
        }
    }

    #[test]
    fn habits_change_with_the_version() {
        assert!(Target::for_model("claude-sonnet-4-6").sampling);
        assert!(!Target::for_model("claude-opus-4-7").sampling);
        assert!(!Target::for_model("claude-latest").sampling);
        assert!(Target::for_model("MiniMax-M3").sampling);
        for (model, no_thinking, forced_calls) in [
            ("claude-opus-4-7", NoThinking::Disabled, true),
            ("claude-opus-5", NoThinking::Disabled, true),
            ("claude-opus-5-5", NoThinking::Never, false),
            ("claude-sonnet-5", NoThinking::Disabled, true),
            ("claude-sonnet-5-5", NoThinking::BetweenTools, false),
            ("claude-fable-5", NoThinking::Never, true),
            ("claude-fable-5-1", NoThinking::Never, false),
            ("anthropic.claude-mythos-preview", NoThinking::Never, false),
            ("claude-latest", NoThinking::Never, false),
            ("MiniMax-M3", NoThinking::Disabled, true),
        ] {
            let target = Target::for_model(model);
            assert_eq!((target.no_thinking, target.forced_calls), (no_thinking, forced_calls), "{model}");
        }
        assert_eq!(Target::for_model("claude-opus-4-5").thinking, ThinkingStyle::Budget);
        assert_eq!(Target::for_model("claude-opus-4-6").thinking, ThinkingStyle::Adaptive);
    }
}
