//! What clients speak: which dialect and operation a path stands for ([`call`]), what a gateway must know of a body and
//! may change in it ([`envelope`], `bounds` for the length of its answer, and [`form`] where it is no JSON), and how models are listed ([`models`]).
//!
//! Whoever speaks whichever dialect is then served by one and the same path through `gateway`.

mod bounds;
mod call;
mod edit;
mod envelope;
mod form;
pub mod models;

pub use call::{BadPath, Call};
pub use envelope::{Envelope, EnvelopeError, Rewrite};
pub use form::Form;
