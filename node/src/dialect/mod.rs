//! Wire formats of clients and providers: what a body says, and how to change it without re-serialising it.
//!
//! Translation is the business of the crate `peerway_dialect`; [`codec`] chooses among its functions by dialect. What is
//! here besides is the way of bytes that are not translated. Everything is a pure function of bytes.

pub mod codec;
pub mod json;
pub mod openai;
mod stream;

pub use stream::{Decoder, Encoder, Manner, content_type};
