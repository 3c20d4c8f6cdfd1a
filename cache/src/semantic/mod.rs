//! What a semantic hit is decided by: a small embedder that finds candidates, and a guard that compares two prompts.
//!
//! A pure room: no network, no clock, no cluster; functions of their inputs over tables in the binary. The map:
//!
//! - [`embed`]: text to vector: the trait [`Embedder`] and [`StaticEmbedder`], which needs nothing but this binary.
//! - `text`: a prompt read as words, numbers, identifiers and quotations.
//! - `lexicon`: synonyms, antonyms and word families, a compact table derived from WordNet.
//! - `fixed`: how tables are kept that never change.
//! - [`guard`]: two prompts to a [`Verdict`]: how surely the answer to the first answers the second, and why not.
//!
//! ```
//! use peerway_cache::semantic::{Guard, Reason};
//!
//! let guard = Guard::new();
//! let verdict = guard.judge("flights from Paris to Rome", "flights from Rome to Paris");
//! assert_eq!(verdict.similarity, 0.0);
//! assert_eq!(verdict.reason, Some(Reason::Direction));
//! ```

pub mod embed;
mod fixed;
pub mod guard;
mod lexicon;
mod text;

pub use embed::{Embedder, StaticEmbedder};
pub use guard::{Check, CheckVerdict, Guard, Prompt, Reason, Verdict};
