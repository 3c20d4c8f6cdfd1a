//! Lists of models, in the form that each dialect's clients read. The gateway knows names and nothing more, so what else a
//! form demands is as neutral as can be.

use peerway_dialect::Dialect;
use serde_json::{Value, json};

/// When a model was made, for those who insist.
const LONG_AGO: &str = "1970-01-01T00:00:00Z";

/// The body of a list of models.
pub fn list(dialect: Dialect, names: &[String]) -> Value {
    let each = || names.iter().map(|name| one(dialect, name));
    match dialect {
        Dialect::Anthropic => json!({
            "data": each().collect::<Vec<_>>(),
            "has_more": false,
            "first_id": names.first(),
            "last_id": names.last(),
        }),
        Dialect::Gemini | Dialect::Cohere => json!({ "models": each().collect::<Vec<_>>() }),
        _ => json!({ "object": "list", "data": each().collect::<Vec<_>>() }),
    }
}

/// The body that tells of one model.
pub fn one(dialect: Dialect, name: &str) -> Value {
    match dialect {
        Dialect::Anthropic => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": LONG_AGO })
        }
        Dialect::Gemini => json!({
            "name": format!("models/{name}"),
            "baseModelId": name,
            "version": "1",
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent"],
        }),
        Dialect::Cohere => json!({ "name": name, "endpoints": ["chat", "embed", "rerank"], "finetuned": false }),
        _ => {
            let owner = name.split_once('/').map_or("peerway", |(provider, _)| provider);
            json!({ "id": name, "object": "model", "created": 0, "owned_by": owner })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialects_clients_find_the_names() {
        let names = ["smart".to_owned(), "demo/echo".to_owned()];
        assert_eq!(list(Dialect::OpenAiChat, &names)["data"][1]["owned_by"], "demo");
        assert_eq!(list(Dialect::Anthropic, &names)["data"][0]["id"], "smart");
        assert_eq!(list(Dialect::Anthropic, &names)["last_id"], "demo/echo");
        assert_eq!(list(Dialect::Gemini, &names)["models"][1]["name"], "models/demo/echo");
        assert_eq!(list(Dialect::Cohere, &[])["models"], json!([]));
    }
}
