//! How large a request is, counted only when a choice depends on it.

use crate::governance::account::Asked;

/// How large a request is. Counting may take a walk through its body.
pub trait Size {
    fn prompt_tokens(&self) -> u64;
    /// The most output tokens that it asks for, if it says so.
    fn output_tokens(&self) -> Option<u64>;
}

impl Size for Asked {
    fn prompt_tokens(&self) -> u64 {
        self.estimate().prompt_tokens
    }

    fn output_tokens(&self) -> Option<u64> {
        self.estimate().asked_output
    }
}

/// The size of a request that exists only as a question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    pub prompt_tokens: u64,
    pub output_tokens: Option<u64>,
}

impl Size for Told {
    fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens
    }

    fn output_tokens(&self) -> Option<u64> {
        self.output_tokens
    }
}

/// What a request needs of a context window: its prompt and the answer that it asks for.
pub(super) fn need(size: &dyn Size) -> u64 {
    size.prompt_tokens().saturating_add(size.output_tokens().unwrap_or(0))
}
