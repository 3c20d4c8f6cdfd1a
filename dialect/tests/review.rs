//! What clients do and providers refuse: every pair is asked for it once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::Dropped;
use peerway_dialect::canonical::{ChatRequest, Content, Message, Part, Role, Source};
use serde_json::Value;
use support::{Speaker, speakers};

fn sent(provider: &Speaker, messages: Vec<Message>) -> (Value, String) {
    let request = ChatRequest { model: provider.model.into(), messages, ..ChatRequest::default() };
    let mut dropped = Dropped::new();
    let body = (provider.encode_request)(&request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header_value().unwrap_or_default())
}

fn turns(body: &Value) -> &Vec<Value> {
    ["messages", "contents", "input"].iter().find_map(|key| body[*key].as_array()).unwrap()
}

/// A turn without content is refused by most: it is left out, or said with no words.
#[test]
fn an_empty_turn_of_the_assistant_is_no_turn_without_content() {
    for provider in speakers() {
        let (body, _) = sent(
            &provider,
            vec![
                Message::text(Role::User, "hi"),
                Message::new(Role::Assistant, Vec::new()),
                Message::text(Role::User, "hello?"),
            ],
        );
        for turn in turns(&body) {
            for key in ["content", "parts"] {
                assert_ne!(turn[key].as_array().map(Vec::len), Some(0), "{}: {body}", provider.name());
            }
        }
        let text = body.to_string();
        assert!(text.contains("hi") && text.contains("hello?"), "{}: {body}", provider.name());
    }
}

/// Turns alternate where they must: words of one role in a row are one turn.
#[test]
fn turns_alternate_where_they_must() {
    for provider in speakers().into_iter().filter(|speaker| ["anthropic", "bedrock"].contains(&speaker.name())) {
        let (body, _) = sent(
            &provider,
            vec![
                Message::text(Role::User, "one"),
                Message::text(Role::User, "two"),
                Message::text(Role::Assistant, "three"),
                Message::text(Role::Assistant, "four"),
                Message::text(Role::User, "five"),
            ],
        );
        let roles: Vec<&str> = turns(&body).iter().map(|turn| turn["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "user"], "{}: {body}", provider.name());
    }
}

/// System words reach the model wherever they stand; a place that is lost is named.
#[test]
fn system_and_developer_words_reach_every_model() {
    for provider in speakers() {
        let (body, dropped) = sent(
            &provider,
            vec![
                Message::text(Role::System, "be brief"),
                Message::text(Role::User, "hi"),
                Message::text(Role::Developer, "be kind"),
                Message::text(Role::User, "so?"),
            ],
        );
        let text = body.to_string();
        assert!(text.contains("be brief") && text.contains("be kind"), "{}: {body}", provider.name());
        let in_place = ["openai-chat", "openai-responses", "cohere"].contains(&provider.name());
        assert_eq!(dropped.contains("system.position"), !in_place, "{}: {dropped}", provider.name());
    }
}

/// A picture that a tool gives is seen by the model, or its absence is an error: never lost in silence.
#[test]
fn images_in_results_are_seen_or_refused() {
    let image = Source::Base64 { media_type: "image/png".into(), data: "aW1hZ2U=".into() };
    for provider in speakers() {
        let parts = vec![Part::text("see"), Part::new(Content::Image { source: image.clone(), detail: None })];
        let result = Content::ToolResult { call_id: "call_1".into(), parts, is_error: false };
        let request = ChatRequest {
            model: provider.model.into(),
            messages: vec![
                Message::text(Role::User, "look"),
                Message::new(Role::Assistant, vec![Part::tool_call("call_1", "look", "{}")]),
                Message::new(Role::Tool, vec![result.into()]),
            ],
            tools: vec![peerway_dialect::canonical::Tool::Function(peerway_dialect::canonical::Function {
                name: "look".into(),
                description: None,
                parameters: None,
                strict: None,
                cache: None,
            })],
            ..ChatRequest::default()
        };
        match (provider.encode_request)(&request, &mut Dropped::new()) {
            Ok(body) => {
                let body = String::from_utf8(body).unwrap();
                assert!(body.contains("aW1hZ2U="), "{}: {body}", provider.name());
            }
            Err(refused) => assert!(refused.field.starts_with("messages[2]"), "{refused}"),
        }
    }
}
