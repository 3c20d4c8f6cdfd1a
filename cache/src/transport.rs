//! How this crate asks a service over HTTP: through whoever runs it, who knows TLS, proxies and which addresses are
//! allowed.
//!
//! The crate has no HTTP client of its own. The node lends it the one that its providers are called with.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

/// The largest answer that is read, in bytes; a service that sends more is not the one that was asked for.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TransportError {
    /// What happened, without what is secret of the request.
    pub reason: String,
}

/// Sends requests.
#[async_trait]
pub trait Transport: Debug + Send + Sync {
    /// The whole answer, whatever its status. The caller sets the deadline and drops the future when it is over; an answer
    /// beyond [`MAX_ANSWER`] is an error.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError>;
}
