//! Responses: what its own clients rely on beyond what all dialects share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use peerway_dialect::canonical::{
    ChatAnswer, ChatRequest, Choice, Collector, Content, Failure, FailureKind, Finish, Function, Logprobs, Message,
    Part, Role, Signature, Source, StreamEvent, TokenLogprob, Tool, ToolChoice, Usage, replay,
};
use peerway_dialect::openai::responses::{self, Echo, StreamDecoder, StreamEncoder};
use peerway_dialect::{Dialect, Dropped, anthropic, bedrock, openai};
use serde_json::{Value, json};

fn read(body: &Value) -> ChatRequest {
    responses::decode_request(body.to_string().as_bytes()).unwrap()
}

fn refused(body: &Value) -> String {
    responses::decode_request(body.to_string().as_bytes()).unwrap_err().to_string()
}

fn encode(events: &[StreamEvent]) -> String {
    let (mut encoder, mut bytes) = (StreamEncoder::default(), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// The events' data, after a look at their names and numbers.
fn told(stream: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for (at, block) in stream.trim_end().split("\n\n").enumerate() {
        let (name, data) = block.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"].as_str().unwrap());
        assert_eq!(data["sequence_number"], at);
        events.push(data);
    }
    events
}

fn kinds(stream: &str) -> Vec<String> {
    told(stream).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn decode(stream: &str) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    decoder.push(stream.as_bytes(), &mut events);
    decoder.end(&mut events);
    events
}

fn collected(events: &[StreamEvent]) -> ChatAnswer {
    let mut collector = Collector::new();
    events.iter().for_each(|event| collector.push(event));
    collector.finish().unwrap()
}

fn answer(parts: Vec<Part>, finish: Finish) -> ChatAnswer {
    ChatAnswer {
        id: "resp_1".into(),
        model: "m".into(),
        created: Some(7),
        choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs: None }],
        usage: Some(Usage { input: 3, output: 2, ..Usage::default() }),
        unread: Dropped::new(),
    }
}

fn start() -> StreamEvent {
    StreamEvent::Start { id: "resp_1".into(), model: "m".into(), created: Some(7) }
}

fn text(text: &str) -> StreamEvent {
    StreamEvent::TextDelta { choice: 0, text: text.into() }
}

#[test]
fn what_a_provider_keeps_is_refused_by_name() {
    for (key, value) in [
        ("previous_response_id", json!("resp_0")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
        ("store", json!(true)),
        ("background", json!(true)),
    ] {
        let mut body = json!({"model": "m", "input": "hi"});
        body[key] = value;
        assert!(refused(&body).starts_with(&format!("`{key}` must be ")), "{}", refused(&body));
        body[key] = Value::Null;
        read(&body);
    }
    read(&json!({"model": "m", "input": "hi", "store": false, "background": false}));
    let referred = json!({"model": "m", "input": [{"type": "item_reference", "id": "rs_1"}]});
    assert!(refused(&referred).starts_with("`input[0]` must be given in full"));
}

#[test]
fn errors_name_the_place() {
    for (body, place) in [
        (json!({"input": "x"}), "`model` is missing"),
        (json!({"model": "m"}), "`input` is missing"),
        (json!({"model": "m", "input": 7}), "`input` must be a string or an array of items"),
        (json!({"model": "m", "input": [{"role": "robot", "content": ""}]}), "`input[0].role` must be"),
        (json!({"model": "m", "input": [{"type": "function_call", "name": "f"}]}), "`input[0].call_id` is missing"),
        (json!({"model": "m", "input": "", "reasoning": {"effort": "huge"}}), "`reasoning.effort` must be"),
    ] {
        assert!(refused(&body).starts_with(place), "{}", refused(&body));
    }
}

#[test]
fn items_of_one_turn_are_one_message() {
    let request = read(&json!({"model": "m", "instructions": "Be kind.", "input": [
        {"role": "developer", "content": "And short."},
        {"role": "user", "content": [
            {"type": "input_text", "text": "See"},
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_image", "file_id": "file_1"}]},
    ]}));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool]);
    let mut thought = Part::new(Content::Thinking { text: "a\n\nb".into() });
    thought.signature = Some(Signature::new(Dialect::OpenAiResponses, "rs_1|gAAA"));
    let expected = [
        thought,
        Part::text("ok"),
        Content::Refusal("no".into()).into(),
        Part::tool_call("c1", "f", "{}"),
        Part::tool_call("c2", "g", "{}"),
    ];
    assert_eq!(request.messages[3].parts, expected);
    assert_eq!(request.messages[4].parts.len(), 2);
    let image =
        Content::Image { source: Source::Id { of: Dialect::OpenAiResponses, id: "file_1".into() }, detail: None };
    let Content::ToolResult { parts, .. } = &request.messages[4].parts[1].content else { panic!() };
    assert_eq!(parts[0].content, image);
    // The thoughts go back to OpenAI as they came.
    let sent = responses::encode_request(&request, &mut Dropped::new()).unwrap();
    assert_eq!(responses::decode_request(&sent).unwrap().messages, request.messages);
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["instructions"], "Be kind.");
    assert_eq!(sent["input"][2]["id"], "rs_1");
    assert_eq!(sent["input"][2]["encrypted_content"], "gAAA");
}

#[test]
fn tools_that_run_at_openai_are_refused_elsewhere() {
    let request = read(&json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]}));
    assert!(responses::encode_request(&request, &mut Dropped::new()).is_ok());
    for refused in [
        openai::chat::encode_request(&request, &mut Dropped::new()),
        anthropic::encode_request(&request, &mut Dropped::new()),
        bedrock::encode_request(&request, &mut Dropped::new()),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.field, "tools[0]");
        assert!(refused.reason.contains("`web_search`"), "{refused}");
    }
    let searched = json!({"model": "m", "input": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}]});
    assert!(openai::chat::encode_request(&read(&searched), &mut Dropped::new()).is_err());
    assert!(responses::encode_request(&read(&searched), &mut Dropped::new()).is_ok());
}

#[test]
fn what_other_dialects_lack_is_named() {
    let request = read(
        &json!({"model": "m", "input": "x", "truncation": "auto", "include": ["file_search_call.results"],
        "text": {"verbosity": "low"}, "reasoning": {"effort": "low", "mode": "pro"}, "tools": [{"type": "function", "name": "f", "parameters": {}, "defer_loading": true}]}),
    );
    let mut dropped = Dropped::new();
    openai::chat::encode_request(&request, &mut dropped).unwrap();
    let mut names: Vec<&str> = dropped.names().collect();
    names.sort_unstable();
    assert_eq!(names, ["include", "reasoning.mode", "text.verbosity", "tools.defer_loading", "truncation"]);
}

#[test]
fn every_form_of_tool_choice() {
    for (choice, expected) in [
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!("required"), ToolChoice::Required),
        (json!({"type": "function", "name": "f"}), ToolChoice::Named("f".into())),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}),
            ToolChoice::Allowed { required: true, names: vec!["f".into()] },
        ),
    ] {
        let request = read(&json!({"model": "m", "input": "x", "tool_choice": choice}));
        assert_eq!(request.tool_choice, Some(expected));
        let sent = responses::encode_request(&request, &mut Dropped::new()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap()["tool_choice"], choice);
    }
}

#[test]
fn functions_are_strict_only_if_the_client_said_so() {
    let function = Function { name: "f".into(), description: None, parameters: None, strict: None, cache: None };
    let messages = vec![Message::text(Role::User, "x")];
    let request =
        ChatRequest { model: "m".into(), messages, tools: vec![Tool::Function(function)], ..Default::default() };
    let sent: Value =
        serde_json::from_slice(&responses::encode_request(&request, &mut Dropped::new()).unwrap()).unwrap();
    assert_eq!(sent["tools"][0]["strict"], false);
    assert_eq!(sent["store"], false);
}

#[test]
fn a_text_is_told_from_created_to_completed() {
    let finish = StreamEvent::Finish { choice: 0, reason: Finish::Stop };
    let stream =
        encode(&[start(), text("Hel"), text("lo"), finish, StreamEvent::Usage(Usage::default()), StreamEvent::Done]);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&stream), expected);
    let last = told(&stream).pop().unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(last["response"]["status"], "completed");
}

#[test]
fn calls_refusals_and_thoughts_have_their_events() {
    let mut thought = Part::new(Content::Thinking { text: "hm".into() });
    thought.signature = Some(Signature::new(Dialect::Anthropic, "c2ln"));
    let hidden = Content::RedactedThinking { of: Dialect::Anthropic, data: "aGlk".into() }.into();
    let parts = vec![thought, hidden, Content::Refusal("no".into()).into(), Part::tool_call("c1", "f", "{\"a\":1}")];
    let answer = answer(parts, Finish::ToolCalls);
    let stream = encode(&replay(&answer));
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&stream), expected);
    assert_eq!(collected(&decode(&stream)), answer);
    assert_eq!(responses::decode_answer(&responses::encode_answer(&answer)).unwrap(), answer);
    // Item ids are the same in every event of an item, and differ between items.
    let events = told(&stream);
    let ids: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.added")
        .map(|event| event["item"]["id"].as_str().unwrap())
        .collect();
    for event in &events {
        if let Some(id) = event["item_id"].as_str() {
            assert_eq!(id, ids[usize::try_from(event["output_index"].as_u64().unwrap()).unwrap()]);
        }
    }
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn what_signs_a_call_comes_back_with_it() {
    let mut call = Part::tool_call("c1", "f", "{}");
    call.signature = Some(Signature::new(Dialect::Gemini, "c2ln"));
    let answer = answer(vec![call.clone()], Finish::ToolCalls);
    for body in [
        serde_json::from_slice::<Value>(&responses::encode_answer(&answer)).unwrap(),
        told(&encode(&replay(&answer))).pop().unwrap()["response"].clone(),
    ] {
        let request = read(&json!({"model": "m", "input": body["output"]}));
        assert_eq!(request.messages[0].parts, [call.clone()]);
    }
}

#[test]
fn the_stream_ends_in_what_the_plain_answer_says() {
    let parts = vec![Part::text("a"), Part::tool_call("c1", "f", "{}"), Part::text("b")];
    for finish in [Finish::ToolCalls, Finish::Length, Finish::ContentFilter] {
        let answer = answer(parts.clone(), finish);
        let plain: Value = serde_json::from_slice(&responses::encode_answer(&answer)).unwrap();
        assert_eq!(told(&encode(&replay(&answer))).pop().unwrap()["response"], plain);
    }
}

#[test]
fn log_probabilities_stand_beside_the_text() {
    let token = TokenLogprob { token: "a".into(), logprob: -0.5, bytes: Some(vec![97]), top: Vec::new() };
    let mut answer = answer(vec![Part::text("a"), Part::tool_call("c1", "f", "{}")], Finish::ToolCalls);
    answer.choices[0].logprobs = Some(Logprobs { content: vec![token.clone()], refusal: Vec::new() });
    assert_eq!(responses::decode_answer(&responses::encode_answer(&answer)).unwrap(), answer);
    let logprobs =
        StreamEvent::Logprobs { choice: 0, logprobs: Logprobs { content: vec![token], refusal: Vec::new() } };
    let finish = StreamEvent::Finish { choice: 0, reason: Finish::Stop };
    let stream = encode(&[start(), text("a"), logprobs.clone(), finish, StreamEvent::Done]);
    assert!(decode(&stream).contains(&logprobs));
    let events = told(&stream);
    let done = events.iter().find(|event| event["type"] == "response.output_text.done").unwrap();
    assert_eq!(done["logprobs"][0]["token"], "a");
}

#[test]
fn a_broken_stream_fails_in_every_form_that_clients_read() {
    let failure = Failure::new(FailureKind::RateLimit, "slow down").with_code("rate_limit_exceeded");
    let stream = encode(&[start(), text("a"), StreamEvent::Error(failure.clone()), StreamEvent::Done]);
    let events = told(&stream);
    let [.., failed, error] = events.as_slice() else { panic!() };
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(failed["response"]["error"]["code"], "rate_limit_exceeded");
    assert_eq!((&error["message"], &error["error"]["message"]), (&json!("slow down"), &json!("slow down")));
    assert!(!stream.contains("response.completed"));
    let Some(StreamEvent::Error(read)) = decode(&stream).pop() else { panic!() };
    assert_eq!((read.kind, read.message), (FailureKind::RateLimit, "slow down".into()));
    // Before anything was told there is no response that could fail.
    assert_eq!(kinds(&encode(&[StreamEvent::Error(failure)])), ["error"]);
    // OpenAI's own form has the members at the top.
    let flat = "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"param\":null,\"sequence_number\":3}\n\n";
    assert!(matches!(&decode(flat)[..], [StreamEvent::Error(failure)] if failure.kind == FailureKind::RateLimit));
}

#[test]
fn answers_that_did_not_end_are_errors() {
    for status in ["failed", "cancelled", "in_progress", "queued"] {
        let body = json!({"id": "r", "status": status, "output": []});
        assert!(responses::decode_answer(body.to_string().as_bytes()).is_err(), "{status}");
    }
}

#[test]
fn what_runs_at_the_provider_is_told_as_unread() {
    let body = json!({"id": "r", "status": "completed", "output": [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": [{"type": "url_citation", "url": "u"}]}]},
    ]});
    let answer = responses::decode_answer(body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.choices[0].text(), "x");
    let unread: Vec<&str> = answer.unread.names().collect();
    assert_eq!(unread, ["output_text.annotations", "output"]);
}

#[test]
fn servers_without_deltas_are_read_from_their_items() {
    let event = |data: Value| format!("data: {data}\n\n");
    let stream = [
        json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "function_call", "call_id": "c", "name": "f"}}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"}}),
        json!({"type": "response.from_the_future", "output_index": 1}),
        json!({"type": "response.completed", "response": {"id": "r", "model": "m"}}),
    ];
    let stream: String = stream.into_iter().map(event).collect();
    let answer = collected(&decode(&stream));
    assert_eq!(answer.choices[0].parts, [Part::text("hi"), Part::tool_call("c", "f", "{\"a\":1}")]);
    assert_eq!(answer.choices[0].finish, Some(Finish::ToolCalls));
}

#[test]
fn a_response_repeats_its_request() {
    let body = json!({"model": "m", "instructions": "i", "input": "x", "temperature": 0.2, "tool_choice": "required",
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": true}], "metadata": {"k": "v"},
        "text": {"format": {"type": "json_object"}}, "reasoning": {"effort": "low"}, "max_output_tokens": 9});
    let echo = Echo::of(&read(&body));
    let said = responses::encode_answer_to(&answer(vec![Part::text("x")], Finish::Stop), echo);
    let said: Value = serde_json::from_slice(&said).unwrap();
    for key in
        ["instructions", "temperature", "tool_choice", "tools", "metadata", "text", "reasoning", "max_output_tokens"]
    {
        assert_eq!(said[key], body[key], "{key}");
    }
    assert_eq!(said["parallel_tool_calls"], true);
}
