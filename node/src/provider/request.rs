//! The whole HTTP request of a call, but for what the gateway adds of the client's.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use peerway_dialect::Dialect;

use super::endpoint::{Endpoint, Fixed};
use super::token::TokenError;
use super::vertex;
use super::{Upstream, UpstreamKey};
use crate::operation::Operation;

/// What is asked of a provider.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamCall<'a> {
    pub operation: Operation,
    /// The wire format of the body.
    pub dialect: Dialect,
    /// As the configuration names it.
    pub model: &'a str,
    pub stream: bool,
    /// Of a body that is not JSON.
    pub content_type: Option<&'a HeaderValue>,
}

/// Why there is no request to send.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    Credential(#[from] TokenError),
    #[error("the model's name cannot be a part of this provider's URLs")]
    Model,
    #[error("there is no {operation} in the {dialect} dialect", operation = operation.as_str())]
    NoEndpoint { operation: Operation, dialect: Dialect },
    #[error("the body is not a JSON object")]
    Body,
}

impl Upstream {
    /// Makes a request. It is ready at once but for an access token that must be fetched first.
    pub async fn request(
        &self,
        call: &UpstreamCall<'_>,
        key: Option<&UpstreamKey>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, RequestError> {
        let UpstreamCall { operation, dialect, model, stream, content_type } = *call;
        let endpoint =
            Endpoint::of(operation, dialect, stream).ok_or(RequestError::NoEndpoint { operation, dialect })?;
        let uri = self.site.url(endpoint, model, stream).ok_or(RequestError::Model)?;
        let body = match endpoint {
            Endpoint::Fixed(Fixed::Messages) if self.site.is_vertex() => {
                vertex::messages_body(&body).ok_or(RequestError::Body)?
            }
            _ => body,
        };
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        let json = || HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, content_type.cloned().unwrap_or_else(json));
        headers.insert(ACCEPT, accept(operation, dialect, stream));
        if let Some(key) = key {
            key.credential.show(&mut request, &body).await?;
        }
        Ok(request)
    }
}

fn accept(operation: Operation, dialect: Dialect, stream: bool) -> HeaderValue {
    HeaderValue::from_static(match (operation, dialect) {
        (_, Dialect::Bedrock) if stream => "application/vnd.amazon.eventstream",
        _ if stream => "text/event-stream",
        // Sound, or a transcript as plain text or subtitles.
        (Operation::Speech | Operation::Transcriptions | Operation::Translations, _) => "*/*",
        _ => "application/json",
    })
}
