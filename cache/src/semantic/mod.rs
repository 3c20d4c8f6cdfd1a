//! What a semantic hit is decided by: a small embedder that finds candidates, and a guard that compares two prompts.
//!
//! No network and no cluster; the guard and the default embedder are functions of their inputs over tables in the binary.
//! The map:
//!
//! - [`embed`]: text to vector: the trait [`Embedder`], [`StaticEmbedder`], which needs nothing but this binary, and
//!   embedders that ask a model.
//! - `text`: a prompt read as words, numbers, identifiers and quotations.
//! - `lexicon`: synonyms, antonyms and word families, a compact table derived from WordNet.
//! - `fixed`: how tables are kept that never change.
//! - [`guard`]: two prompts to a [`Verdict`]: how surely the answer to the first answers the second, and why not.
//! - [`confirm`]: a model's second opinion on what the guard doubts.
//!
//! ```
//! use peerway_cache::semantic::{Guard, Reason};
//!
//! let guard = Guard::new();
//! let verdict = guard.judge("flights from Paris to Rome", "flights from Rome to Paris");
//! assert_eq!(verdict.similarity, 0.0);
//! assert_eq!(verdict.reason, Some(Reason::Direction));
//! ```

pub mod confirm;
pub mod embed;
mod fixed;
pub mod guard;
mod lexicon;
mod text;

pub use confirm::{Asks, Confirm, Confirmer};
pub use embed::{EmbedError, Embedder, StaticEmbedder};
pub use guard::{Check, CheckVerdict, Guard, Prompt, Reason, Verdict};
