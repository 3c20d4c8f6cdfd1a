//! Providers of every kind: what a request to them looks like, which key it carries, how it gets there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod connections;
mod golden;
mod keys;
mod reuse;
mod tokens;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use peerway::config;
use peerway::operation::Operation;
use peerway::provider::{ClientFactory, Upstream, UpstreamCall, UpstreamKey};
use peerway_dialect::Dialect;
use serde_json::{Value, json};

const ACCOUNT_KEY: &str = include_str!("fixtures/service_account.pem");

/// A provider with these fields over a name.
fn provider(fields: Value) -> config::Provider {
    let mut provider = json!({"name": "p"});
    for (name, value) in fields.as_object().unwrap() {
        provider[name] = value.clone();
    }
    let provider: config::Provider = serde_json::from_value(provider).unwrap();
    let whole = config::Config { providers: vec![provider.clone()], ..Default::default() };
    config::verify(&whole).unwrap_or_else(|errors| panic!("{errors}"));
    provider
}

fn upstream(fields: Value) -> Upstream {
    Upstream::prepare(&provider(fields), 1, &ClientFactory::new().unwrap()).unwrap()
}

fn call(operation: Operation, dialect: Dialect, model: &str, stream: bool) -> UpstreamCall<'_> {
    UpstreamCall { operation, dialect, model, stream, content_type: None }
}

/// The first key that may be used for a model; which of several is routing's choice.
fn key<'u>(upstream: &'u Upstream, model: &str) -> Option<&'u UpstreamKey> {
    upstream.keys().iter().find(|key| key.fits(model))
}

/// A chat call as a client that speaks chat completions has it made.
async fn chat(upstream: &Upstream, model: &str) -> Request<Full<Bytes>> {
    let dialect = upstream.chat_dialect(Dialect::OpenAiChat, model);
    let key = key(upstream, model);
    upstream.request(&call(Operation::Chat, dialect, model, false), key, Bytes::from_static(b"{}")).await.unwrap()
}

/// A service account whose tokens come from `token_uri`.
fn account(token_uri: &str) -> String {
    json!({"type": "service_account", "client_email": "gateway@project-1.iam.example", "private_key": ACCOUNT_KEY,
        "private_key_id": "key-1", "project_id": "project-1", "token_uri": token_uri})
    .to_string()
}
