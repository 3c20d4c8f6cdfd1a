//! The OpenAI dialect: chat completions, as the API reference of 2026 has them.

mod details;
mod event;
mod replay;
mod usage;
mod written;

pub use event::{Event, EventFacts, data as event_data};
pub use replay::{Replay, ReplayError, plain_from_events, stream_from_plain};
pub use usage::{Answer, Usage};
pub use written::{count_answer, count_chunk, count_text_answer, count_text_chunk};
