//! Bedrock: what its own clients and its provider rely on beyond what all dialects share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use peerway_dialect::bedrock::framing::{FrameSplitter, write_frame};
use peerway_dialect::bedrock::{self, StreamDecoder, StreamEncoder};
use peerway_dialect::canonical::{
    CacheMark, ChatAnswer, ChatRequest, Choice, Collector, Content, Failure, FailureKind, Finish, Function, Message,
    Part, ResponseFormat, Role, Signature, Source, StreamEvent, Tool, ToolChoice, Usage, replay,
};
use peerway_dialect::{Dialect, Dropped, Json};
use serde_json::{Value, json};

fn read(body: &Value) -> ChatRequest {
    bedrock::decode_request(body.to_string().as_bytes()).unwrap()
}

fn send(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::new();
    let sent = bedrock::encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&sent).unwrap(), dropped.header_value().unwrap_or_default())
}

fn refusal(request: &ChatRequest) -> String {
    bedrock::encode_request(request, &mut Dropped::new()).unwrap_err().to_string()
}

fn asking(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "amazon.nova-pro-v1:0".into(), messages, ..ChatRequest::default() }
}

fn user(parts: Vec<Part>) -> ChatRequest {
    asking(vec![Message::new(Role::User, parts)])
}

fn function() -> Tool {
    Tool::Function(Function { name: "f".into(), description: None, parameters: None, strict: None, cache: None })
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    write_frame(&headers, payload.to_string().as_bytes(), &mut bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    decoder.push(bytes, &mut events);
    decoder.end(&mut events);
    events
}

fn encode(events: &[StreamEvent]) -> Vec<(String, Value)> {
    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.end(&mut bytes);
    let mut told = Vec::new();
    let read = FrameSplitter::new().push(&bytes, |frame| {
        let name = frame.header(":event-type").or(frame.header(":exception-type")).unwrap().to_owned();
        told.push((name, serde_json::from_slice(&frame.payload).unwrap()));
    });
    read.unwrap();
    told
}

fn answer(parts: Vec<Part>, finish: Finish) -> ChatAnswer {
    ChatAnswer {
        choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs: None }],
        usage: Some(Usage::default()),
        ..ChatAnswer::default()
    }
}

#[test]
fn cache_points_are_marks_on_what_is_before_them() {
    let body = json!({"messages": [
        {"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]},
        {"role": "assistant", "content": [{"cachePoint": {"type": "default"}}, {"text": "b"}]},
    ], "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]});
    let request = read(&body);
    assert_eq!(request.messages[0].parts[0].cache, Some(CacheMark { ttl: None }));
    // The later of two marks at one place.
    assert_eq!(request.messages[1].parts[0].cache, Some(CacheMark { ttl: None }));
    assert!(request.unread.is_empty());
    let (sent, dropped) = send(&request);
    assert_eq!(sent["system"], body["system"]);
    assert_eq!(sent["messages"][0]["content"][1], json!({"cachePoint": {"type": "default"}}));
    assert_eq!(dropped, "");
}

#[test]
fn documents_get_names_that_bedrock_takes() {
    let file = |name: Option<&str>| {
        let source = Source::Base64 { media_type: "application/pdf".into(), data: "aGk=".into() };
        Part::new(Content::File { source, name: name.map(str::to_owned), context: None, cite: false })
    };
    let parts = vec![Part::text("see"), file(Some("Q3  report_v2.pdf")), file(Some("a")), file(Some("a")), file(None)];
    let (sent, dropped) = send(&user(parts));
    let content = sent["messages"][0]["content"].as_array().unwrap();
    let names: Vec<&str> = content[1..].iter().map(|block| block["document"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Q3 report v2 pdf", "a", "a 2", "document"]);
    assert_eq!(dropped, "file.filename");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let image = |source| user(vec![Content::Image { source, detail: None }.into()]);
    assert!(refusal(&image(Source::Url("https://x/y.png".into()))).contains("not a URL"));
    let tiff = Source::Base64 { media_type: "image/tiff".into(), data: String::new() };
    assert!(refusal(&image(tiff)).contains("PNG, JPEG, GIF or WebP"));
    assert!(refusal(&image(Source::Id { of: Dialect::OpenAiResponses, id: "file_1".into() })).contains("upload"));
    let mut call = asking(vec![Message::new(Role::Assistant, vec![Part::tool_call("c", "f", "{\"a\":")])]);
    call.tools = vec![function()];
    assert!(refusal(&call).contains("not a JSON object"));
    assert!(refusal(&ChatRequest { n: Some(2), ..user(vec![Part::text("x")]) }).starts_with("`n`"));
}

#[test]
fn things_of_bedrock_alone_survive_a_round_trip() {
    let body = json!({"messages": [{"role": "user", "content": [
        {"text": "x"},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/v.mp4"}}}},
        {"guardContent": {"text": {"text": "g"}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/i.png", "bucketOwner": "1"}}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/i.JPG"}}}},
        {"document": {"name": "d", "format": "md", "source": {"text": "# t"}}},
    ]}], "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 3}}, "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}});
    let request = read(&body);
    let (sent, dropped) = send(&request);
    assert_eq!(sent, body);
    assert_eq!(dropped, "");
    let mut dropped = Dropped::new();
    let refused = peerway_dialect::anthropic::encode_request(&request, &mut dropped).unwrap_err();
    assert!(refused.to_string().contains("messages[0].content[1]"), "{refused}");
}

#[test]
fn turns_alternate_and_system_prompts_stand_in_front() {
    let request = asking(vec![
        Message::text(Role::System, "a"),
        Message::text(Role::User, "b"),
        Message::text(Role::User, " "),
        Message::text(Role::Developer, "c"),
        Message::text(Role::User, "d"),
        Message::text(Role::Assistant, ""),
    ]);
    let (sent, dropped) = send(&request);
    assert_eq!(sent["system"], json!([{"text": "a"}, {"text": "c"}]));
    assert_eq!(sent["messages"], json!([{"role": "user", "content": [{"text": "b"}, {"text": "d"}]}]));
    assert_eq!(dropped, "messages.system.position");
}

#[test]
fn ids_that_bedrock_would_not_take_are_replaced_alike() {
    let id = "call|1:x".repeat(20);
    let result = Content::ToolResult { call_id: id.clone(), parts: vec![Part::text("1")], is_error: true };
    let mut request = asking(vec![
        Message::new(Role::Assistant, vec![Part::tool_call(&id, "f", "")]),
        Message::new(Role::Tool, vec![result.into()]),
    ]);
    assert!(refusal(&request).contains("must offer tools"));
    request.tools = vec![function()];
    let (sent, dropped) = send(&request);
    let made = &sent["messages"][0]["content"][0]["toolUse"]["toolUseId"];
    assert!(made.as_str().unwrap().len() <= 64);
    assert_eq!(*made, sent["messages"][1]["content"][0]["toolResult"]["toolUseId"]);
    assert_eq!(sent["messages"][1]["content"][0]["toolResult"]["status"], "error");
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"], "object");
    assert_eq!(dropped, "tool_call.id");
    request.tool_choice = Some(ToolChoice::None);
    assert!(refusal(&request).contains("must offer tools"));
}

#[test]
fn only_claude_is_asked_for_thoughts() {
    let mut request = read(&json!({"messages": [{"role": "user", "content": [{"text": "x"}]}],
        "inferenceConfig": {"maxTokens": 4000},
        "additionalModelRequestFields": {"reasoning_config": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5}}));
    request.model = "us.anthropic.claude-sonnet-4-20250514-v1:0".into();
    let (sent, _) = send(&request);
    assert_eq!(sent["additionalModelRequestFields"]["thinking"], json!({"type": "enabled", "budget_tokens": 2000}));
    request.model = "us.amazon.nova-pro-v1:0".into();
    request.temperature = Some(1.5);
    let (sent, dropped) = send(&request);
    assert_eq!(sent.get("additionalModelRequestFields"), None);
    assert_eq!(sent["inferenceConfig"]["temperature"], 1.0);
    assert_eq!(dropped, "top_k, reasoning, temperature");
}

#[test]
fn parameters_without_a_place_are_named() {
    let request = ChatRequest {
        seed: Some(1),
        user: Some("u".into()),
        presence_penalty: Some(0.1),
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonObject),
        metadata: [("k".to_owned(), "odd;value".to_owned())].into(),
        ..user(vec![Part::text("x")])
    };
    let (_, dropped) = send(&request);
    assert_eq!(dropped, "seed, presence_penalty, user, parallel_tool_calls, response_format, metadata");
}

#[test]
fn thoughts_of_others_stay_behind_and_claudes_go_back() {
    let thought = |of| {
        let mut part = Part::new(Content::Thinking { text: "t".into() });
        part.signature = Some(Signature::new(of, "c2ln"));
        part
    };
    let hidden = |of| Part::new(Content::RedactedThinking { of, data: "aGlk".into() });
    let parts = vec![
        thought(Dialect::Anthropic),
        thought(Dialect::Gemini),
        hidden(Dialect::Anthropic),
        hidden(Dialect::OpenAiResponses),
        Part::text("x"),
    ];
    let (sent, dropped) = send(&asking(vec![Message::new(Role::Assistant, parts.clone())]));
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "aGlk"}},
        {"text": "x"},
    ]);
    assert_eq!(sent["messages"][0]["content"], content);
    assert_eq!(dropped, "thinking");
    // A client holds those of every provider, and brings them back whose they are.
    let mut call = Part::tool_call("c", "f", "{}");
    call.signature = Some(Signature::new(Dialect::Gemini, "Z2Vt"));
    let parts = [parts, vec![call]].concat();
    let told: Value = serde_json::from_slice(&bedrock::encode_answer(&answer(parts.clone(), Finish::Stop))).unwrap();
    let request = read(&json!({"messages": [told["output"]["message"]]}));
    assert_eq!(request.messages[0].parts, parts);
}

#[test]
fn tool_results_as_json_become_text() {
    let request = read(&json!({"messages": [{"role": "user", "content": [
        {"toolResult": {"toolUseId": "c", "status": "error", "content": [{"json": {"a": 1}}, {"text": "b"}]}},
        {"text": "next"},
    ]}]}));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Tool, Role::User]);
    let parts = vec![Part::text("{\"a\":1}"), Part::text("b")];
    let expected = Content::ToolResult { call_id: "c".into(), parts, is_error: true };
    assert_eq!(request.messages[0].parts[0].content, expected);
}

#[test]
fn every_stop_reason() {
    for (name, expected) in [
        ("end_turn", Finish::Stop),
        ("tool_use", Finish::ToolCalls),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("stop_sequence", Finish::StopSequence("END".into())),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_tool_use", Finish::Other("malformed_tool_use".into())),
    ] {
        let extra = json!({"stop_sequence": "END"});
        let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}}, "stopReason": name,
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "additionalModelResponseFields": extra});
        let plain = bedrock::decode_answer(body.to_string().as_bytes()).unwrap();
        assert_eq!(plain.choices[0].finish.as_ref(), Some(&expected), "{name}");
        let stream = [
            event("messageStart", &json!({"role": "assistant"})),
            event("messageStop", &json!({"stopReason": name, "additionalModelResponseFields": extra})),
        ];
        assert!(decode(&stream.concat()).contains(&StreamEvent::Finish { choice: 0, reason: expected }), "{name}");
    }
}

#[test]
fn cache_counts_are_part_of_the_prompt() {
    let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 165, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 50,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}]}});
    let answer = bedrock::decode_answer(body.to_string().as_bytes()).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.cache_write, usage.cache_write_1h), (160, 100, 50, 30));
    let told: Value = serde_json::from_slice(&bedrock::encode_answer(&answer)).unwrap();
    assert_eq!(told["usage"], body["usage"]);
}

#[test]
fn exceptions_in_a_stream_are_errors_of_their_kind() {
    for (name, kind) in [
        ("throttlingException", FailureKind::RateLimit),
        ("validationException", FailureKind::InvalidRequest),
        ("modelStreamErrorException", FailureKind::Upstream),
        ("serviceUnavailableException", FailureKind::Overloaded),
        ("internalServerException", FailureKind::Upstream),
    ] {
        let mut bytes = event("messageStart", &json!({"role": "assistant"}));
        let headers =
            [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
        write_frame(&headers, br#"{"message":"m"}"#, &mut bytes);
        bytes.extend(event("messageStop", &json!({"stopReason": "end_turn"})));
        let events = decode(&bytes);
        assert!(
            matches!(&events[..], [StreamEvent::Start { .. }, StreamEvent::Error(failure)] if failure.kind == kind && failure.message == "m"),
            "{events:?}"
        );
    }
    let mut bytes = Vec::new();
    write_frame(&[(":message-type", "error"), (":error-code", "c"), (":error-message", "m")], b"", &mut bytes);
    assert!(matches!(&decode(&bytes)[..], [StreamEvent::Error(failure)] if failure.code.as_deref() == Some("c")));
}

#[test]
fn a_client_is_told_of_a_broken_stream_by_an_exception() {
    let start = StreamEvent::Start { id: "x".into(), model: "m".into(), created: None };
    let text = StreamEvent::TextDelta { choice: 0, text: "a".into() };
    let told = encode(&[start.clone(), text.clone(), StreamEvent::Error(Failure::new(FailureKind::RateLimit, "slow"))]);
    assert_eq!(told.last().unwrap(), &("throttlingException".to_owned(), json!({"message": "slow"})));
    let told = encode(&[start, text]);
    assert_eq!(told.last().unwrap().0, "modelStreamErrorException");
    assert!(told.iter().all(|(name, _)| name != "messageStop"));
}

#[test]
fn calls_told_side_by_side_become_blocks_in_turn() {
    let start = |index: u32| StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: format!("c{index}"),
        name: "f".into(),
        signature: None,
    };
    let delta = |index, arguments: &str| StreamEvent::ToolCallDelta { choice: 0, index, arguments: arguments.into() };
    let finish = StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls };
    let events =
        [start(0), start(1), delta(0, "{"), delta(1, "{"), delta(0, "}"), delta(1, "}"), finish, StreamEvent::Done];
    let blocks: Vec<(String, u64)> = encode(&events)
        .into_iter()
        .filter_map(|(name, data)| Some((name, data["contentBlockIndex"].as_u64()?)))
        .collect();
    let names: Vec<(&str, u64)> = blocks.iter().map(|(name, block)| (name.as_str(), *block)).collect();
    let of = |block| {
        let delta = ("contentBlockDelta", block);
        vec![("contentBlockStart", block), delta, delta, ("contentBlockStop", block)]
    };
    assert_eq!(names, [of(0), of(1)].concat());
}

#[test]
fn redacted_thoughts_in_pieces_are_one() {
    let piece = |data: &str| json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": data}}});
    let stream = [
        event("messageStart", &json!({"role": "assistant"})),
        event("contentBlockDelta", &piece("aGk=")),
        event("contentBlockDelta", &piece("aG8=")),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": "end_turn"})),
        event("metadata", &json!({"usage": {"inputTokens": 1, "outputTokens": 1}})),
    ];
    let mut collector = Collector::new();
    decode(&stream.concat()).iter().for_each(|event| collector.push(event));
    let read = collector.finish().unwrap();
    let expected = Content::RedactedThinking { of: Dialect::Anthropic, data: "aGlobw==".into() };
    assert_eq!(read.choices[0].parts, [expected.into()]);
}

#[test]
fn foreign_thoughts_survive_a_client_of_streams() {
    let hidden = Content::RedactedThinking { of: Dialect::OpenAiResponses, data: "rs_1|gAAA".into() };
    let given = answer(vec![hidden.into(), Part::text("x")], Finish::Stop);
    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    replay(&given).iter().for_each(|event| encoder.push(event, &mut bytes));
    let mut collector = Collector::new();
    decode(&bytes).iter().for_each(|event| collector.push(event));
    assert_eq!(collector.finish().unwrap(), given);
}

#[test]
fn a_schema_is_text_and_must_be_json() {
    let format = |schema: &str| json!({"messages": [], "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}});
    let request = read(&format("{ \"type\": \"object\" }"));
    let schema = Json::parse("{ \"type\": \"object\" }").unwrap();
    let expected = ResponseFormat::JsonSchema { name: "response".into(), description: None, schema, strict: None };
    assert_eq!(request.response_format, Some(expected));
    let error = bedrock::decode_request(format("{").to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("`outputConfig.textFormat.structure.jsonSchema.schema` must be"), "{error}");
}

#[test]
fn models_that_cannot_be_held_to_a_schema_are_not_asked_to() {
    let schema = Json::parse(r#"{"type":"object","properties":{},"additionalProperties":false}"#).unwrap();
    let Tool::Function(function) = function() else { unreachable!() };
    let strict = Function { parameters: Some(schema.clone()), strict: Some(true), ..function };
    let with = |model: &str| ChatRequest {
        model: model.into(),
        tools: vec![Tool::Function(strict.clone())],
        ..user(vec![Part::text("x")])
    };
    let told = |model: &str| {
        let (sent, dropped) = send(&with(model));
        (sent["toolConfig"]["tools"][0]["toolSpec"]["strict"].as_bool(), dropped)
    };
    assert_eq!(told("amazon.nova-pro-v1:0"), (Some(true), String::new()));
    assert_eq!(told("eu.anthropic.claude-sonnet-4-5-20250929-v1:0"), (Some(true), String::new()));
    let old = "anthropic.claude-3-5-sonnet-20241022-v2:0";
    assert_eq!(told(old), (None, "tools.strict".to_owned()));
    let format = ResponseFormat::JsonSchema { name: "s".into(), description: None, schema, strict: None };
    let held = ChatRequest { response_format: Some(format), ..with(old) };
    assert!(refusal(&held).contains("`response_format`"));
}
