//! Any request and any answer that a dialect can express.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "test support")]

pub mod answers;
pub mod requests;

use peerway_dialect::canonical::{
    CacheMark, Content, Function, Message, Part, Role, Signature, Source, Tool, ToolChoice,
};
use peerway_dialect::{Dialect, Json};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z é✓\"\\\\\n]{1,20}", Just("x".to_owned())]
}

pub fn name() -> impl Strategy<Value = String> {
    "[a-z_]{1,12}"
}

pub fn object() -> impl Strategy<Value = String> {
    btree_map(
        name(),
        prop_oneof![text().prop_map(serde_json::Value::from), any::<i32>().prop_map(serde_json::Value::from)],
        0..4,
    )
    .prop_map(|map| serde_json::to_string(&map).unwrap())
}

pub fn schema() -> impl Strategy<Value = Json> {
    object().prop_map(|object| Json::parse(&format!(r#"{{"type":"object","z":1.50,"properties":{object}}}"#)).unwrap())
}

/// A schema that any provider takes as strict.
pub fn closed(schema: &Json) -> Json {
    let mut schema = schema.to_value();
    let members = schema["properties"].as_object().unwrap();
    schema["required"] = members.keys().map(String::as_str).collect();
    schema["additionalProperties"] = false.into();
    Json::of(&schema)
}

pub fn image() -> impl Strategy<Value = Source> {
    prop_oneof![
        "https://[a-z]{1,8}/[a-z]{1,8}".prop_map(Source::Url),
        ("image/(png|jpeg)", "[A-Za-z0-9+/]{4,12}").prop_map(|(media_type, data)| Source::Base64 { media_type, data }),
    ]
}

pub fn tenths(up_to: u32) -> impl Strategy<Value = f64> {
    (0..=up_to).prop_map(|tenths| f64::from(tenths) / 10.0)
}

pub fn cache() -> impl Strategy<Value = Option<CacheMark>> {
    of(of(prop_oneof![Just("5m".to_owned()), Just("1h".to_owned())]).prop_map(|ttl| CacheMark { ttl }))
}

/// A conversation: a system prompt, then turns of a user, an assistant that may call, and results.
pub fn turns(marks: bool, thoughts: bool, detail: bool) -> impl Strategy<Value = Vec<Message>> {
    let mark = move || if marks { cache().boxed() } else { Just(None).boxed() };
    let said = move || (text(), mark()).prop_map(|(text, cache)| Part { cache, ..Part::text(text) });
    let shown = move || {
        let detail = if detail { of(Just("low".to_owned())).boxed() } else { Just(None).boxed() };
        (image(), detail).prop_map(|(source, detail)| Part::new(Content::Image { source, detail }))
    };
    let call = (text(), name(), object()).prop_map(|(_, name, arguments)| (name, arguments));
    let turn = (vec(said(), 1..3), of(shown()), text(), vec(call, 0..3), vec(said(), 1..2), of(text()));
    (of(vec(said(), 1..3)), vec(turn, 1..4)).prop_map(move |(system, turns)| {
        let mut messages: Vec<Message> = system.into_iter().map(|parts| Message::new(Role::System, parts)).collect();
        for (at, (mut user, image, answer, calls, result, thought)) in turns.into_iter().enumerate() {
            user.extend(image);
            messages.push(Message::new(Role::User, user));
            let mut parts = Vec::new();
            if let Some(text) = thought.filter(|_| thoughts) {
                let mut part = Part::new(Content::Thinking { text });
                part.signature = Some(Signature::new(Dialect::Anthropic, "c2ln"));
                parts.push(part);
            }
            parts.push(Part::text(answer));
            let ids: Vec<String> = (0..calls.len()).map(|call| format!("call_{at}_{call}")).collect();
            for (id, (name, arguments)) in ids.iter().zip(calls) {
                parts.push(Part::tool_call(id, name, arguments));
            }
            messages.push(Message::new(Role::Assistant, parts));
            let results = ids
                .into_iter()
                .map(|call_id| Part::new(Content::ToolResult { call_id, parts: result.clone(), is_error: false }));
            let results: Vec<Part> = results.collect();
            if !results.is_empty() {
                messages.push(Message::new(Role::Tool, results));
            }
        }
        messages
    })
}

pub fn tools(marks: bool) -> impl Strategy<Value = Vec<Tool>> {
    let mark = if marks { cache().boxed() } else { Just(None).boxed() };
    let function = (name(), of(text()), schema(), of(any::<bool>()), mark);
    vec(function, 0..3).prop_map(|functions| {
        let tool = |(name, description, schema, strict, cache)| {
            let schema = if strict == Some(true) { closed(&schema) } else { schema };
            Tool::Function(Function { name, description, parameters: Some(schema), strict, cache })
        };
        functions.into_iter().map(tool).collect()
    })
}

pub fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
    ]
}

/// One tool result a message, as OpenAI has them.
pub fn apart(messages: Vec<Message>) -> Vec<Message> {
    let split = |message: Message| -> Vec<Message> {
        if message.role != Role::Tool {
            return vec![message];
        }
        message.parts.into_iter().map(|part| Message::new(Role::Tool, vec![part])).collect()
    };
    messages.into_iter().flat_map(split).collect()
}
