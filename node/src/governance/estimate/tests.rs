use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(body: &Value) -> Estimate {
    Estimate::read(Dialect::OpenAiChat, body.to_string().as_bytes()).unwrap()
}

fn prompt(text: &str) -> Value {
    json!({ "model": "echo", "messages": [{ "role": "user", "content": text }] })
}

/// Texts, and the larger count of the tokenizers cl100k_base and o200k_base.
const COUNTED: [(u64, &str); 16] = [
    (22, "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening because it is tired."),
    (
        27,
        "Please summarise the following report in three sentences. Keep the figures, name the risks, and say what should be decided by Friday.",
    ),
    (
        32,
        "fn main() {\n    let total: u64 = items.iter().map(|item| item.price * item.count).sum();\n    println!(\"{total}\");\n}\n",
    ),
    (37, "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n"),
    (32, "SELECT u.id, COUNT(*) FROM users u JOIN orders o ON o.user_id = u.id WHERE o.total > 100.50 GROUP BY u.id;"),
    (29, "{\"id\":42,\"tags\":[\"a\",\"b\"],\"nested\":{\"x\":1.5,\"y\":-2,\"ok\":true}}"),
    (27, "\t\t\tif err != nil {\n\t\t\t\treturn nil, fmt.Errorf(\"open %q: %w\", path, err)\n\t\t\t}\n"),
    (29, "if(a&&b||!c){x=[1,2,3].map(y=>y**2);return{x,z:-1}}"),
    (19, "3.14159 26535 89793 23846 26433 83279"),
    (18, "https://api.example.com/v1/users?id=123&sort=-created_at#top"),
    (35, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        32,
        "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt.",
    ),
    (16, "你好，请用三句话总结下面的报告。"),
    (45, "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
    (35, "Все люди рождаются свободными и равными в своем достоинстве и правах."),
    (37, "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق."),
];

#[test]
fn prose_and_code_are_estimated_high_but_not_by_much() {
    let framing = read(&prompt("")).prompt_tokens;
    for (tokens, text) in COUNTED {
        let estimate = read(&prompt(text)).prompt_tokens - framing;
        assert!(estimate >= tokens, "{estimate} < {tokens}: {text}");
        assert!(estimate <= tokens * 5 / 2, "{estimate} is far above {tokens}: {text}");
    }
}

#[test]
fn what_is_not_text_is_flagged_and_not_counted_as_text() {
    let image = format!("data:image/png;base64,{}", "A".repeat(400_000));
    let estimate = read(&json!({ "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is this?" },
        { "type": "image_url", "image_url": { "url": image, "detail": "high" } },
    ] }] }));
    assert_eq!((estimate.images, estimate.sounds, estimate.files, estimate.is_rough()), (1, 0, 0, true));
    assert!((2_000..2_100).contains(&estimate.prompt_tokens), "{}", estimate.prompt_tokens);
    let estimate = read(&json!({ "messages": [{ "role": "user", "content": [
        { "type": "input_audio", "input_audio": { "data": "A".repeat(10_000), "format": "mp3" } },
        { "type": "file", "file": { "file_data": "A".repeat(10_000), "filename": "a.pdf" } },
    ] }] }));
    assert_eq!((estimate.images, estimate.sounds, estimate.files, estimate.is_rough()), (0, 1, 1, true));
    assert!((2_600..2_700).contains(&estimate.prompt_tokens), "{}", estimate.prompt_tokens);
    assert!(!read(&prompt("hello")).is_rough());
}

#[test]
fn nothing_that_a_model_may_read_is_free() {
    let plain = read(&prompt("hello")).prompt_tokens;
    let long = "word ".repeat(300);
    for (path, value) in [
        ("tools", json!([{ "type": "function", "function": { "name": "f", "description": long } }])),
        ("response_format", json!({ "type": "json_schema", "json_schema": { "schema": { "description": long } } })),
        ("prediction", json!({ "type": "content", "content": long })),
        ("something_new", json!(long)),
        ("messages", json!([{ "role": "tool", "content": long }])),
        (
            "messages",
            json!([{ "role": "assistant", "content": null, "tool_calls": [{ "function": { "arguments": long } }] }]),
        ),
        ("messages", json!([{ "role": "user", "content": [{ "type": "refusal", "refusal": long }] }])),
    ] {
        let mut body = prompt("hello");
        body[path] = value;
        assert!(read(&body).prompt_tokens > plain.min(20) + 300, "{body}");
    }
}

#[test]
fn the_output_is_bounded_by_request_model_or_default() {
    let limits = |max_output_tokens| Limits { context: None, max_output_tokens };
    let worst = |more: Value, limit: Option<u64>| {
        let mut body = prompt("hello");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&body).worst_output(&limits(limit), 4_096)
    };
    assert_eq!(worst(json!({}), None), 4_096);
    assert_eq!(worst(json!({}), Some(16_384)), 16_384);
    assert_eq!(worst(json!({ "max_tokens": 100 }), Some(16_384)), 100);
    assert_eq!(worst(json!({ "max_tokens": 100_000 }), Some(16_384)), 16_384);
    assert_eq!(worst(json!({ "max_tokens": 100_000 }), None), 100_000);
    assert_eq!(worst(json!({ "max_tokens": 5, "max_completion_tokens": 7 }), None), 7);
    assert_eq!(worst(json!({ "max_tokens": null, "n": null }), None), 4_096);
    assert_eq!(worst(json!({ "max_tokens": 100, "n": 3 }), None), 300);
    assert_eq!(worst(json!({ "n": 0 }), None), 4_096);
    assert_eq!(worst(json!({ "n": 3.0, "max_tokens": 1e3 }), None), 3_000);
    assert_eq!(worst(json!({ "n": "3", "max_tokens": "1_000" }), None), 3_000);
    assert_eq!(worst(json!({ "n": 2.5, "max_tokens": 10.5 }), None), 33, "rounded up");
    assert_eq!(worst(json!({ "n": -3, "max_tokens": -1 }), None), 4_096, "which is no bound");
    assert_eq!(worst(json!({ "n": [1], "max_tokens": {"a": 1} }), None), 4_096);
    assert_eq!(worst(json!({ "max_tokens": u64::MAX, "n": u64::MAX }), None), u64::MAX);
}

#[test]
fn each_dialect_is_bounded_where_it_says_so_and_nowhere_else() {
    let bound = |dialect, body: Value| {
        let read = Estimate::read(dialect, body.to_string().as_bytes()).unwrap();
        (read.asked_output, read.choices)
    };
    for (dialect, body, expected) in [
        (Dialect::Anthropic, json!({ "max_tokens": 5, "n": 3 }), (Some(5), 1)),
        (Dialect::Cohere, json!({ "max_tokens": 5 }), (Some(5), 1)),
        (Dialect::OpenAiResponses, json!({ "max_output_tokens": 5, "max_tokens": 1 }), (Some(5), 1)),
        (Dialect::OpenAiChat, json!({ "max_output_tokens": 5 }), (None, 1)),
        (Dialect::OpenAiChat, json!({ "generationConfig": { "maxOutputTokens": 5 } }), (None, 1)),
        (Dialect::Gemini, json!({ "max_tokens": 5 }), (None, 1)),
        (Dialect::Gemini, json!({ "generationConfig": { "maxOutputTokens": 5, "candidateCount": 2 } }), (Some(5), 2)),
        (Dialect::Gemini, json!({ "generation_config": { "max_output_tokens": 5 } }), (Some(5), 1)),
        (Dialect::Bedrock, json!({ "inferenceConfig": { "maxTokens": 5 } }), (Some(5), 1)),
        (
            Dialect::OpenAiCompletions,
            json!({ "prompt": ["a", "b"], "max_tokens": 5, "best_of": 3, "n": 1 }),
            (Some(5), 6),
        ),
        (Dialect::OpenAiCompletions, json!({ "prompt": [[1, 2], [3]] }), (None, 2)),
        (Dialect::OpenAiCompletions, json!({ "prompt": [1, 2, 3] }), (None, 1)),
    ] {
        assert_eq!(bound(dialect, body.clone()), expected, "{dialect} {body}");
    }
}

#[test]
fn media_of_each_dialect_are_not_counted_as_text() {
    let data = "A".repeat(40_000);
    let image = |dialect: Dialect, part: Value| {
        let body = match dialect {
            Dialect::Gemini => json!({ "contents": [{ "role": "user", "parts": [part] }] }),
            Dialect::OpenAiResponses => json!({ "input": [{ "role": "user", "content": [part] }] }),
            _ => json!({ "messages": [{ "role": "user", "content": [part] }] }),
        };
        Estimate::read(dialect, body.to_string().as_bytes()).unwrap()
    };
    let base64 = json!({ "type": "base64", "media_type": "image/png", "data": data });
    for (dialect, part) in [
        (Dialect::Anthropic, json!({ "type": "image", "source": base64 })),
        (Dialect::Anthropic, json!({ "type": "tool_result", "content": [{ "type": "image", "source": base64 }] })),
        (Dialect::Gemini, json!({ "inlineData": { "mimeType": "image/png", "data": data } })),
        (Dialect::Gemini, json!({ "inline_data": { "data": data, "mime_type": "image/png" } })),
        (Dialect::Gemini, json!({ "fileData": { "fileUri": "https://x.example/a", "mimeType": "video/mp4" } })),
        (Dialect::Bedrock, json!({ "image": { "format": "png", "source": { "bytes": data } } })),
        (Dialect::OpenAiResponses, json!({ "type": "input_image", "image_url": data })),
    ] {
        let read = image(dialect, part.clone());
        assert_eq!((read.images, read.is_rough()), (1, true), "{dialect}");
        assert!((2_000..2_200).contains(&read.prompt_tokens), "{dialect} {}", read.prompt_tokens);
    }
    let text = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "a word ".repeat(500) } });
    assert!(image(Dialect::Anthropic, text).prompt_tokens > 1_000, "plain text is text");
    let pdf = json!({ "document": { "format": "pdf", "name": "a", "source": { "bytes": data } } });
    assert!(image(Dialect::Bedrock, pdf).prompt_tokens >= 10_000);
}

#[test]
fn what_only_others_read_is_bounded_all_the_same() {
    for (dialect, body, expected) in [
        (Dialect::OpenAiChat, r#"{"messages":["\ud83d"],"max_tokens":100000,"n":2}"#, (Some(100_000), 2)),
        (Dialect::OpenAiChat, r#"{"messages":["\ud83d"],"max_tokens":"1e5","n":"2"}"#, (Some(100_000), 2)),
        (Dialect::OpenAiCompletions, r#"{"prompt":["\ud83d","b"],"max_tokens":5}"#, (Some(5), 2)),
        (Dialect::Gemini, r#"{"contents":["\ud83d"],"generationConfig":{"maxOutputTokens":7}}"#, (Some(7), 1)),
    ] {
        assert!(Estimate::read(dialect, body.as_bytes()).is_err(), "{body}");
        let bound = Estimate::of_unread(dialect, body.as_bytes());
        assert_eq!((bound.asked_output, bound.choices), expected, "{body}");
        assert!(bound.prompt_tokens >= 20, "{body}");
    }
}

#[test]
fn what_is_not_json_is_an_error() {
    for body in ["", "{", "{} x", "{\"messages\":[", "nope"] {
        assert!(Estimate::read(Dialect::OpenAiChat, body.as_bytes()).is_err(), "{body}");
    }
}

fn content() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        ".{0,60}".prop_map(|text| json!({ "type": "text", "text": text })),
        Just(json!({ "type": "image_url", "image_url": { "url": "https://x.example/a.png" } })),
    ];
    prop_oneof![
        Just(Value::Null),
        ".{0,200}".prop_map(Value::from),
        "[a-z ]{0,600}".prop_map(Value::from),
        proptest::collection::vec(part, 0..5).prop_map(Value::from),
    ]
}

/// Bytes of text as the simulated provider counts them.
fn text_bytes(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).map(str::len).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn never_below_the_simulated_provider(
        contents in proptest::collection::vec(content(), 1..12),
        tools in proptest::collection::vec("[a-z]{0,8}", 0..4),
        roles in proptest::collection::vec(prop_oneof![Just("user"), Just("assistant"), Just("system")], 12),
    ) {
        let messages: Vec<Value> = contents
            .iter()
            .zip(roles)
            .map(|(content, role)| json!({ "role": role, "content": content }))
            .collect();
        let names: Vec<Value> =
            tools.iter().map(|name| json!({ "type": "function", "function": { "name": name } })).collect();
        let body = json!({ "model": "echo", "messages": messages, "tools": names });
        let counted = peerway_simulated_provider::prompt_tokens(contents.iter().map(text_bytes), tools.len());
        let estimate = read(&body).prompt_tokens;
        prop_assert!(estimate >= counted, "{estimate} < {counted}");
    }

    #[test]
    fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL {
            let _ = Estimate::read(dialect, &body);
        }
    }
}
