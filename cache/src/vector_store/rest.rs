//! JSON asked of a service through a [`Transport`].

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::Value;

use super::connection::Connection;
use super::database::Failure;
use super::names;
use crate::transport::Transport;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A service, and what every request to it carries.
#[derive(Debug)]
pub(super) struct Rest {
    transport: Arc<dyn Transport>,
    base: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rest {
    /// `key` is the header that lets in, where the connection has a key.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        connection: &Connection,
        key: impl FnOnce(&str) -> (HeaderName, String),
    ) -> Rest {
        let mut rest = Rest { transport, base: connection.base(), headers: vec![(ACCEPT, JSON)] };
        if let Some((name, value)) = connection.api_key.as_deref().map(key)
            && let Ok(mut value) = HeaderValue::from_str(&value)
        {
            value.set_sensitive(true);
            rest.headers.push((name, value));
        }
        rest
    }

    /// With one more header on every request.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Rest {
        self.headers.push((name, value));
        self
    }

    /// The answer, whatever its status; null where it is no JSON.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, JSON);
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(body).map_err(|error| Failure::Refused(error.to_string()))?;
        let answer = self.transport.send(request).await.map_err(|error| Failure::Lost(names::brief(&error.reason)))?;
        let (head, body) = answer.into_parts();
        Ok((head.status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// The answer to a request that must succeed.
    pub(super) async fn demand(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let (status, answer) = self.ask(method, path, body).await?;
        if status.is_success() { Ok(answer) } else { Err(failure(status, &answer)) }
    }
}

/// What a status other than success means. What is wrong with one request says nothing about the next.
pub(super) fn failure(status: StatusCode, answer: &Value) -> Failure {
    // Weaviate says `error`, a list of messages; Pinecone `message`, or `error` with a message.
    let said = ["/message", "/error/0/message", "/error/message"]
        .into_iter()
        .find_map(|at| answer.pointer(at).and_then(Value::as_str))
        .unwrap_or_default();
    let reason = names::brief(&format!("answered {status}: {said}"));
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::Refused(reason)
        }
        _ => Failure::Lost(reason),
    }
}

/// A field that is text.
pub(super) fn text(fields: &Value, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}

/// A field that is a number without a fraction, however it is written.
pub(super) fn number(fields: &Value, name: &str) -> Option<u64> {
    let field = fields.get(name)?;
    let whole = |number: f64| {
        (number >= 0.0 && number.fract() == 0.0 && number <= names::MAX_NUMBER as f64).then_some(number as u64)
    };
    field.as_u64().or_else(|| whole(field.as_f64()?))
}
