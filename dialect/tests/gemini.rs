//! Gemini's own corners: both forms of a stream, errors inside one, what only Gemini has, embeddings, counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::canonical::{
    ChatAnswer, ChatRequest, Collector, Content, Effort, EmbedInput, Extra, Failure, FailureKind, Finish, Message,
    Part, Reasoning, Role, Signature, Source, StreamEvent, ThinkingMode, Tool, ToolChoice,
};
use peerway_dialect::gemini::{self, Form, StreamDecoder, StreamEncoder};
use peerway_dialect::{Dialect, Dropped, Json, anthropic, openai};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{golden, scenarios};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(golden().join("gemini").join(name)).unwrap()
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<StreamEvent> {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    pieces.into_iter().for_each(|piece| decoder.push(piece, &mut events));
    decoder.end(&mut events);
    events
}

fn encode(form: Form, events: &[StreamEvent]) -> String {
    let (mut encoder, mut bytes) = (StreamEncoder::new(form), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn sent(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::new();
    let bytes = gemini::encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), dropped.header_value().unwrap_or_default())
}

fn asked(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "gemini-2.5-flash".into(), messages, ..ChatRequest::default() }
}

#[test]
fn the_array_says_what_the_events_say_at_any_cut() {
    for scenario in scenarios::ANSWERS {
        let events = decode([file(&format!("stream.{scenario}.sse")).as_slice()]);
        let array = file(&format!("stream.{scenario}.array.json"));
        for at in 0..=array.len() {
            let (head, tail) = array.split_at(at);
            assert_eq!(decode([head, tail]), events, "{scenario} at {at}");
        }
        assert_eq!(decode(array.chunks(1)), events, "{scenario}");
        let whole = array.trim_ascii_end().len();
        for at in 0..whole {
            assert!(matches!(decode([&array[..at]]).last(), Some(StreamEvent::Error(_))), "{scenario} cut off at {at}");
        }
        let written = encode(Form::Array, &events);
        let chunks: Vec<Value> = serde_json::from_str(&written).unwrap();
        assert!(chunks.last().unwrap()["candidates"][0]["finishReason"].is_string());
        let mut collector = Collector::new();
        decode([written.as_bytes()]).iter().for_each(|event| collector.push(event));
        let mut expected = Collector::new();
        events.iter().for_each(|event| expected.push(event));
        assert_eq!(collector.finish(), expected.finish());
    }
}

#[test]
fn errors_inside_a_stream_are_found_in_every_form() {
    let chunk = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"r"}"#;
    let error = r#"{"error":{"code":503,"message":"overloaded }","status":"UNAVAILABLE"}}"#;
    let pretty = format!("{:#}", serde_json::from_str::<Value>(error).unwrap());
    for stream in [
        format!("data: {chunk}\n\ndata: {error}\n\n"),
        format!("data: {chunk}\r\n\r\n{pretty}\r\n"),
        format!("[{chunk}\n,\n{error}]"),
        pretty.clone(),
        format!("[{pretty}]"),
    ] {
        for at in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(at);
            let events = decode([head, tail]);
            let Some(StreamEvent::Error(failure)) = events.last() else { panic!("{stream}: {events:?}") };
            assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Overloaded, "overloaded }"), "{stream}");
        }
    }
}

#[test]
fn a_client_is_told_of_a_break_in_the_form_its_sdk_looks_for() {
    let begun = [
        StreamEvent::Start { id: "r".into(), model: "m".into(), created: None },
        StreamEvent::TextDelta { choice: 0, text: "a".into() },
        StreamEvent::Finish { choice: 0, reason: Finish::Stop },
        StreamEvent::Error(Failure::cut()),
    ];
    let events = encode(Form::Events, &begun);
    let (_, error) = events.trim_end().rsplit_once("\n\n").unwrap();
    assert!(error.starts_with(r#"data: {"error":{"code":502,"#), "{error}");
    assert!(!events.contains("finishReason"), "{events}");
    let array: Vec<Value> = serde_json::from_str(&encode(Form::Array, &begun)).unwrap();
    assert_eq!(array.last().unwrap()["error"]["status"], "INTERNAL");
    let at_once: Vec<Value> = serde_json::from_str(&encode(Form::Array, &begun[3..])).unwrap();
    assert_eq!(at_once.len(), 1);
    assert!(matches!(decode([events.as_bytes()]).last(), Some(StreamEvent::Error(_))));
}

#[test]
fn what_only_gemini_has_comes_back_and_is_not_lost_elsewhere() {
    let mut request = gemini::decode_request(&file("request.full.json")).unwrap();
    request.model = "gemini-2.5-flash".into();
    assert_eq!(request.unread.header_value().as_deref(), Some("functionDeclarations.behavior"));
    let kinds: Vec<&Content> = request.messages.last().unwrap().parts.iter().map(|part| &part.content).collect();
    assert!(matches!(kinds[1], Content::Other { of: Dialect::Gemini, .. }), "a video on YouTube");
    assert!(matches!(kinds[2], Content::Audio { format, .. } if format == "mp3"));
    assert!(matches!(kinds[3], Content::File { name: Some(name), .. } if name == "a.pdf"));
    assert!(matches!(kinds[4], Content::Image { source: Source::Url(_), .. }));
    assert!(matches!(kinds[5], Content::Other { .. }), "a clip of a video");
    assert_eq!(request.tool_choice, Some(ToolChoice::Allowed { required: false, names: vec!["f".into()] }));
    assert!(matches!(&request.tools[0], Tool::Other { name, .. } if name == "googleSearch"));

    let (back, dropped) = sent(&request);
    let mut original: Value = serde_json::from_slice(&file("request.full.json")).unwrap();
    original["tools"] = json!([{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]);
    original["contents"][0]["parts"][2]["inlineData"]["mimeType"] = "audio/mp3".into();
    original["generationConfig"]["thinkingConfig"]["includeThoughts"] = false.into();
    assert_eq!(back, original);
    assert_eq!(dropped, "functionDeclarations.behavior");

    let refused = openai::chat::encode_request(&request, &mut Dropped::new()).unwrap_err();
    assert!(refused.field.starts_with("tools[") || refused.field.starts_with("messages["), "{refused}");
    let refused = anthropic::encode_request(&request, &mut Dropped::new()).unwrap_err();
    assert!(refused.to_string().contains("anthropic"), "{refused}");
}

#[test]
fn answers_of_several_choices_with_probabilities_and_filters() {
    let answer = gemini::decode_answer(&file("answer.choices.json")).unwrap();
    let finishes: Vec<_> = answer.choices.iter().map(|choice| choice.finish.clone().unwrap()).collect();
    assert_eq!(finishes, [Finish::Stop, Finish::ContentFilter]);
    let told = answer.choices[0].logprobs.as_ref().unwrap();
    assert_eq!((told.content[0].logprob, told.content[0].top[1].token.as_str()), (-0.25, "B"));
    assert_eq!(answer.unread.header_value().as_deref(), Some("candidates.citationMetadata"));
    let read = gemini::decode_answer(&gemini::encode_answer(&answer)).unwrap();
    assert_eq!(read, ChatAnswer { unread: Dropped::new(), ..answer });

    let blocked = gemini::decode_answer(&file("answer.filtered.json")).unwrap();
    assert_eq!((blocked.choices.len(), &blocked.choices[0].finish), (1, &Some(Finish::ContentFilter)));
    assert_eq!(blocked.usage.unwrap().input, 7);
    let chunk: Value = serde_json::from_slice(&file("answer.filtered.json")).unwrap();
    let stream = format!("data: {chunk}\n\n");
    let mut collector = Collector::new();
    decode([stream.as_bytes()]).iter().for_each(|event| collector.push(event));
    assert_eq!(collector.finish().unwrap(), blocked);
}

#[test]
fn a_call_that_was_cut_short_is_no_call() {
    let call = |arguments: &str| {
        let part = Part::tool_call("c", "f", arguments);
        let choice = peerway_dialect::canonical::Choice {
            parts: vec![part],
            finish: Some(Finish::Length),
            ..Default::default()
        };
        ChatAnswer { choices: vec![choice], ..ChatAnswer::default() }
    };
    let answer = call("{\"a\":");
    let body: Value = serde_json::from_slice(&gemini::encode_answer(&answer)).unwrap();
    assert_eq!(body["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    assert_eq!(body["candidates"][0]["content"]["parts"], json!([]));
    let stream = encode(Form::Events, &peerway_dialect::canonical::replay(&answer));
    assert!(stream.contains("MALFORMED_FUNCTION_CALL") && !stream.contains("functionCall"), "{stream}");
    let body: Value = serde_json::from_slice(&gemini::encode_answer(&call(""))).unwrap();
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["functionCall"]["args"], json!({}));
    let refused = gemini::encode_request(
        &asked(vec![Message::new(Role::Assistant, vec![Part::tool_call("c", "f", "[1]")])]),
        &mut Dropped::new(),
    );
    assert_eq!(refused.unwrap_err().field, "messages[0].content[0]");
}

#[test]
fn results_find_their_calls() {
    let turn = |results: &str| {
        let calls = r#"{"functionCall":{"name":"f","args":{"n":1}}},{"functionCall":{"name":"g","id":"x"}},{"functionCall":{"name":"f","args":{"n":2}}}"#;
        let body = format!(r#"{{"contents":[{{"role":"model","parts":[{calls}]}},{{"parts":[{results}]}}]}}"#);
        gemini::decode_request(body.as_bytes())
    };
    let ids = |request: &ChatRequest| -> Vec<String> {
        let results = request.messages[1].parts.iter().map(|part| match &part.content {
            Content::ToolResult { call_id, .. } => call_id.clone(),
            other => panic!("{other:?}"),
        });
        results.collect()
    };
    let result =
        |name: &str, rest: &str| format!(r#"{{"functionResponse":{{"name":"{name}","response":{{}}{rest}}}}}"#);
    let found = turn(&[result("f", ""), result("f", ""), result("g", "")].join(",")).unwrap();
    assert_eq!(ids(&found), ["call_cbf29ce484222325_0_0", "call_cbf29ce484222325_0_2", "x"]);
    let found = turn(&result("g", r#","id":"x""#)).unwrap();
    assert_eq!(ids(&found), ["x"]);
    let error = turn(&[result("g", ""), result("g", "")].join(",")).unwrap_err().to_string();
    assert_eq!(error, "`contents[1].parts[1].functionResponse.id` must be the id of a call of `g` in the turn before");

    let lost = Content::ToolResult { call_id: "nobody".into(), parts: vec![], is_error: false };
    let refused =
        gemini::encode_request(&asked(vec![Message::new(Role::Tool, vec![lost.into()])]), &mut Dropped::new());
    assert!(refused.unwrap_err().to_string().contains("is not in the messages before it"));
}

#[test]
fn results_keep_their_kind() {
    let result = |text: &str, is_error: bool| {
        let content = Content::ToolResult { call_id: "c".into(), parts: vec![Part::text(text)], is_error };
        let messages = vec![
            Message::new(Role::Assistant, vec![Part::tool_call("c", "f", "{}")]),
            Message::new(Role::Tool, vec![content.clone().into()]),
        ];
        let (body, _) = sent(&asked(messages));
        let read = gemini::decode_request(body.to_string().as_bytes()).unwrap();
        assert_eq!(read.messages[1].parts[0].content, content, "{body}");
        body["contents"][1]["parts"][0]["functionResponse"]["response"].clone()
    };
    assert_eq!(result("18 C", false), json!({"output": "18 C"}));
    assert_eq!(result("no such city", true), json!({"error": "no such city"}));
    assert_eq!(result(r#"{"a":1}"#, false), json!({"a": 1}));
    assert_eq!(result(r#"{"output":"x"}"#, false), json!({"output": r#"{"output":"x"}"#}), "not mistaken for plain");
    assert_eq!(result(r#"{"a":1}"#, true), json!({"error": r#"{"a":1}"#}));
    assert_eq!(result("[1]", false), json!({"output": "[1]"}));
}

#[test]
fn thinking_is_asked_for_in_the_words_of_the_generation() {
    let asked = |model: &str, effort, mode, show| {
        let reasoning = Some(Reasoning { effort, mode, show });
        let request = ChatRequest { model: model.into(), reasoning, ..asked(vec![Message::text(Role::User, "x")]) };
        let (body, dropped) = sent(&request);
        (body["generationConfig"]["thinkingConfig"].clone(), dropped)
    };
    let (old, new) = ("gemini-2.5-flash", "gemini-3.1-pro");
    assert_eq!(asked(old, Some(Effort::Medium), None, None), (json!({"thinkingBudget": 8192}), String::new()));
    assert_eq!(asked(new, Some(Effort::Medium), None, None), (json!({"thinkingLevel": "MEDIUM"}), String::new()));
    assert_eq!(
        asked(new, Some(Effort::Max), None, None),
        (json!({"thinkingLevel": "HIGH"}), "reasoning_effort".to_owned())
    );
    assert_eq!(
        asked(old, Some(Effort::Max), None, None),
        (json!({"thinkingBudget": 24576}), "reasoning_effort".to_owned())
    );
    assert_eq!(asked(old, Some(Effort::None), None, None).0, json!({"thinkingBudget": 0}));
    for (model, effort, level, named) in [
        ("gemini-3.6-flash", Effort::Minimal, "MINIMAL", ""),
        ("gemini-3.6-flash", Effort::None, "MINIMAL", "reasoning_effort"),
        ("gemini-3.7-flash", Effort::Minimal, "LOW", "reasoning_effort"),
        ("gemini-3.5-flash-lite", Effort::Minimal, "MINIMAL", ""),
        ("gemini-3.1-pro", Effort::None, "LOW", "reasoning_effort"),
        ("gemini-3-pro-preview", Effort::Medium, "LOW", "reasoning_effort"),
        ("gemini-4-ultra", Effort::Minimal, "LOW", "reasoning_effort"),
    ] {
        assert_eq!(
            asked(model, Some(effort), None, None),
            (json!({"thinkingLevel": level}), named.to_owned()),
            "{model} {effort:?}"
        );
    }
    let off = asked(new, None, Some(ThinkingMode::Off), None);
    assert_eq!(off, (json!({"thinkingLevel": "LOW"}), "thinking.type".to_owned()), "it always thinks");
    let budget = Some(ThinkingMode::Budget(4000));
    assert_eq!(asked(new, None, budget, None).0, json!({"thinkingBudget": 4000, "includeThoughts": true}));
    assert_eq!(asked(old, None, Some(ThinkingMode::Off), Some(false)).0["thinkingBudget"], 0);
}

#[test]
fn what_is_dropped_is_named() {
    let mut thought = Part::new(Content::Thinking { text: "hm".into() });
    thought.signature = Some(Signature::new(Dialect::Anthropic, "x"));
    let mut call = Part::tool_call("c", "f", "{}");
    call.signature = Some(Signature::new(Dialect::OpenAiResponses, "x"));
    let request = ChatRequest {
        seed: Some(i64::MAX),
        user: Some("u".into()),
        parallel_tool_calls: Some(false),
        extra: Extra::new(Dialect::OpenAiChat, [("logit_bias".to_owned(), Json::empty_object())].into()),
        ..asked(vec![
            Message::text(Role::User, "x"),
            Message::new(Role::Assistant, vec![thought, call]),
            Message::text(Role::Developer, "late"),
        ])
    };
    let (body, dropped) = sent(&request);
    assert_eq!(dropped, "parallel_tool_calls, user, logit_bias, thinking, thought_signature, system.position, seed");
    assert_eq!(body["systemInstruction"]["parts"][0]["text"], "late");
    assert_eq!(body["contents"][1]["parts"], json!([{"functionCall": {"id": "c", "name": "f", "args": {}}}]));

    let (body, dropped) = sent(&asked(vec![Message::text(Role::System, "alone")]));
    assert_eq!((body["contents"][0]["role"].as_str(), dropped.as_str()), (Some("user"), "system.role"));
}

#[test]
fn counts() {
    let request = gemini::decode_count_request(&file("request.count.json")).unwrap();
    assert_eq!((request.model.as_str(), request.messages.len()), ("gemini-3.1-pro", 2));
    let alone = gemini::decode_count_request(br#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#).unwrap();
    assert_eq!(alone.messages.len(), 1);
    let back = gemini::encode_count_request(&request, &mut Dropped::new()).unwrap();
    assert_eq!(gemini::decode_count_request(&back).unwrap(), request);
    let count = gemini::decode_count(&file("answer.count.json")).unwrap();
    assert_eq!((count.input, count.cached_input), (31, 8));
    assert_eq!(gemini::decode_count(&gemini::encode_count(&count)).unwrap(), count);
}

#[test]
fn embeddings() {
    let one = gemini::decode_embed_request(&file("request.embed.json")).unwrap();
    assert_eq!(one.inputs, [EmbedInput::Text("one\ntwo".into())]);
    assert_eq!((one.task.as_deref(), one.dimensions), (Some("search_query"), Some(3)));
    let batch = gemini::decode_batch_embed_request(&file("request.embed-batch.json")).unwrap();
    assert_eq!((batch.inputs.len(), batch.task.as_deref()), (2, Some("SEMANTIC_SIMILARITY")));
    for request in [one, batch] {
        let mut dropped = Dropped::new();
        let sent = gemini::encode_embed_request(&request, &mut dropped).unwrap();
        assert_eq!(gemini::decode_batch_embed_request(&sent).unwrap(), request);
        assert!(dropped.is_empty());
    }
    let differing = br#"{"requests":[{"content":{"parts":[]}},{"content":{"parts":[]},"taskType":"CLUSTERING"}]}"#;
    let error = gemini::decode_batch_embed_request(differing).unwrap_err().to_string();
    assert!(error.starts_with("`requests[1]` must be for the same task"), "{error}");

    let one = gemini::decode_embed_answer(&file("answer.embed.json")).unwrap();
    assert_eq!(one.vectors, [[0.5, -0.25, 1.0]]);
    assert_eq!(gemini::decode_embed_answer(&gemini::encode_embed_answer(&one)).unwrap(), one);
    let batch = gemini::decode_embed_answer(&file("answer.embed-batch.json")).unwrap();
    assert_eq!((batch.vectors.len(), batch.usage.unwrap().input), (2, 2));
    assert_eq!(gemini::decode_embed_answer(&gemini::encode_batch_embed_answer(&batch)).unwrap(), batch);
}

#[test]
fn no_field_can_pose_as_another() {
    let body = br#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":5,"max_Output_tokens":7,"a.b":1},
        "generationConfig.maxOutputTokens":9,"toolConfig":{"functionCallingConfig.mode":"ANY"}}"#;
    let mut request = gemini::decode_request(body).unwrap();
    request.model = "m".into();
    let told = "a.b, functionCallingConfig.mode, generationConfig.maxOutputTokens";
    assert_eq!(request.unread.header_value().as_deref(), Some(told));
    let sent = gemini::encode_request(&request, &mut Dropped::new()).unwrap();
    assert_eq!(gemini::decode_request(&sent).unwrap().max_output_tokens, Some(5));
}

#[test]
fn a_turn_of_very_many_calls_is_read_in_time() {
    let (call, result) = (r#"{"functionCall":{"name":"f"}}"#, r#"{"functionResponse":{"name":"f","response":{}}}"#);
    let many = |piece: &str| vec![piece; 50_000].join(",");
    let body =
        format!(r#"{{"contents":[{{"role":"model","parts":[{}]}},{{"parts":[{}]}}]}}"#, many(call), many(result));
    assert_eq!(gemini::decode_request(body.as_bytes()).unwrap().messages.len(), 2);
}

#[test]
fn a_signature_comes_back_through_a_client_of_openai() {
    let answer = gemini::decode_answer(&file("answer.tools.json")).unwrap();
    let body: Value = serde_json::from_slice(&openai::chat::encode_answer(&answer)).unwrap();
    let echoed = json!({"model": "gemini-3.1-pro", "messages": [{"role": "user", "content": "x"}, body["choices"][0]["message"]]});
    let request = openai::chat::decode_request(echoed.to_string().as_bytes()).unwrap();
    let (body, dropped) = sent(&request);
    let parts = &body["contents"][1]["parts"];
    assert_eq!((&parts[1]["thoughtSignature"], dropped.as_str()), (&json!("Q2lRQmlSWg=="), ""));
    assert_eq!(parts[2].get("thoughtSignature"), None);
}

#[test]
fn a_stream_is_whole_when_every_candidate_has_finished() {
    let chunk = |index: u32, rest: &str| {
        format!(
            "data: {{\"candidates\":[{{\"index\":{index},\"content\":{{\"parts\":[{{\"text\":\"a\"}}]}}{rest}}}]}}\n\n"
        )
    };
    let finish = r#","finishReason":"STOP""#;
    let one = [chunk(0, ""), chunk(1, ""), chunk(0, finish)].concat();
    assert!(matches!(decode([one.as_bytes()]).last(), Some(StreamEvent::Error(_))));
    let both = [one, chunk(1, finish)].concat();
    assert_eq!(decode([both.as_bytes()]).last(), Some(&StreamEvent::Done));
    assert!(matches!(decode([]).as_slice(), [StreamEvent::Error(_)]));
}

#[test]
fn a_signature_behind_a_thought_belongs_to_it_plain_and_streamed() {
    let parts = r#"{"text":"hm","thought":true},{"text":"","thought":true,"thoughtSignature":"Q2lR"},{"text":"a"}"#;
    let body = format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"STOP"}}]}}"#);
    let plain = gemini::decode_answer(body.as_bytes()).unwrap();
    assert_eq!(plain.choices[0].parts.len(), 2);
    assert_eq!(plain.choices[0].parts[0].signature, Some(Signature::new(Dialect::Gemini, "Q2lR")));
    let mut collector = Collector::new();
    decode([format!("data: {body}\n\n").as_bytes()]).iter().for_each(|event| collector.push(event));
    assert_eq!(collector.finish().unwrap(), plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Golden bodies with bytes changed: answers or errors, never a panic.
    #[test]
    fn damaged_bodies_never_panic(which in 0_usize..9, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let names = ["request.full", "request.tools", "request.embed", "request.embed-batch", "request.count", "answer.choices", "answer.tools", "answer.embed-batch", "answer.count"];
        let mut body = file(&format!("{}.json", names[which]));
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(request) = gemini::decode_request(&body) {
            let _ = gemini::encode_request(&request, &mut Dropped::new());
        }
        if let Ok(answer) = gemini::decode_answer(&body) {
            let _ = gemini::encode_answer(&answer);
        }
        let _ = gemini::decode_embed_request(&body);
        let _ = gemini::decode_batch_embed_request(&body);
        let _ = gemini::decode_embed_answer(&body);
        let _ = gemini::decode_count_request(&body);
        let _ = gemini::decode_count(&body);
        let _ = gemini::decode_error(500, &body);
    }
}
