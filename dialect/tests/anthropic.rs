//! Anthropic's own rules, met from a client of another dialect, and its streams as they come and as they are written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use peerway_dialect::anthropic::{
    StreamDecoder, StreamEncoder, decode_answer, decode_count_answer, decode_count_request, decode_request,
    encode_answer, encode_count_answer, encode_count_request, encode_request,
};
use peerway_dialect::canonical::{
    ChatAnswer, Choice, Collector, Content, Failure, FailureKind, Finish, Part, Role, StreamEvent, ThinkingMode, Usage,
};
use peerway_dialect::{Dropped, openai};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What an OpenAI client's body becomes, and the header.
fn from_openai(body: &Value) -> (Value, String) {
    let request = openai::chat::decode_request(body.to_string().as_bytes()).unwrap();
    let mut dropped = Dropped::new();
    let sent = encode_request(&request, &mut dropped).unwrap();
    (serde_json::from_slice(&sent).unwrap(), dropped.header_value().unwrap_or_default())
}

fn refused(body: &Value) -> String {
    let request = openai::chat::decode_request(body.to_string().as_bytes()).unwrap();
    encode_request(&request, &mut Dropped::new()).unwrap_err().to_string()
}

fn asking(model: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn system_messages_go_to_the_front_and_turns_are_joined() {
    let (sent, dropped) = from_openai(&json!({"model": "claude-opus-4-6", "messages": [
        {"role": "system", "content": "one"}, {"role": "developer", "content": "two"},
        {"role": "user", "content": "a", "name": "ann"}, {"role": "user", "content": "b"},
        {"role": "system", "content": "three"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "c"}]}));
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(sent["system"], json!([text("one"), text("two"), text("three")]));
    assert_eq!(sent["messages"], json!([{"role": "user", "content": [text("a"), text("b"), text("c")]}]));
    assert_eq!(sent["max_tokens"], 8192);
    assert_eq!(dropped, "messages.name, messages.system.position");
}

#[test]
fn thinking_follows_the_models_habits() {
    let effort = |model, more: Value| from_openai(&asking(model, more));
    let (sent, dropped) = effort("claude-opus-4-6", json!({"reasoning_effort": "high", "temperature": 0.2}));
    assert_eq!((&sent["thinking"], &sent["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "high"})));
    assert_eq!((dropped.as_str(), sent.get("temperature")), ("temperature", None));
    let (sent, dropped) = effort("claude-sonnet-4-5", json!({"reasoning_effort": "low"}));
    assert_eq!(
        (&sent["thinking"], &sent["max_tokens"]),
        (&json!({"type": "enabled", "budget_tokens": 2048}), &json!(10240))
    );
    assert_eq!((dropped.as_str(), sent.get("output_config")), ("", None));
    let (sent, dropped) = effort("claude-sonnet-4-5", json!({"reasoning_effort": "high", "max_tokens": 4000}));
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 3999}));
    assert_eq!(dropped, "thinking.budget_tokens");
    let (sent, dropped) = effort("claude-sonnet-4-5", json!({"reasoning_effort": "high", "max_tokens": 500}));
    assert_eq!((sent.get("thinking"), dropped.as_str()), (None, "reasoning"), "no room for thoughts");
    let (sent, _) = effort("claude-opus-5", json!({"reasoning_effort": "none", "temperature": 0.5}));
    assert_eq!((&sent["thinking"], sent.get("temperature")), (&json!({"type": "disabled"}), None));
    let forced = json!({"reasoning_effort": "high", "tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]});
    let (sent, dropped) = effort("claude-opus-4-6", forced);
    assert_eq!(
        (sent.get("thinking"), &sent["tool_choice"], dropped.as_str()),
        (None, &json!({"type": "any"}), "reasoning")
    );
    assert_eq!(sent["tools"][0]["input_schema"], json!({"type": "object", "properties": {}}));
}

#[test]
fn models_that_always_think_are_asked_for_the_least_and_are_not_forced() {
    let effort = |model, more: Value| from_openai(&asking(model, more));
    let (sent, dropped) = effort("claude-opus-5-5", json!({"reasoning_effort": "none"}));
    assert_eq!((sent.get("thinking"), &sent["output_config"]), (None, &json!({"effort": "low"})));
    assert_eq!(dropped, "thinking.type");
    let (sent, dropped) = effort("claude-sonnet-5-5", json!({"reasoning_effort": "none"}));
    assert_eq!((&sent["thinking"], dropped.as_str()), (&json!({"type": "between_tools"}), "thinking.type"));
    let (sent, dropped) =
        effort("claude-opus-5", json!({"reasoning_effort": "xhigh", "thinking": {"type": "disabled"}}));
    assert_eq!((&sent["thinking"], &sent["output_config"]), (&json!({"type": "disabled"}), &json!({"effort": "high"})));
    assert_eq!(dropped, "output_config.effort");
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
        let why = refused(&asking("claude-opus-5-5", json!({"tools": tools, "tool_choice": choice})));
        assert!(why.contains("`tool_choice`") && why.contains("always thinks"), "{why}");
    }
    let (sent, _) = effort("claude-opus-5-5", json!({"tools": tools, "tool_choice": "auto"}));
    assert_eq!(sent["tool_choice"], json!({"type": "auto"}));
}

#[test]
fn a_budget_is_not_asked_between_calls_and_results_without_their_thoughts() {
    let mut body = json!({"model": "claude-sonnet-4-5", "reasoning_effort": "medium", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": "r"}]});
    let (sent, dropped) = from_openai(&body);
    assert_eq!((sent.get("thinking"), dropped.as_str()), (None, "reasoning"));
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}}]));
    // A client that sends the thoughts back, with their signature, may go on thinking.
    body["messages"][1]["thinking_blocks"] = json!([{"type": "thinking", "thinking": "t", "signature": "s"}]);
    let (sent, dropped) = from_openai(&body);
    assert_eq!((sent["thinking"]["type"].as_str(), dropped.as_str()), (Some("enabled"), ""));
    assert_eq!(sent["messages"][1]["content"][0], json!({"type": "thinking", "thinking": "t", "signature": "s"}));
    // Another provider's thoughts are none.
    body["messages"][1]["thinking_blocks"][0]["signature"] = json!("gemini:s");
    let (sent, dropped) = from_openai(&body);
    assert_eq!((sent.get("thinking"), dropped.as_str()), (None, "reasoning, thinking"));
}

#[test]
fn parameters_are_held_to_what_the_model_takes() {
    let (sent, dropped) = from_openai(&asking(
        "claude-sonnet-4-5",
        json!({"temperature": 1.7, "top_p": 0.9, "stop": ["\n", "END"], "seed": 1, "logprobs": true, "metadata": {"a": "b"}, "response_format": {"type": "json_object"}}),
    ));
    assert_eq!(
        (&sent["temperature"], sent.get("top_p"), &sent["stop_sequences"]),
        (&json!(1.0), None, &json!(["END"]))
    );
    assert_eq!(dropped, "seed, logprobs, metadata, temperature, top_p, response_format, stop");
    let (sent, dropped) = from_openai(&asking("claude-opus-4-7", json!({"temperature": 0.7})));
    assert_eq!((sent.get("temperature"), dropped.as_str()), (None, "temperature"));
    let (sent, _) = from_openai(&asking(
        "claude-opus-4-6",
        json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}}}),
    ));
    assert_eq!(
        (sent["tools"].as_array().unwrap().len(), &sent["tools"][0]["name"], &sent["tool_choice"]),
        (1, &json!("g"), &json!({"type": "any"}))
    );
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let opus = "claude-opus-4-6";
    let said = |content: Value| json!({"model": opus, "messages": [{"role": "user", "content": content}]});
    for (body, message) in [
        (
            asking(opus, json!({"n": 2})),
            "`n` cannot be sent to a provider that speaks anthropic: there is one answer to a request",
        ),
        (
            said(json!([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}])),
            "`messages[0].content[0]` cannot be sent to a provider that speaks anthropic: audio is not taken",
        ),
        (
            said(json!([{"type": "file", "file": {"file_id": "file-1"}}])),
            "`messages[0].content[0]` cannot be sent to a provider that speaks anthropic: the file is an upload at another provider",
        ),
        (
            asking(opus, json!({"tools": [{"type": "custom", "custom": {"name": "c"}}]})),
            "`tools[0]` cannot be sent to a provider that speaks anthropic: the tool `c` runs at providers that speak openai-chat",
        ),
        (
            asking(
                "claude-3-haiku",
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
            ),
            "`response_format` cannot be sent to a provider that speaks anthropic: the model cannot be held to a schema",
        ),
        (
            json!({"model": opus, "messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":"}}]}]}),
            "`messages[0].content[0]` cannot be sent to a provider that speaks anthropic: the arguments of a call must be a JSON object",
        ),
    ] {
        assert_eq!(refused(&body), message);
    }
}

#[test]
fn documents_and_marks_find_their_form() {
    let (sent, dropped) = from_openai(&json!({"model": "claude-opus-4-6", "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,aMOp", "filename": "a.txt"}},
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "u", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}]}]}));
    assert_eq!(
        sent["messages"][0]["content"],
        json!([
            {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}},
            {"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}},
            {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "u", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ])
    );
    assert_eq!(dropped, "cache_control.ttl");
}

#[test]
fn blocks_of_anthropics_own_stay_with_anthropic() {
    let body = json!({"model": "claude-opus-4-6", "max_tokens": 9, "cache_control": {"type": "ephemeral"},
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}]},
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "so?"}]});
    let request = decode_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.messages[2].role, Role::System);
    let mut dropped = Dropped::new();
    let sent: Value = serde_json::from_slice(&encode_request(&request, &mut dropped).unwrap()).unwrap();
    assert_eq!((&sent["tools"], &sent["messages"][1]), (&body["tools"], &body["messages"][1]));
    assert_eq!(sent["cache_control"], body["cache_control"]);
    assert_eq!(dropped.header_value().unwrap(), "messages.system.position");
    let refused = openai::chat::encode_request(&request, &mut Dropped::new()).unwrap_err();
    assert_eq!(refused.field, "tools[0]");
}

#[test]
fn usage_is_the_whole_prompt_here_and_the_uncached_part_there() {
    let answer = decode_answer(
        br#"{"id":"m","model":"c","content":[],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_read_input_tokens":100,
        "cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
        "output_tokens":50,"output_tokens_details":{"thinking_tokens":40},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}}"#,
    )
    .unwrap();
    let usage = Usage {
        input: 140,
        output: 50,
        cached_input: 100,
        cache_write: 30,
        cache_write_1h: 20,
        reasoning: 40,
        web_searches: 2,
        ..Usage::default()
    };
    assert_eq!(answer.usage, Some(usage));
    assert_eq!(decode_answer(&encode_answer(&answer)).unwrap().usage, Some(usage));
    let openai: Value = serde_json::from_slice(&openai::chat::encode_answer(&answer)).unwrap();
    assert_eq!(
        openai["usage"],
        json!({"prompt_tokens": 140, "completion_tokens": 50, "total_tokens": 190,
            "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 0, "cache_write_tokens": 30},
            "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0}})
    );
}

fn stream(events: &[StreamEvent]) -> String {
    let (mut encoder, mut bytes) = (StreamEncoder::new(), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    String::from_utf8(bytes).unwrap()
}

fn call_start(index: u32, id: &str) -> StreamEvent {
    StreamEvent::ToolCallStart { choice: 0, index, id: id.into(), name: "f".into(), signature: None }
}

fn call_delta(index: u32, arguments: &str) -> StreamEvent {
    StreamEvent::ToolCallDelta { choice: 0, index, arguments: arguments.into() }
}

/// Every block is opened once, told, and closed before the next: the library fails on anything else.
fn blocks(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let (mut blocks, mut open): (Vec<(String, String)>, Option<u64>) = (Vec::new(), None);
    for event in lines.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks.len() as u64)), "{text}");
                open = index;
                let block = &event["content_block"];
                let name = block["id"].as_str().or(block["type"].as_str()).unwrap();
                blocks.push((name.to_owned(), String::new()));
            }
            "content_block_delta" => {
                assert!(open.is_some() && open == index, "{text}");
                let delta = &event["delta"];
                let told = ["text", "thinking", "partial_json"].iter().find_map(|key| delta[*key].as_str());
                blocks.last_mut().unwrap().1.push_str(told.unwrap_or_default());
            }
            "content_block_stop" => {
                assert!(open.is_some() && open == index, "{text}");
                open = None;
            }
            "message_delta" => assert_eq!(open, None, "{text}"),
            _ => {}
        }
    }
    blocks
}

#[test]
fn calls_told_side_by_side_become_blocks_in_turn() {
    let text = stream(&[
        StreamEvent::Start { id: "x".into(), model: "m".into(), created: None },
        call_start(0, "a"),
        call_start(1, "b"),
        call_delta(0, "{\"x\":"),
        call_delta(1, "{\"y\""),
        StreamEvent::TextDelta { choice: 0, text: "so".into() },
        call_start(2, "c"),
        call_delta(0, "1}"),
        call_delta(1, ":2}"),
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::Done,
    ]);
    let told = blocks(&text);
    let told: Vec<(&str, &str)> = told.iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
    assert_eq!(told, [("a", "{\"x\":1}"), ("b", "{\"y\":2}"), ("text", "so"), ("c", "")]);
    let (mut decoder, mut collector, mut events) = (StreamDecoder::new(), Collector::new(), Vec::new());
    decoder.push(text.as_bytes(), &mut events);
    events.iter().for_each(|event| collector.push(event));
    assert_eq!(collector.finish().unwrap().choices[0].parts.len(), 4);
}

proptest! {
    /// Whatever calls are told in whatever order, each becomes one block with all of its arguments.
    #[test]
    fn calls_in_any_order_become_whole_blocks(order in proptest::collection::vec(0_u32..4, 0..40)) {
        let pieces = ["{", "\"a\"", ":", "{\"b\":1", "}", "}"];
        let mut events = vec![StreamEvent::Start { id: "x".into(), model: "m".into(), created: None }];
        let mut at = [0_usize; 4];
        for call in 0..4 {
            events.push(call_start(call, &call.to_string()));
        }
        let rest = (0..4).flat_map(|call| [call; 6]);
        for call in order.into_iter().chain(rest) {
            if let Some(piece) = pieces.get(at[call as usize]) {
                events.push(call_delta(call, piece));
                at[call as usize] += 1;
            }
        }
        events.push(StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls });
        events.push(StreamEvent::Done);
        let expected: Vec<_> = (0..4).map(|call| (call.to_string(), pieces.concat())).collect();
        prop_assert_eq!(blocks(&stream(&events)), expected);
    }
}

#[test]
fn what_a_stream_cannot_tell_is_named() {
    let event = |kind: &str, members: &str| format!("data: {{\"type\":\"{kind}\",{members}}}\n\n");
    let text = [
        event("message_start", r#""message":{"id":"m","model":"claude","usage":{"input_tokens":1}}"#),
        event(
            "content_block_start",
            r#""index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
        ),
        event("content_block_stop", r#""index":0"#),
        event("content_block_start", r#""index":1,"content_block":{"type":"text","text":""}"#),
        event(
            "content_block_delta",
            r#""index":1,"delta":{"type":"citations_delta","citation":{"type":"char_location"}}"#,
        ),
        event("content_block_delta", r#""index":1,"delta":{"type":"text_delta","text":"so"}"#),
        event("message_delta", r#""delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}"#),
        "data: {\"type\":\"message_stop\"}\n\n".to_owned(),
    ];
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    decoder.push(text.concat().as_bytes(), &mut events);
    assert_eq!(events.last(), Some(&StreamEvent::Done));
    assert_eq!(decoder.unread().header_value().unwrap(), "content.server_tool_use, content.citations");
}

#[test]
fn every_event_is_named_and_the_order_is_anthropics() {
    let text = stream(&[
        StreamEvent::Start { id: "x".into(), model: "m".into(), created: None },
        StreamEvent::Usage(Usage { input: 9, cached_input: 4, ..Usage::default() }),
        StreamEvent::TextDelta { choice: 0, text: "a\nb".into() },
        call_start(0, "c"),
        StreamEvent::Finish { choice: 0, reason: Finish::StopSequence("END".into()) },
        StreamEvent::Usage(Usage { input: 9, cached_input: 4, output: 3, ..Usage::default() }),
        StreamEvent::Done,
        StreamEvent::Error(Failure::new(FailureKind::Upstream, "late")),
    ]);
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let expected = "message_start content_block_start content_block_delta content_block_stop content_block_start \
        content_block_stop message_delta message_stop";
    assert_eq!(names.join(" "), expected);
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(data.len(), names.len());
    assert!(data.iter().zip(&names).all(|(data, name)| data["type"] == **name));
    assert_eq!(data[0]["message"]["usage"]["input_tokens"], 5, "known before the first output");
    assert_eq!(data[6]["delta"], json!({"stop_reason": "stop_sequence", "stop_sequence": "END"}));
    assert_eq!((&data[6]["usage"]["input_tokens"], &data[6]["usage"]["output_tokens"]), (&json!(5), &json!(3)));
}

#[test]
fn an_error_is_an_event_and_never_followed_by_an_end() {
    let text = stream(&[
        StreamEvent::Start { id: "x".into(), model: "m".into(), created: None },
        StreamEvent::TextDelta { choice: 0, text: "a".into() },
        StreamEvent::Error(Failure::new(FailureKind::Overloaded, "busy").with_code("upstream_error")),
        StreamEvent::Done,
    ]);
    assert!(text.ends_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\",\"details\":{\"error_code\":\"upstream_error\"}},\"request_id\":null}\n\n"
    ), "{text}");
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    decoder.push(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", &mut events);
    assert_eq!(events, [StreamEvent::Error(Failure::new(FailureKind::Overloaded, "Overloaded"))]);
}

#[test]
fn what_an_openai_client_sees_of_thoughts_comes_back_signed() {
    let answer = decode_answer(
        br#"{"id":"m","model":"c","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"},
        {"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{}}"#,
    )
    .unwrap();
    let body: Value = serde_json::from_slice(&openai::chat::encode_answer(&answer)).unwrap();
    let message = &body["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "t");
    let echoed = json!({"model": "claude-opus-4-6", "messages": [message]});
    let (sent, dropped) = from_openai(&echoed);
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}, {"type": "text", "text": "a"}])
    );
    assert_eq!(dropped, "");
}

#[test]
fn arguments_that_are_no_object_are_shown() {
    let choice =
        Choice { parts: vec![Part::tool_call("a", "f", "{\"x\":")], finish: Some(Finish::Length), ..Choice::default() };
    let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
    let body: Value = serde_json::from_slice(&encode_answer(&answer)).unwrap();
    assert_eq!(body["content"][0]["input"], json!({"invalid_arguments": "{\"x\":"}));
}

#[test]
fn counting_is_a_request_without_an_answer() {
    let body = json!({"model": "claude-opus-4-6", "system": "s", "messages": [{"role": "user", "content": "hi"}], "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let request = decode_count_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.max_output_tokens, None);
    assert_eq!(request.reasoning.as_ref().unwrap().mode, Some(ThinkingMode::Budget(2000)));
    let sent: Value = serde_json::from_slice(&encode_count_request(&request, &mut Dropped::new()).unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({"model": "claude-opus-4-6", "system": "s", "messages": [{"role": "user", "content": "hi"}],
            "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}})
    );
    assert_eq!(decode_count_answer(&encode_count_answer(42)).unwrap(), 42);
    assert_eq!(decode_request(body.to_string().as_bytes()).unwrap_err().to_string(), "`max_tokens` is missing");
}

#[test]
fn unread_blocks_of_an_answer_are_named() {
    let answer = decode_answer(
        br#"{"id":"m","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"text","text":"a","citations":[{"type":"x"}]}],"stop_reason":"pause_turn"}"#,
    )
    .unwrap();
    assert!(answer.choices[0].parts.iter().all(|part| matches!(part.content, Content::Text(_))));
    assert_eq!(answer.unread.header_value().unwrap(), "content.server_tool_use, content.citations");
    assert_eq!(answer.choices[0].finish, Some(Finish::Other("pause_turn".into())));
}
