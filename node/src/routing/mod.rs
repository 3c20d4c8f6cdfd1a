//! From the model that a client names to the upstreams that are tried for it, in order, and why.
//!
//! [`Routes`] knows what names stand for ([`Route`]). For each request a route becomes a [`Ladder`]: its targets as the
//! `strategy` or the `session` orders them, then the [`fallbacks`] of the request and those of the route; what is down
//! goes behind what is up, and where the request is too long a target is passed over, before it is asked or after
//! ([`context`]). `keys` chooses the provider's key on each rung. `explanation` tells all of that to whoever asked.
//!
//! What is seen of the targets comes in as [`Facts`], so that nothing in this room knows how health is kept; randomness
//! comes in as a function, so that every choice can be tested. [`retry_budget`] bounds how many attempts there may be.

pub mod context;
mod explanation;
mod facts;
pub mod fallbacks;
mod keys;
mod ladder;
pub mod retry_budget;
mod route;
mod routes;
mod session;
mod size;
mod strategy;
mod target;

pub use explanation::{Considered, Explanation, header_value};
pub use facts::{Facts, Observed, Standing, Unobserved};
pub use fallbacks::{FallbacksError, Named};
pub use ladder::{Ladder, LadderRequest, Role, Why};
pub use route::Route;
pub use routes::{NoRoute, Routes};
pub use session::Session;
pub use size::{Size, Told};
pub use target::Target;

#[cfg(test)]
mod tests;
