//! For each row of the table: the requests that are made of it, against `golden/TYPE.txt`. `UPDATE_GOLDEN=1` writes the
//! files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use peerway::operation::Operation;
use peerway::provider::Upstream;
use peerway::provider::table::TABLE;
use peerway_dialect::Dialect;
use peerway_dialect::bedrock::sigv4::{Credentials, Scope, ToSign, sign};
use serde_json::{Value, json};

use crate::{call, chat, key, upstream};

/// What a row needs of an operator beyond its key, and the models to ask it for.
fn example(name: &str) -> (Value, Vec<&'static str>) {
    let mut fields = json!({"type": name, "keys": [{"id": "main", "value": "sk-upstream"}]});
    let mut models = vec!["model-1"];
    match name {
        "openai" => models = vec!["gpt-5", "gpt-3.5-turbo-instruct"],
        "anthropic" => models = vec!["claude-sonnet-4-6"],
        "gemini" => models = vec!["gemini-2.5-pro", "tunedModels/mine", "a b?c#d"],
        "vertex" => {
            (fields["project"], fields["location"]) = (json!("project-1"), json!("europe-west4"));
            models = vec!["gemini-2.5-pro", "claude-sonnet-4@20250514", "meta/llama-4"];
        }
        "azure" => {
            fields["base_url"] = json!("https://mine.openai.azure.com");
            fields["deployments"] = json!({"gpt-5": "prod-gpt/5"});
            models = vec!["gpt-5", "gpt-4o"];
        }
        "bedrock" => {
            fields["region"] = json!("eu-central-1");
            models = vec![
                "anthropic.claude-sonnet-4-v1:0",
                "arn:aws:bedrock:eu-central-1:1:inference-profile/x",
                "amazon.titan-embed-text-v2:0",
            ];
        }
        "ollama" => fields["allow_private"] = json!(true),
        "vllm" | "openai_compatible" | "simulated" => fields["base_url"] = json!("https://llm.example.com/v1/"),
        _ => {}
    }
    (fields, models)
}

async fn told(upstream: &Upstream, model: &str, operation: Operation, dialect: Dialect, stream: bool) -> String {
    let body = Bytes::from_static(br#"{"model":"m","input":"x"}"#);
    let key = key(upstream, model);
    let request = upstream.request(&call(operation, dialect, model, stream), key, body.clone()).await.unwrap();
    let kind = if stream { ", stream" } else { "" };
    let mut text = format!("# {} of {model} in {dialect}{kind}\n", operation.as_str());
    writeln!(text, "{} {}", request.method(), request.uri()).unwrap();
    let mut headers: Vec<String> =
        request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    text.push_str(&headers.join("\n"));
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    if sent != body {
        write!(text, "\n\n{}", std::str::from_utf8(&sent).unwrap()).unwrap();
    }
    text + "\n\n"
}

#[tokio::test]
async fn each_row_makes_the_requests_that_its_provider_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/providers/golden");
    let version = format!("peerway/{}", env!("CARGO_PKG_VERSION"));
    let mut wrong = Vec::new();
    for row in &TABLE {
        let (fields, models) = example(row.name);
        let upstream = upstream(fields);
        let mut text = String::new();
        for model in models {
            for operation in Operation::ALL {
                let Some(dialect) = upstream.serves_operation(operation, model) else { continue };
                text.push_str(&told(&upstream, model, operation, dialect, false).await);
                if operation == Operation::Chat {
                    text.push_str(&told(&upstream, model, operation, dialect, true).await);
                }
            }
        }
        let text = text.trim_end().replace(&version, "peerway/VERSION") + "\n";
        let path = folder.join(format!("{}.txt", row.name));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_kind_has_a_row_of_its_name() {
    for row in &TABLE {
        let kind: peerway::config::ProviderKind = serde_json::from_value(json!(row.name)).unwrap();
        assert_eq!(kind, row.kind);
        assert_eq!(peerway::provider::table::row(kind).name, row.name);
        let rows = TABLE.iter().filter(|other| other.name == row.name || other.kind == row.kind).count();
        assert_eq!(rows, 1, "{}", row.name);
    }
    let schema = peerway::cli::schema::schema();
    let mut kinds = 0;
    for variants in schema["$defs"]["ProviderKind"]["oneOf"].as_array().unwrap() {
        kinds += variants["enum"].as_array().map_or(1, Vec::len);
    }
    assert_eq!(kinds, TABLE.len(), "a kind has no row");
}

#[test]
fn the_documentation_has_each_row() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
    let text = fs::read_to_string(path).unwrap();
    for row in &TABLE {
        let line = text.lines().find(|line| line.starts_with(&format!("| `{}` |", row.name)));
        let line = line.unwrap_or_else(|| panic!("docs/providers.md lacks {}", row.name));
        for part in row.base_url.iter().chain(row.variables) {
            assert!(line.contains(part), "docs/providers.md, {}: {part}", row.name);
        }
        assert!(line.contains(row.chat.name()), "docs/providers.md, {}: {}", row.name, row.chat);
    }
}

#[tokio::test]
async fn a_clients_own_dialect_is_kept_where_the_provider_speaks_it() {
    let (openai, groq, vllm) = (example("openai").0, example("groq").0, example("vllm").0);
    let vertex = example("vertex").0;
    for (fields, client, model, expected) in [
        (&openai, Dialect::OpenAiChat, "gpt-5", Dialect::OpenAiChat),
        (&openai, Dialect::OpenAiResponses, "gpt-5", Dialect::OpenAiResponses),
        (&openai, Dialect::OpenAiCompletions, "gpt-5", Dialect::OpenAiChat),
        (&openai, Dialect::OpenAiCompletions, "gpt-3.5-turbo-instruct", Dialect::OpenAiCompletions),
        (&openai, Dialect::Anthropic, "gpt-5", Dialect::OpenAiChat),
        (&groq, Dialect::OpenAiResponses, "x", Dialect::OpenAiChat),
        (&groq, Dialect::OpenAiCompletions, "x", Dialect::OpenAiChat),
        (&vllm, Dialect::OpenAiCompletions, "x", Dialect::OpenAiCompletions),
        (&vertex, Dialect::OpenAiChat, "gemini-2.5-pro", Dialect::Gemini),
        (&vertex, Dialect::OpenAiChat, "claude-opus-4-6", Dialect::Anthropic),
        (&vertex, Dialect::Anthropic, "claude-opus-4-6", Dialect::Anthropic),
        (&vertex, Dialect::OpenAiResponses, "meta/llama-4", Dialect::OpenAiChat),
    ] {
        assert_eq!(upstream(fields.clone()).chat_dialect(client, model), expected, "{client} {model}");
    }
}

#[tokio::test]
async fn a_models_name_cannot_leave_its_place() {
    for (name, models) in [
        ("gemini", vec!["..", ".", "", "../x", "a/../b", "a//b", "models/../../v1/x"]),
        ("bedrock", vec!["..", ".", ""]),
        ("azure", vec!["..", ".", ""]),
        ("vertex", vec!["..", "."]),
    ] {
        let upstream = upstream(example(name).0);
        for model in models {
            let dialect = upstream.chat_dialect(Dialect::OpenAiChat, model);
            let key = key(&upstream, model);
            let made = upstream.request(&call(Operation::Chat, dialect, model, false), key, Bytes::new()).await;
            if dialect != Dialect::OpenAiChat || name == "azure" {
                assert!(made.is_err(), "{name} {model}: {:?}", made.unwrap().uri());
            }
        }
        let hostile = "x?key=1#@evil.example/%2e%2e\u{e9}";
        let uri = chat(&upstream, hostile).await.uri().clone();
        let plain = chat(&upstream, "x").await.uri().clone();
        assert_eq!((uri.scheme(), uri.authority()), (plain.scheme(), plain.authority()));
        assert!(!uri.path().contains(['#', '?']) && uri.query() == plain.query(), "{uri}");
    }
}

#[tokio::test]
async fn a_signature_is_the_one_that_aws_computes() {
    let (mut fields, models) = example("bedrock");
    fields["keys"] =
        json!([{"id": "main", "access_key_id": "AKIDEXAMPLE", "value": "secret/key", "session_token": "session"}]);
    let upstream = upstream(fields);
    let request = chat(&upstream, models[0]).await;
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    let date = header("x-amz-date");
    let moment = time::PrimitiveDateTime::parse(
        date,
        &time::format_description::parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z").unwrap(),
    )
    .unwrap()
    .assume_utc();
    let signed = sign(
        &ToSign {
            method: "POST",
            path: "/model/anthropic.claude-sonnet-4-v1%3A0/converse",
            query: "",
            headers: &[("host", "bedrock-runtime.eu-central-1.amazonaws.com"), ("content-type", "application/json")],
            body: b"{}",
        },
        &Credentials { access_key_id: "AKIDEXAMPLE", secret_access_key: "secret/key", session_token: Some("session") },
        &Scope { region: "eu-central-1", service: "bedrock", unix_seconds: moment.unix_timestamp() as u64 },
    );
    assert_eq!(header("authorization"), signed.authorization);
    assert_eq!(header("x-amz-security-token"), "session");
    assert!(!format!("{upstream:?}").contains("secret/key"));
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
}

#[tokio::test]
async fn an_operators_headers_are_sent_and_never_shown() {
    let (mut fields, _) = example("anthropic");
    fields["headers"] = json!({"X-Team": "search", "anthropic-version": "2024-01-01", "anthropic-beta": "b-1"});
    let upstream = upstream(fields);
    let request = chat(&upstream, "claude").await;
    assert_eq!(request.headers()["x-team"], "search");
    assert_eq!(request.headers()["anthropic-version"], "2024-01-01");
    assert!(!format!("{upstream:?}").contains("search"));
    assert!(!format!("{upstream:?}").contains("sk-upstream"));
}

#[tokio::test]
async fn a_body_that_is_no_json_keeps_its_type() {
    let upstream = upstream(example("openai").0);
    let kind = http::HeaderValue::from_static("multipart/form-data; boundary=x");
    let asked = peerway::provider::UpstreamCall {
        content_type: Some(&kind),
        ..call(Operation::Transcriptions, Dialect::OpenAiChat, "whisper-1", false)
    };
    let request = upstream.request(&asked, None, Bytes::new()).await.unwrap();
    assert_eq!(request.headers()["content-type"], kind);
    assert_eq!(request.uri(), "https://api.openai.com/v1/audio/transcriptions");
}
