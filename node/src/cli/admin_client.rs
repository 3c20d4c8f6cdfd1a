//! The admin API of a running node, from the outside.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::config::Secret;

const DEADLINE: Duration = Duration::from_secs(10);
/// The status of a thousand nodes takes half a mebibyte.
const MAX_ANSWER: usize = 16 << 20;

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("`{url}` is not an address of an admin listener: write e.g. http://127.0.0.1:8081")]
    Address { url: String },
    #[error(
        "the admin token holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII)"
    )]
    Token,
    #[error("no answer from {url} ({reason}): is the node running, and is this its admin listener (--admin)?")]
    Unreachable { url: String, reason: String },
    #[error("{url} answered {status}: {detail}")]
    Refused { url: String, status: StatusCode, detail: String },
    #[error("what {url} answered is not JSON: is it an admin listener?")]
    NotJson { url: String },
}

/// Calls one node's admin listener.
#[derive(Debug, Clone)]
pub struct AdminClient {
    base: String,
    token: Option<Secret>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl AdminClient {
    /// `base` is a URL without a path, e.g. `http://127.0.0.1:8081`.
    pub fn new(base: impl Into<String>, token: Option<Secret>) -> Self {
        let mut base = base.into();
        base.truncate(base.trim_end_matches('/').len());
        Self { base, token, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub async fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.call(Method::POST, path, body.to_string().into()).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.call(Method::PATCH, path, body.to_string().into()).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, AdminError> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, AdminError> {
        let url = format!("{}{path}", self.base);
        let (status, body) =
            tokio::time::timeout(DEADLINE, self.exchange(method, &url, body)).await.map_err(|_| {
                AdminError::Unreachable { url: url.clone(), reason: format!("{} s passed", DEADLINE.as_secs()) }
            })??;
        let answer: Result<Value, _> = serde_json::from_slice(&body);
        if !status.is_success() {
            let detail = answer.as_ref().ok().and_then(|problem| problem["detail"].as_str().map(str::to_owned));
            let detail = detail.unwrap_or_else(|| String::from_utf8_lossy(&body).chars().take(200).collect());
            return Err(AdminError::Refused { url, status, detail });
        }
        answer.map_err(|_| AdminError::NotJson { url })
    }

    async fn exchange(&self, method: Method, url: &str, body: Bytes) -> Result<(StatusCode, Bytes), AdminError> {
        let bad_address = || AdminError::Address { url: self.base.clone() };
        let uri: Uri = url.parse().map_err(|_| bad_address())?;
        if uri.scheme_str() != Some("http") {
            return Err(bad_address());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| AdminError::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let unreachable = |reason: String| AdminError::Unreachable { url: url.to_owned(), reason };
        let response = self.client.request(request).await.map_err(|error| unreachable(root_cause(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok((status, body.map_err(|error| unreachable(error.to_string()))?.to_bytes()))
    }
}

/// The innermost error: what the system said, without the layers that passed it on.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
