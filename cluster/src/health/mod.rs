//! Which upstreams answer, as far as this node and its peers have seen.
//!
//! A [`Target`] is a model at a provider with one of its keys. What calls to it came to is observed here, told to the
//! peers at once, and what peers tell is weighed. Each node decides for itself; the word of the others is a prior:
//!
//! - A breaker opens on this node's own failures, or when at least two nodes (this one among them or not) have seen
//!   enough of them together. So an outage costs the cluster about as many calls as it would cost one node, and one
//!   node with a bad way out takes the provider from nobody else.
//! - A peer's word is void once this node has seen a call succeed that began after it.
//! - Of the nodes whose breaker is open one at a time tries a call, once an interval, and the others hear what came of it.
//! - A provider that is full is left alone by all nodes, and taken up again slowly. A key that was refused is left alone
//!   by the node whose key it is: the others may have another value under its id.
//!
//! The map, from the bottom up:
//!
//! - [`fault`], [`observation`], [`settings`], [`target`]: the vocabulary.
//! - [`window`], [`ewma`]: counting lately.
//! - [`breaker`], [`witness`]: own evidence, and the others'.
//! - [`capacity`]: cool-downs and the rate that a target is believed to bear.
//! - [`weight`]: the share of calls that a target deserves.
//! - [`state`]: all of it for one target; pure, time is passed in.
//! - [`entry`]: a target as the request path sees it: atomics in front of the state.
//! - [`board`]: all targets, and what is told to whom.
//! - [`messages`]: the bytes between nodes. They carry durations, so that no clock needs to agree with another.
//! - [`service`]: the board at work, over the link. The only file here that knows the time.
//!
//! Time is a [`std::time::Duration`] since some start, the same for all calls to one board.

pub mod board;
pub mod breaker;
pub mod capacity;
pub mod entry;
mod ewma;
pub mod fault;
pub mod messages;
pub mod observation;
pub mod service;
pub mod settings;
mod state;
pub mod target;
pub mod weight;
mod window;
mod witness;

pub use board::Board;
pub use entry::{Admission, Entry, InFlight, Probe};
pub use fault::Fault;
pub use observation::{Observation, Quota, Stage};
pub use service::HealthService;
pub use settings::Settings;
pub use state::TargetStatus;
pub use target::Target;
