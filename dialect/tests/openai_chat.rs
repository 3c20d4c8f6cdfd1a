//! Chat completions as servers really send them, and what is done with what they alone can say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use peerway_dialect::Dropped;
use peerway_dialect::canonical::{
    Collector, Content, FailureKind, Finish, Message, Part, Role, Source, StreamEvent, ThinkingMode,
};
use peerway_dialect::openai::chat::{
    StreamDecoder, StreamEncoder, Target, decode_answer, decode_request, encode_request, encode_request_for,
};
use serde_json::{Value, json};

fn events(chunks: &[&str]) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    for chunk in chunks {
        decoder.push(format!("data: {chunk}\n\n").as_bytes(), &mut events);
    }
    decoder.end(&mut events);
    events
}

fn calls(events: &[StreamEvent]) -> Vec<(String, String, String)> {
    let mut collector = Collector::new();
    events.iter().for_each(|event| collector.push(event));
    let answer = collector.finish().unwrap();
    answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall { id, name, arguments } => Some((id.clone(), name.clone(), arguments.clone())),
            _ => None,
        })
        .collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.into(), name.into(), arguments.into())
}

const FINISH: &str = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn delta(tool_calls: &str) -> String {
    format!(
        r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"tool_calls":{tool_calls}}},"finish_reason":null}}]}}"#
    )
}

#[test]
fn parallel_calls_may_be_told_side_by_side() {
    let told = events(&[
        &delta(
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":""}},{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}]"#,
        ),
        &delta(r#"[{"index":0,"function":{"arguments":"{\"x\":"}},{"index":1,"function":{"arguments":"}"}}]"#),
        &delta(r#"[{"index":0,"function":{"arguments":"1}"}}]"#),
        FINISH,
        "[DONE]",
    ]);
    assert_eq!(calls(&told), [call("a", "f", r#"{"x":1}"#), call("b", "g", "{}")]);
    assert!(
        told.contains(&StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls }),
        "though the server said stop"
    );
}

#[test]
fn calls_of_odd_servers_are_told_apart() {
    // Every call counted as the first; whole calls at once; no index; no id; the name late; the name repeated.
    let all_first = [
        delta(r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]"#),
        delta(r#"[{"index":0,"id":"b","function":{"name":"f","arguments":"{\"y\":2}"}}]"#),
    ];
    assert_eq!(
        calls(&events(&[&all_first[0], &all_first[1], FINISH])),
        [call("a", "f", "{}"), call("b", "f", r#"{"y":2}"#)]
    );
    let no_index = [
        delta(r#"[{"id":"a","function":{"name":"f","arguments":"{\"x\""}}]"#),
        delta(r#"[{"function":{"arguments":":1}"}},{"id":"b","function":{"name":"g","arguments":{"z":3}}}]"#),
    ];
    assert_eq!(
        calls(&events(&[&no_index[0], &no_index[1], FINISH])),
        [call("a", "f", r#"{"x":1}"#), call("b", "g", r#"{"z":3}"#)]
    );
    let late_name = [
        delta(r#"[{"index":0,"function":{"arguments":"{"}}]"#),
        delta(r#"[{"index":0,"function":{"name":"f","arguments":"}"}}]"#),
        delta(r#"[{"index":0,"function":{"name":"f","arguments":" "}}]"#),
    ];
    let told = calls(&events(&[&late_name[0], &late_name[1], &late_name[2], FINISH]));
    assert_eq!((told.len(), told[0].1.as_str(), told[0].2.as_str()), (1, "f", "{} "));
    assert!(told[0].0.starts_with("call_"), "an id is made: {}", told[0].0);
}

#[test]
fn made_ids_are_the_same_in_a_stream_and_in_a_plain_answer() {
    let answer = decode_answer(
        br#"{"id":"c","choices":[{"index":0,"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
    )
    .unwrap();
    let Content::ToolCall { id, .. } = &answer.choices[0].parts[0].content else { panic!("{answer:?}") };
    let streamed = calls(&events(&[&delta(r#"[{"index":0,"function":{"name":"f","arguments":"{}"}}]"#), FINISH]));
    assert_eq!(&streamed[0].0, id);
}

#[test]
fn errors_inside_a_stream_end_it_and_done_after_them_is_nothing() {
    let told = events(&[
        r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}"#,
        r#"{"error":{"message":"overloaded","type":"overloaded_error","code":null}}"#,
        "[DONE]",
    ]);
    let Some(StreamEvent::Error(failure)) = told.last() else { panic!("{told:?}") };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Overloaded, "overloaded"));
    let (mut encoder, mut bytes) = (StreamEncoder::new(true), Vec::new());
    told.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.push(&StreamEvent::Done, &mut bytes);
    encoder.end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\"code\":\"overloaded_error\"}}\n\n") && !text.contains("[DONE]"), "{text}");
}

#[test]
fn an_end_without_an_answer_is_a_cut() {
    for chunks in [
        &["[DONE]"][..],
        &[r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}"#, "[DONE]"],
        &[r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#],
        &[FINISH, r#"{"id":"c","choices":[{"index":1,"delta":{"content":"second"}}]}"#, "[DONE]"],
        &[r#"{"id":"c","choices":[{"index":0,"delta"#, "[DONE]"],
    ] {
        assert!(matches!(events(chunks).last(), Some(StreamEvent::Error(_))), "{chunks:?}");
    }
    assert_eq!(events(&[FINISH]).last(), Some(&StreamEvent::Done), "not every server says [DONE]");
}

#[test]
fn azures_first_chunk_is_not_the_start() {
    let told = events(&[
        r#"{"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"c","model":"m","created":5,"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        FINISH,
    ]);
    assert_eq!(told[0], StreamEvent::Start { id: "c".into(), model: "m".into(), created: Some(5) });
}

#[test]
fn fields_that_are_not_known_go_to_those_that_are_alike() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi","weight":1}],"guided_json":{"b":1,"a":2},"store":null}"#;
    let request = decode_request(body).unwrap();
    let mut dropped = Dropped::new();
    let sent = encode_request(&request, &mut dropped).unwrap();
    assert!(String::from_utf8(sent).unwrap().contains(r#""guided_json":{"b":1,"a":2}"#), "as it was");
    assert_eq!(dropped.header_value().unwrap(), "messages.weight");
    let mut dropped = Dropped::new();
    peerway_dialect::anthropic::encode_request(&request, &mut dropped).unwrap();
    assert_eq!(dropped.header_value().unwrap(), "messages.weight, guided_json");
}

#[test]
fn a_wrong_request_is_told_where() {
    for (body, message) in [
        (r#"{"messages":[]}"#, "`model` is missing"),
        (r#"{"model":"m"}"#, "`messages` is missing"),
        (
            r#"{"model":"m","messages":[{"role":"bot"}]}"#,
            "`messages[0].role` must be system, developer, user, assistant or tool",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
            "`messages[0].content[0].image_url.url` is missing",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
            "`messages[0].content` must be a string or an array of content parts",
        ),
        (
            r#"{"model":"m","messages":[],"functions":[]}"#,
            "`functions` must be given as `tools`; the older form is not translated",
        ),
        (r#"{"model":"m","messages":[],"temperature":"hot"}"#, "`temperature` must be a number"),
        (r#"{"model":"m","model":"n","messages":[]}"#, "`model` is given twice"),
        (
            r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}"#,
            "`tools[0].function.parameters` must be a JSON schema: an object",
        ),
    ] {
        assert_eq!(decode_request(body.as_bytes()).unwrap_err().to_string(), message, "{body}");
    }
}

#[test]
fn images_of_a_tool_result_are_shown_behind_the_results() {
    let image = || Part::new(Content::Image { source: Source::Url("https://x/y.png".into()), detail: None });
    let result =
        |call_id: &str, parts| Part::new(Content::ToolResult { call_id: call_id.into(), parts, is_error: true });
    let request = peerway_dialect::canonical::ChatRequest {
        model: "m".into(),
        messages: vec![
            Message::new(Role::Tool, vec![result("a", vec![image()])]),
            Message::new(Role::Tool, vec![result("b", vec![Part::text("ok")])]),
            Message::text(Role::User, "so?"),
        ],
        ..Default::default()
    };
    let mut dropped = Dropped::new();
    let sent: Value = serde_json::from_slice(&encode_request(&request, &mut dropped).unwrap()).unwrap();
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "tool", "tool_call_id": "a", "content": ""},
            {"role": "tool", "tool_call_id": "b", "content": "ok"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
            {"role": "user", "content": "so?"},
        ])
    );
    assert_eq!(dropped.header_value().unwrap(), "tool_result.is_error, tool_result.position");
}

#[test]
fn targets_have_their_habits() {
    let body = br#"{"model":"m","max_tokens":9,"top_k":4,"messages":[{"role":"developer","content":[{"type":"text","text":"d","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
        {"role":"assistant","content":"a","reasoning_content":"r"}],"thinking":{"type":"enabled","budget_tokens":5000}}"#;
    let request = decode_request(body).unwrap();
    assert_eq!(request.reasoning.as_ref().unwrap().mode, Some(ThinkingMode::Budget(5000)));
    let mut dropped = Dropped::new();
    let sent: Value = serde_json::from_slice(&encode_request(&request, &mut dropped).unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({"model": "m", "max_completion_tokens": 9, "reasoning_effort": "low",
            "messages": [{"role": "developer", "content": "d"}, {"role": "assistant", "content": "a"}]})
    );
    assert_eq!(dropped.header_value().unwrap(), "top_k, cache_control, thinking, thinking.budget_tokens");
    let alike = Target { reasoning_content: true, cache_control: true, top_k: true, ..Target::ALIKE };
    let sent: Value =
        serde_json::from_slice(&encode_request_for(&request, alike, &mut Dropped::new()).unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({"model": "m", "max_tokens": 9, "top_k": 4, "reasoning_effort": "low",
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "d", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
                {"role": "assistant", "content": "a", "reasoning_content": "r"}]})
    );
}

#[test]
fn what_an_answer_holds_beyond_is_named() {
    let answer = decode_answer(
        br#"{"id":"c","choices":[{"message":{"content":"see","annotations":[{"type":"url_citation"}],"audio":{"id":"a"}},"finish_reason":"stop",
            "logprobs":{"content":[{"token":"see","logprob":-0.1,"bytes":[115,101,101],"top_logprobs":[{"token":"see","logprob":-0.1,"bytes":null}]}],"refusal":null}}]}"#,
    )
    .unwrap();
    assert_eq!(answer.unread.header_value().unwrap(), "choices.message.annotations, choices.message.audio");
    let logprobs = answer.choices[0].logprobs.as_ref().unwrap();
    assert_eq!(logprobs.content[0].top[0].token, "see");
    let again = decode_answer(&peerway_dialect::openai::chat::encode_answer(&answer)).unwrap();
    assert_eq!(again.choices, answer.choices);
}

#[test]
fn a_forced_call_that_ends_with_stop_is_a_call() {
    let body = br#"{"id":"c","choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(decode_answer(body).unwrap().choices[0].finish, Some(Finish::ToolCalls));
}

#[test]
fn a_stream_is_written_as_openais_libraries_read_it() {
    let (mut encoder, mut bytes) = (StreamEncoder::new(true), Vec::new());
    for event in [
        StreamEvent::Start { id: "c".into(), model: "m".into(), created: Some(5) },
        StreamEvent::TextDelta { choice: 0, text: "Hi".into() },
        StreamEvent::ToolCallStart { choice: 0, index: 0, id: "a".into(), name: "f".into(), signature: None },
        StreamEvent::ToolCallDelta { choice: 0, index: 0, arguments: "{}".into() },
        StreamEvent::Finish { choice: 0, reason: Finish::ToolCalls },
        StreamEvent::Done,
    ] {
        encoder.push(&event, &mut bytes);
    }
    let chunk = |choice: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\",\"choices\":[{{\"index\":0,{choice}}}]}}\n\n"
        )
    };
    let more = r#""logprobs":null,"finish_reason":null"#;
    let expected = [
        chunk(&format!(r#""delta":{{"role":"assistant","content":"Hi"}},{more}"#)),
        chunk(&format!(
            r#""delta":{{"tool_calls":[{{"index":0,"id":"a","type":"function","function":{{"name":"f","arguments":""}}}}]}},{more}"#
        )),
        chunk(&format!(r#""delta":{{"tool_calls":[{{"index":0,"function":{{"arguments":"{{}}"}}}}]}},{more}"#)),
        chunk(r#""delta":{},"logprobs":null,"finish_reason":"tool_calls""#),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(String::from_utf8(bytes).unwrap(), expected.concat());
}

#[test]
fn the_default_detail_of_an_image_is_not_kept() {
    let detail = |said: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"https://x/y.png","detail":"{said}"}}}}]}}]}}"#
        );
        match decode_request(body.as_bytes()).unwrap().messages.remove(0).parts.remove(0).content {
            Content::Image { detail, .. } => detail,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((detail("auto"), detail("high")), (None, Some("high".to_owned())));
}
