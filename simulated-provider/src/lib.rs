//! A simulated LLM provider: real wire formats, chosen latencies, faults on demand, and its own bill.
//!
//! Used by `peerway simulate-provider`, by `peerway demo` and by the load tests, so a plain answer must cost little:
//! one current-thread runtime a worker, each with its own `SO_REUSEPORT` listener, and no state shared on the way of a request.
//!
//! The way of a request: `server` (accept) -> `route`, `door` (which operation of which dialect) -> `authenticate` -> the
//! dialect's room (read it: `asked`) -> `call` (match faults, bill, wait) -> `answer` (what to say) -> the dialect's room
//! again (write it: `script` for streams) -> `body` / `stream` (send it, paced, broken where a rule says so).
//! The wire formats are written from the providers' API references and use nothing of the gateway's, so that a mistake
//! there does not hide itself here. Beside this way stand `bill` (what a provider would charge), `record` (what arrived), `faults` (the rules in force) and
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
mod anthropic;
mod asked;
mod authenticate;
mod bedrock;
mod bill;
mod body;
mod call;
mod cohere;
mod control;
mod dialect;
mod door;
mod embedding;
mod error;
mod faults;
mod gemini;
mod latency;
mod models;
mod multipart;
mod openai;
mod options;
mod random;
mod ranking;
mod record;
mod route;
mod rule;
mod schema;
mod script;
mod server;
mod sigv4;
mod stream;
mod tokens;
mod value;

pub use bill::{Price, key_label, price};
pub use latency::{Latency, LatencyError};
pub use options::{Options, StartError};
pub use rule::{Effect, Match, Rule, RuleError, parse_rules};
pub use server::{Running, start};
pub use tokens::{completion_tokens, prompt_tokens};
