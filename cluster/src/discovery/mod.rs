//! Where peers may be: the seeds of the configuration, resolved again and again, and whether packets get through.
//!
//! What comes in: seeds and a DNS resolver. What goes out: addresses to dial, at most [`MAX_ADDRESSES`], and one
//! [`SeedStatus`] per address with a plain word for the operator. Seeds only introduce; who is live is the
//! membership's business.

mod finder;
mod reach;
mod resolve;
mod seed;

pub use finder::{Finder, Found, MAX_ADDRESSES};
pub(crate) use reach::test;
pub use reach::{SeedStatus, Verdict};
pub use resolve::{ResolveError, Resolver};
pub use seed::{Seed, SeedError};
