#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]
//! Vector databases behind the cache: each kind against a server that speaks its protocol, all held to the same promises.
//!
//! No server of theirs runs here. The ones in this folder speak the real wire formats (for Qdrant the services that its
//! own crate generates from its protocol), refuse what the documented API refuses, and can be slow, gone and lying.

mod bench;
mod conformance;
mod gate;
mod pinecone_server;
mod promises;
#[cfg(feature = "qdrant")]
mod qdrant;
#[cfg(feature = "qdrant")]
mod qdrant_server;
mod rest;
mod weaviate_server;
