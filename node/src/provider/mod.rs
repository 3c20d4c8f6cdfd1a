//! Upstreams: who they are, how they are reached, which key is sent.

pub mod address;
mod client;
mod pattern;
mod upstream;

pub use client::{Client, ClientFactory};
pub use pattern::Pattern;
pub use upstream::{CredentialError, Upstream, UpstreamCall, UpstreamError, UpstreamKey};
