//! What happens in a stream.

use super::{Failure, Finish, Logprobs, Signature, Usage};

/// One step of a streamed answer.
///
/// A decoder gives `Start` first and exactly one of `Done` and `Error` last: a stream that ends early ends in an `Error`,
/// so that a cut never looks like success. Between them, per choice: deltas, then one `Finish`. `Usage` may come at any
/// time, each whole and replacing the former. An encoder holds back what its own dialect puts at the end.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// OpenAI: the first chunk. Anthropic `message_start`, Bedrock `messageStart`, Cohere `message-start`.
    Start {
        id: String,
        model: String,
        created: Option<u64>,
    },
    TextDelta {
        choice: u32,
        text: String,
    },
    /// OpenAI-like `reasoning_content`, Anthropic `thinking_delta`, Gemini parts with `thought`.
    ThinkingDelta {
        choice: u32,
        text: String,
    },
    /// Ends a piece of thinking. Thinking after it is another piece.
    ThinkingSignature {
        choice: u32,
        signature: Signature,
    },
    /// A whole piece of thinking that only the provider can read.
    RedactedThinking {
        choice: u32,
        of: crate::Dialect,
        data: String,
    },
    RefusalDelta {
        choice: u32,
        text: String,
    },
    /// `index` counts a choice's calls from 0. Calls may be told side by side: deltas name theirs.
    ToolCallStart {
        choice: u32,
        index: u32,
        id: String,
        name: String,
        signature: Option<Signature>,
    },
    /// A fragment of the arguments' JSON text.
    ToolCallDelta {
        choice: u32,
        index: u32,
        arguments: String,
    },
    Logprobs {
        choice: u32,
        logprobs: Logprobs,
    },
    Finish {
        choice: u32,
        reason: Finish,
    },
    Usage(Usage),
    /// The stream broke. Nothing but an error is told to the client after it.
    Error(Failure),
    /// The stream came to its proper end.
    Done,
}

impl StreamEvent {
    /// Whether the client sees something of the answer by it: until then, another provider may be asked instead.
    pub fn is_output(&self) -> bool {
        match self {
            Self::TextDelta { text, .. } | Self::ThinkingDelta { text, .. } | Self::RefusalDelta { text, .. } => {
                !text.is_empty()
            }
            Self::RedactedThinking { .. } | Self::ToolCallStart { .. } | Self::ToolCallDelta { .. } => true,
            Self::Start { .. }
            | Self::ThinkingSignature { .. }
            | Self::Logprobs { .. }
            | Self::Finish { .. }
            | Self::Usage(_)
            | Self::Error(_)
            | Self::Done => false,
        }
    }
}
