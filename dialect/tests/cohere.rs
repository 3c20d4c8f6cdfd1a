//! Cohere's own corners: documents, plans, ranges, streams that break, rerank, embed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::canonical::{
    ChatRequest, Choice, Collector, Content, Effort, EmbedInput, Failure, FailureKind, Finish, Function, Message, Part,
    Reasoning, Role, Source, StreamEvent, Tool, ToolChoice, VectorEncoding,
};
use peerway_dialect::cohere::{self, StreamDecoder, StreamEncoder};
use peerway_dialect::{Dropped, anthropic};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::golden;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(golden().join("cohere").join(name)).unwrap()
}

fn decode(stream: &[u8]) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    decoder.push(stream, &mut events);
    decoder.end(&mut events);
    events
}

fn sent(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::new();
    let bytes = cohere::encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), dropped.header_value().unwrap_or_default())
}

fn asked() -> ChatRequest {
    ChatRequest {
        model: "command-a-03-2025".into(),
        messages: vec![Message::text(Role::User, "x")],
        ..ChatRequest::default()
    }
}

#[test]
fn documents_are_files_that_others_understand() {
    let request = cohere::decode_request(&file("request.full.json")).unwrap();
    assert_eq!(request.unread.header_value().as_deref(), Some("messages.citations"));
    let last = request.messages.last().unwrap();
    let documents = last.parts.iter().filter_map(|part| match &part.content {
        Content::File { source: Source::Text(text), name, cite: true, .. } => Some((text.as_str(), name.as_deref())),
        _ => None,
    });
    let documents = documents.collect::<Vec<_>>();
    assert_eq!(documents[..2], [("Penguins swim.", None), ("Owls fly.", Some("Owls"))]);
    let data: Value = serde_json::from_str(documents[2].0).unwrap();
    assert_eq!((data, documents[2].1), (json!({"author": "A", "text": "Ants dig."}), Some("d3")));
    let thoughts: Vec<_> = request.messages[1].parts.iter().map(|part| &part.content).collect();
    assert_eq!(thoughts[1], &Content::Thinking { text: "I will look.".into() }, "the plan");
    let Content::ToolResult { parts, .. } = &request.messages[2].parts[0].content else { panic!() };
    assert_eq!(parts, &[Part::text("18 C")]);

    let mut for_claude = request.clone();
    for_claude.model = "claude-opus-4-6".into();
    let body = anthropic::encode_request(&for_claude, &mut Dropped::new()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body.to_string().contains("Penguins swim."), "{body:#}");

    let (back, dropped) = sent(&request);
    assert_eq!(dropped, "messages.citations");
    assert_eq!(back["documents"][1], json!({"data": {"text": "Owls fly.", "title": "Owls"}}));
    assert_eq!(back["thinking"], json!({"type": "enabled", "token_budget": 512}));
    assert_eq!(back["citation_options"], json!({"mode": "FAST"}));
    let again = cohere::decode_request(back.to_string().as_bytes()).unwrap();
    assert_eq!(again.messages[2..], request.messages[2..]);
}

#[test]
fn files_without_text_are_refused() {
    let file = |source| {
        let content = Content::File { source, name: None, context: None, cite: false };
        let messages = vec![Message::new(Role::User, vec![content.into()])];
        let mut dropped = Dropped::new();
        cohere::encode_request(&ChatRequest { messages, ..asked() }, &mut dropped)
    };
    let base64 = |media_type: &str, data: &str| Source::Base64 { media_type: media_type.into(), data: data.into() };
    let body: Value = serde_json::from_slice(&file(base64("text/plain", "aGk=")).unwrap()).unwrap();
    assert_eq!(body["documents"], json!([{"data": {"text": "hi"}}]));
    for source in [base64("application/pdf", "aGk="), base64("text/plain", "/w=="), Source::Url("https://x".into())] {
        let refused = file(source).unwrap_err();
        assert_eq!(refused.field, "messages[0].content[0]");
    }
}

#[test]
fn plans_are_thoughts_plain_and_streamed() {
    let plain = cohere::decode_answer(&file("answer.plan.json")).unwrap();
    assert_eq!(plain.unread.header_value().as_deref(), Some("message.citations"));
    let told: Vec<_> = plain.choices[0].logprobs.as_ref().unwrap().content.iter().map(|told| told.logprob).collect();
    assert_eq!(told, [-0.75, -0.125], "of several tokens the product");
    let mut collector = Collector::new();
    decode(&file("stream.plan.sse")).iter().for_each(|event| collector.push(event));
    let streamed = collector.finish().unwrap();
    assert_eq!(streamed.choices[0].parts, plain.choices[0].parts);
    assert_eq!(streamed.usage, plain.usage);
}

#[test]
fn numbers_are_held_to_their_ranges_and_named() {
    let request = ChatRequest {
        temperature: Some(1.5),
        top_p: Some(1.0),
        top_k: Some(900),
        seed: Some(-1),
        presence_penalty: Some(-2.0),
        frequency_penalty: Some(0.5),
        reasoning: Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() }),
        ..asked()
    };
    let (body, dropped) = sent(&request);
    assert_eq!(dropped, "seed, temperature, top_p, top_k, presence_penalty, reasoning_effort");
    assert_eq!((&body["temperature"], &body["p"], &body["k"]), (&json!(1.0), &json!(0.99), &json!(500)));
    assert_eq!((&body["presence_penalty"], &body["frequency_penalty"]), (&json!(0.0), &json!(0.5)));
    assert_eq!(body["thinking"], json!({"type": "enabled", "token_budget": 2048}));
    assert!(body.get("seed").is_none());
    let refused = cohere::encode_request(&ChatRequest { n: Some(2), ..asked() }, &mut Dropped::new()).unwrap_err();
    assert_eq!(refused.field, "n");
}

#[test]
fn one_tool_is_chosen_by_offering_no_other() {
    let tool = |name: &str, strict| {
        let (name, description, parameters) = (name.to_owned(), None, None);
        Tool::Function(Function { name, description, parameters, strict, cache: None })
    };
    let with = |choice, strict| {
        let tools = vec![tool("f", Some(true)), tool("g", strict)];
        sent(&ChatRequest { tools, tool_choice: Some(choice), ..asked() })
    };
    let (body, dropped) = with(ToolChoice::Named("g".into()), Some(true));
    assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&json!("REQUIRED"), 1));
    assert_eq!(body["tools"][0]["function"]["name"], "g");
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!((&body["strict_tools"], dropped.as_str()), (&json!(true), ""));
    let (body, dropped) = with(ToolChoice::Auto, None);
    assert_eq!((body.get("tool_choice"), body.get("strict_tools"), dropped.as_str()), (None, None, "tools.strict"));
    let (body, _) = with(ToolChoice::Allowed { required: false, names: vec!["f".into()] }, None);
    assert_eq!((body.get("tool_choice"), body["tools"].as_array().unwrap().len()), (None, 1));
}

#[test]
fn an_answer_that_broke_is_no_answer() {
    let start = "data: {\"type\":\"message-start\",\"id\":\"c\",\"delta\":{\"message\":{}}}\n\n";
    for (end, kind, message) in [
        (r#"{"finish_reason":"ERROR","error":"boom"}"#, FailureKind::Upstream, "boom"),
        (r#"{"finish_reason":"TIMEOUT"}"#, FailureKind::Timeout, "the provider's answer broke off"),
        (r#"{"finish_reason":"COMPLETE","error":"late"}"#, FailureKind::Upstream, "late"),
        ("{}", FailureKind::Upstream, "the provider's answer broke off"),
    ] {
        let events = decode(format!("{start}data: {{\"type\":\"message-end\",\"delta\":{end}}}\n\n").as_bytes());
        let Some(StreamEvent::Error(failure)) = events.last() else { panic!("{events:?}") };
        assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{end}");
    }
    let events = decode(b"data: {\"message\":\"too many\",\"id\":\"r\"}\n\n");
    assert!(matches!(events.as_slice(), [StreamEvent::Error(failure)] if failure.message == "too many"));
    let plain = br#"{"id":"c","finish_reason":"ERROR","message":{"role":"assistant"}}"#;
    assert_eq!(cohere::decode_answer(plain).unwrap().choices[0].finish, None);

    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    encoder.push(&StreamEvent::TextDelta { choice: 0, text: "a".into() }, &mut bytes);
    encoder.push(&StreamEvent::Finish { choice: 0, reason: Finish::Stop }, &mut bytes);
    encoder.push(&StreamEvent::Error(Failure::new(FailureKind::Timeout, "slow")), &mut bytes);
    encoder.push(&StreamEvent::Done, &mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let end = r#""delta":{"error":"slow","finish_reason":"TIMEOUT"}"#;
    assert!(text.contains(end) && text.matches("message-end").count() == 2 && !text.contains("COMPLETE"), "{text}");
    let answer = peerway_dialect::canonical::ChatAnswer { choices: vec![Choice::default()], ..Default::default() };
    assert!(String::from_utf8(cohere::encode_answer(&answer)).unwrap().contains("\"ERROR\""));
}

#[test]
fn blocks_begin_and_end_in_order() {
    let steps = [
        StreamEvent::Start { id: "c".into(), model: String::new(), created: None },
        StreamEvent::ThinkingDelta { choice: 0, text: "hm".into() },
        StreamEvent::TextDelta { choice: 0, text: "a".into() },
        StreamEvent::TextDelta { choice: 0, text: "b".into() },
        StreamEvent::ToolCallStart { choice: 0, index: 0, id: "x".into(), name: "f".into(), signature: None },
        StreamEvent::ToolCallDelta { choice: 0, index: 0, arguments: "{}".into() },
        StreamEvent::TextDelta { choice: 1, text: "of a choice that nobody asked for".into() },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::Done,
    ];
    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    steps.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "message-start",
            "content-start",
            "content-delta",
            "content-end",
            "content-start",
            "content-delta",
            "content-delta",
            "content-end",
            "tool-call-start",
            "tool-call-delta",
            "tool-call-end",
            "message-end",
        ]
    );
    assert!(!text.contains("nobody"));
}

#[test]
fn rerank() {
    let request = cohere::decode_rerank_request(&file("request.rerank.json")).unwrap();
    let mut dropped = Dropped::new();
    let sent = cohere::encode_rerank_request(&request, &mut dropped).unwrap();
    let body: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(body["documents"][1], "Rome");
    assert!(body["documents"][2].as_str().unwrap().contains("Oslo"), "as its JSON");
    assert_eq!((&body["top_n"], &body["priority"], dropped.is_empty()), (&json!(2), &json!(1), true));
    let answer = cohere::decode_rerank_answer(&file("answer.rerank.json")).unwrap();
    assert_eq!((answer.results[0].index, answer.results[0].score, answer.search_units), (2, 0.75, 1));
    assert_eq!(answer.usage.unwrap().input, 12);
    assert_eq!(cohere::decode_rerank_answer(&cohere::encode_rerank_answer(&answer)).unwrap(), answer);
    let alike = br#"{"model":"m","results":[{"index":0,"relevance_score":1}],"usage":{"total_tokens":9}}"#;
    assert_eq!(cohere::decode_rerank_answer(alike).unwrap().usage.unwrap().input, 9);
    let error = cohere::decode_rerank_request(br#"{"model":"m","query":"q","documents":[7]}"#).unwrap_err();
    assert_eq!(error.field(), Some("documents[0]"));
}

#[test]
fn embed() {
    let request = cohere::decode_embed_request(&file("request.embed.json")).unwrap();
    assert_eq!((request.inputs.len(), request.task.as_deref()), (2, Some("search_query")));
    let mut dropped = Dropped::new();
    let sent = cohere::encode_embed_request(&request, &mut dropped).unwrap();
    assert_eq!(cohere::decode_embed_request(&sent).unwrap(), request);
    assert!(dropped.is_empty());
    let mixed = br#"{"model":"m","inputs":[{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#;
    assert_eq!(cohere::decode_embed_request(mixed).unwrap().inputs, [EmbedInput::Text("a\nb".into())]);
    for (body, field) in [
        (r#"{"model":"m","texts":["a"],"embedding_types":["int8"]}"#, "embedding_types"),
        (r#"{"model":"m","images":["x"]}"#, "images"),
        (r#"{"model":"m"}"#, "texts"),
    ] {
        assert_eq!(cohere::decode_embed_request(body.as_bytes()).unwrap_err().field(), Some(field), "{body}");
    }
    let tokens = peerway_dialect::canonical::EmbedRequest { inputs: vec![EmbedInput::Tokens(vec![1])], ..request };
    assert!(cohere::encode_embed_request(&tokens, &mut Dropped::new()).is_err());

    let answer = cohere::decode_embed_answer(&file("answer.embed.json")).unwrap();
    assert_eq!((answer.vectors[0].as_slice(), answer.usage.unwrap().input), ([0.5, -0.25, 1.0].as_slice(), 4));
    for encoding in [VectorEncoding::Float, VectorEncoding::Base64] {
        let bytes = cohere::encode_embed_answer(&answer, encoding);
        assert_eq!(cohere::decode_embed_answer(&bytes).unwrap(), answer, "{encoding:?}");
    }
}

#[test]
fn the_last_block_ends_before_the_message() {
    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    encoder.push(&StreamEvent::TextDelta { choice: 0, text: "a".into() }, &mut bytes);
    encoder.push(&StreamEvent::Finish { choice: 0, reason: Finish::Stop }, &mut bytes);
    encoder.push(&StreamEvent::Done, &mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (before, _) = text.split_once("event: message-end").unwrap();
    assert!(before.contains("event: content-end"), "{text}");
}

#[test]
fn calls_told_side_by_side_keep_their_arguments() {
    let step = |kind: &str, index: u32, call: &str| {
        format!(
            "data: {{\"type\":\"{kind}\",\"index\":{index},\"delta\":{{\"message\":{{\"tool_calls\":{call}}}}}}}\n\n"
        )
    };
    let stream = [
        step("tool-call-start", 3, r#"{"id":"x","function":{"name":"f","arguments":"{"}}"#),
        step("tool-call-start", 7, r#"[{"id":"y","function":{"name":"g","arguments":"{"}}]"#),
        step("tool-call-delta", 3, r#"{"function":{"arguments":"\"a\":1}"}}"#),
        step("tool-call-delta", 7, r#"{"function":{"arguments":"}"}}"#),
        "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\"}}\n\n".to_owned(),
    ]
    .concat();
    let mut collector = Collector::new();
    decode(stream.as_bytes()).iter().for_each(|event| collector.push(event));
    let parts = collector.finish().unwrap().choices.remove(0).parts;
    assert_eq!(parts, [Part::tool_call("x", "f", r#"{"a":1}"#), Part::tool_call("y", "g", "{}")]);
    let lost = decode(step("tool-call-delta", 0, r#"{"function":{"arguments":"x"}}"#).as_bytes());
    assert!(matches!(lost.last(), Some(StreamEvent::Error(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Golden bodies with bytes changed: answers or errors, never a panic.
    #[test]
    fn damaged_bodies_never_panic(which in 0_usize..7, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let names = ["request.full", "request.tools", "request.embed", "request.rerank", "answer.plan", "answer.embed", "answer.rerank"];
        let mut body = file(&format!("{}.json", names[which]));
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(request) = cohere::decode_request(&body) {
            let _ = cohere::encode_request(&request, &mut Dropped::new());
        }
        if let Ok(answer) = cohere::decode_answer(&body) {
            let _ = cohere::encode_answer(&answer);
        }
        let _ = cohere::decode_embed_request(&body);
        let _ = cohere::decode_embed_answer(&body);
        if let Ok(request) = cohere::decode_rerank_request(&body) {
            let _ = cohere::encode_rerank_request(&request, &mut Dropped::new());
        }
        let _ = cohere::decode_rerank_answer(&body);
        let _ = cohere::decode_error(500, &body);
    }
}
