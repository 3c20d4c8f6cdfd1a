//! The list of models, in the form of the dialect that asks.

use http::Response;
use serde_json::{Value, json};

use crate::body::Body;
use crate::call::{self, Incoming, Reset};
use crate::dialect::Dialect;
use crate::error::ApiError;

pub(crate) async fn answer(incoming: &Incoming<'_>, id: Option<&str>) -> Result<Response<Body>, Reset> {
    let Incoming { worker, dialect, path, key, .. } = *incoming;
    let effect = worker.shared.faults.pick(path, key, None).unwrap_or_default();
    if let Some(refused) = call::refuse(worker, dialect, &effect).await? {
        return Ok(refused);
    }
    let known = &worker.shared.options.models;
    let value = match id {
        Some(id) if !known.is_empty() && !known.iter().any(|known| known == id) => {
            return Ok(call::refusal(worker, dialect, &ApiError::no_such_model(id)));
        }
        Some(id) => model(dialect, id),
        None if known.is_empty() => list(dialect, &["echo", "slow"]),
        None => list(dialect, &known.iter().map(String::as_str).collect::<Vec<_>>()),
    };
    Ok(call::json(worker, dialect, value.to_string().into()))
}

fn model(dialect: Dialect, id: &str) -> Value {
    match dialect {
        Dialect::Anthropic => {
            json!({ "type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z" })
        }
        Dialect::Gemini => json!({
            "name": format!("models/{id}"), "version": "001", "displayName": id, "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent"],
        }),
        _ => json!({ "id": id, "object": "model", "created": 1_700_000_000, "owned_by": "simulated" }),
    }
}

fn list(dialect: Dialect, ids: &[&str]) -> Value {
    let models: Vec<Value> = ids.iter().map(|id| model(dialect, id)).collect();
    match dialect {
        Dialect::Anthropic => {
            json!({ "data": models, "has_more": false, "first_id": ids.first(), "last_id": ids.last() })
        }
        Dialect::Gemini => json!({ "models": models }),
        _ => json!({ "object": "list", "data": models }),
    }
}
