//! The way back: an upstream's answer to the client, event by event, never held back and never quietly cut.

mod sse;
mod stream;

pub use sse::{EventCutter, EventTooLarge};
pub use stream::{Finished, Limits, OnFinish, StreamRelay};
