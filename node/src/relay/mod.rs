//! The way back: an upstream's answer to the client, event by event, never held back and never quietly cut.

mod intake;
mod sse;
mod stream;

pub use intake::{Finished, OnFinish};
pub use sse::{EventCutter, EventTooLarge};
pub use stream::{Limits, StreamRelay};
