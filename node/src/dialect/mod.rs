//! Wire formats of clients and providers: what a body says, and how to change it without re-serialising it.
//!
//! Everything here is a pure function of bytes.

pub mod json;
pub mod openai;
