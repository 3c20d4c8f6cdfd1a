//! A simulated LLM provider: real wire formats, chosen latencies, faults on demand, and its own bill.
//!
//! Used by `peerway simulate-provider`, by `peerway demo` and by the load tests, so a plain answer must cost little:
//! one current-thread runtime a worker, each with its own `SO_REUSEPORT` listener, and no state shared on the way of a request.
//!
//! The way of a request: `server` (accept) -> `route` (which door) -> `chat` (authenticate, read, match faults, decide) ->
//! `answer` (what to say) -> `wire` (as OpenAI writes it) -> `body` / `stream` (send it, paced, broken where a rule says so).
//! Beside it stand `bill` (what a provider would charge), `record` (what arrived), `faults` (the rules in force) and
//! `control` (the routes that show and change these).
//!
//! ```no_run
//! # async fn example() -> Result<(), peerway_simulated_provider::StartError> {
//! use peerway_simulated_provider::{Options, start};
//! let running = start(Options { latency: "50ms".parse().unwrap_or_default(), ..Options::default() }).await?;
//! println!("http://{}/v1", running.address);
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod bill;
mod body;
mod chat;
mod control;
mod error;
mod faults;
mod latency;
mod options;
mod random;
mod record;
mod request;
mod route;
mod rule;
mod server;
mod stream;
mod tokens;
mod wire;

pub use bill::{Price, key_label, price};
pub use latency::{Latency, LatencyError};
pub use options::{Options, StartError};
pub use rule::{Effect, Match, Rule, RuleError, parse_rules};
pub use server::{Running, start};
pub use tokens::{completion_tokens, prompt_tokens};
