//! What the model may call.

use super::CacheMark;
use crate::{Dialect, Json};

/// A tool on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    Function(Function),
    /// A tool that runs at the provider (web search, code execution ...): carried to its own dialect, refused by others.
    Other {
        of: Dialect,
        name: String,
        json: Json,
    },
}

/// A function of the client's. OpenAI `function`, Anthropic `input_schema`, Gemini `functionDeclarations`
/// (`parametersJsonSchema`), Bedrock `toolSpec`, Cohere as OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments; `None` takes none.
    pub parameters: Option<Json>,
    /// Whether the arguments must match the schema. Gemini has no such word; Cohere has one for all tools; the others take
    /// it with schemas of a certain form only. Dropped where it cannot be said.
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
}

/// Whether and what the model calls.
///
/// | here | OpenAI | Anthropic | Gemini `mode` | Bedrock | Cohere |
/// |---|---|---|---|---|---|
/// | `Auto` | `auto` | `auto` | `AUTO` | `auto` | absent |
/// | `None` | `none` | `none` | `NONE` | no tools sent, unless the history holds calls: refused | `NONE` |
/// | `Required` | `required` | `any` | `ANY` | `any` | `REQUIRED` |
/// | `Named` | `function` | `tool` | `ANY` with one name | `tool` | `REQUIRED` with one tool |
/// | `Allowed` | `allowed_tools` | tools left out | `ANY`/`VALIDATED` with names | tools left out | tools left out |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
    Allowed { required: bool, names: Vec<String> },
}

impl ToolChoice {
    /// Whether the model must call.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Required | Self::Named(_) | Self::Allowed { required: true, .. })
    }

    /// Whether the choice lets the model call the tool of this name.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Allowed { names, .. } => names.iter().any(|allowed| allowed == name),
            _ => true,
        }
    }
}

/// The id of a call whose provider gives none: made from the answer's id and the call's position, so that a stream and a
/// plain answer agree and no two turns of a conversation share one. `[A-Za-z0-9_-]` only, as Anthropic demands.
pub fn made_call_id(answer_id: &str, choice: u32, index: u32) -> String {
    format!("call_{:016x}_{choice}_{index}", fnv1a(answer_id))
}

/// FNV-1a, 64 bit: not secret, the same on every machine.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_differ_by_answer_and_place() {
        assert_eq!(made_call_id("", 0, 1), "call_cbf29ce484222325_0_1");
        assert_ne!(made_call_id("a", 0, 0), made_call_id("b", 0, 0));
    }
}
