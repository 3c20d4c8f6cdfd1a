//! Every client dialect against every provider dialect, at a simulated provider that speaks the real wire formats: what a
//! client gets, whole or as a stream, and what it is told when things go wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use serde_json::{Value, json};
use support::dialects::{CLIENTS, Client, PROVIDERS, everyone};
use support::scripted::Scripted;

#[tokio::test]
async fn everybody_is_answered_by_everybody() {
    let setup = everyone(|_| {}).await;
    for client in CLIENTS {
        for provider in PROVIDERS {
            let answer = client.say(&setup, provider, "hello there", false).await;
            assert_eq!(answer.status.as_u16(), 200, "{client:?} {provider}: {answer:?}");
            assert_eq!(client.text(&answer), "echo: hello there", "{client:?} {provider}: {answer:?}");
            assert_eq!(answer.header("x-peerway-provider"), provider);
            assert_eq!(answer.header("x-peerway-attempts"), "1");
            client.assert_named(&answer, provider);
        }
    }
}

#[tokio::test]
async fn everybody_is_streamed_to_by_everybody() {
    let setup = everyone(|_| {}).await;
    for client in CLIENTS {
        for provider in PROVIDERS {
            let answer = client.say(&setup, provider, "hello there", true).await;
            assert_eq!(answer.status.as_u16(), 200, "{client:?} {provider}: {answer:?}");
            assert_eq!(answer.header("content-type"), client.stream_type(), "{client:?} {provider}");
            assert_eq!(
                client.streamed(&answer),
                Ok("echo: hello there".to_owned()),
                "{client:?} {provider}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_cut_after_output_is_told_in_the_clients_words() {
    let setup = everyone(|config| {
        for provider in config["providers"].as_array_mut().unwrap() {
            provider["retries"] = json!(0);
        }
    })
    .await;
    for fault in ["cut_after_events", "error_event_after"] {
        for client in CLIENTS {
            for provider in PROVIDERS {
                setup.provider("POST", "/reset", "").await;
                // Beyond the first deltas, and long before the end, in every dialect.
                setup.fault(json!({"match": {}, "do": {fault: 12}})).await;
                let words = "one two three four five six seven eight nine ten ".repeat(8);
                let answer = client.say(&setup, provider, &words, true).await;
                assert_eq!(answer.status.as_u16(), 200, "{client:?} {provider}: {answer:?}");
                let broken = client.streamed(&answer).expect_err("a broken stream must not look whole");
                assert!(!broken.is_empty(), "{client:?} {provider} {fault}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_breaks_before_output_is_tried_elsewhere_in_silence() {
    let setup = everyone(|config| {
        let routes: Vec<Value> = PROVIDERS
            .iter()
            .map(|provider| {
                json!({"model": format!("safe-{provider}"), "targets": [{"provider": provider, "model": "breaks"}],
                    "fallbacks": [{"provider": "alike", "model": "echo"}]})
            })
            .collect();
        config["routes"] = json!(routes);
        for provider in config["providers"].as_array_mut().unwrap() {
            provider["retries"] = json!(0);
        }
    })
    .await;
    for fault in ["cut_after_events", "error_event_after", "status"] {
        for provider in PROVIDERS {
            // Gemini's first event has text already.
            let how = match (fault, provider) {
                ("status", _) => 503,
                (_, "gemini") => 0,
                _ => 1,
            };
            setup.provider("POST", "/reset", "").await;
            setup.fault(json!({"match": {"model": "breaks"}, "do": {fault: how}})).await;
            for client in CLIENTS {
                let answer = client.say_to(&setup, &format!("safe-{provider}"), "hello", true).await;
                let (by, attempts) = (answer.header("x-peerway-provider"), answer.header("x-peerway-attempts"));
                assert_eq!(
                    (answer.status.as_u16(), by, attempts),
                    (200, "alike", "2"),
                    "{client:?} {provider} {fault}: {answer:?}"
                );
                assert_eq!(client.streamed(&answer), Ok("echo: hello".to_owned()), "{client:?} {provider} {fault}");
            }
        }
    }
}

#[tokio::test]
async fn a_clients_own_mistake_is_told_in_its_words_and_tried_nowhere_else() {
    let setup = everyone(|_| {}).await;
    for client in CLIENTS {
        for provider in PROVIDERS {
            setup.provider("POST", "/reset", "").await;
            setup.fault(json!({"match": {}, "do": {"status": 400}})).await;
            for stream in [false, true] {
                let answer = client.say(&setup, provider, "hello", stream).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("x-peerway-attempts")),
                    (400, "1"),
                    "{client:?} {provider}: {answer:?}"
                );
                assert!(!client.error(&answer).is_empty(), "{client:?} {provider}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_in_the_clients_words() {
    let setup = everyone(|_| {}).await;
    for client in CLIENTS {
        let answer = client.with_key(&setup, "sk-nobody", "alike/echo").await;
        assert_eq!(answer.status.as_u16(), 401, "{client:?}: {answer:?}");
        assert!(client.error(&answer).contains("not known"), "{client:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_key_is_taken_from_wherever_a_client_puts_it() {
    let setup = everyone(|_| {}).await;
    let aws = format!(
        "AWS4-HMAC-SHA256 Credential={}/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
        support::KEY
    );
    let bearer = format!("Bearer {}", support::KEY);
    for client in CLIENTS {
        for (header, value) in [
            ("authorization", bearer.as_str()),
            ("x-api-key", support::KEY),
            ("x-goog-api-key", support::KEY),
            ("api-key", support::KEY),
            ("x-bf-vk", support::KEY),
            ("authorization", &aws),
        ] {
            let answer = client.with_header(&setup, header, value, "alike/echo").await;
            assert_eq!(answer.status.as_u16(), 200, "{client:?} {header}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_is_left_out_is_named_and_what_cannot_be_told_is_refused() {
    let setup = everyone(|config| {
        config["routes"] = json!([{"model": "either", "targets": [{"provider": "anthropic", "model": "echo"}],
            "fallbacks": [{"provider": "alike", "model": "echo"}]}]);
    })
    .await;
    let ask = |more: Value| {
        let mut body = json!({"model": "anthropic/echo", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let answer = setup.chat(ask(json!({"seed": 7, "logit_bias": {"1": 1}}))).await;
    let dropped = answer.header("x-peerway-dropped");
    assert!(answer.status == 200 && dropped.contains("seed") && dropped.contains("logit_bias"), "{answer:?}");
    let answer = setup.chat(ask(json!({"n": 2}))).await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status.as_u16(), &error["param"]), (400, &json!("n")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("anthropic"), "{error}");
    let answer = setup.chat(ask(json!({"n": 2, "model": "either"}))).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "alike"), "{answer:?}");
    let answer = setup.chat(ask(json!({"messages": "hi"}))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["param"]), (400, &json!("messages")), "{answer:?}");
}

#[tokio::test]
async fn what_is_left_out_of_an_answer_is_named() {
    let whole = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}, {"type": "server_thing", "id": "x"}],
        "usage": {"input_tokens": 1, "output_tokens": 1}});
    let events = [
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "server_thing", "id": "x"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    let events: String =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect();
    for (kind, body) in [("application/json", whole.to_string()), ("text/event-stream", events)] {
        let provider = Scripted::answering(200, kind, &body).await;
        let url = format!("{}/v1", provider.url);
        let setup = everyone(|config| config["providers"][2]["base_url"] = json!(url)).await;
        let is_stream = kind == "text/event-stream";
        let answer = Client::Chat.say(&setup, "anthropic", "hello", is_stream).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        // A stream's head is gone before anybody knows.
        assert_eq!(answer.header("x-peerway-dropped"), if is_stream { "" } else { "content.server_thing" }, "{kind}");
        assert_eq!(setup.next_log_line()["dropped"], "content.server_thing", "{kind}");
        // In its own words it goes on as it is.
        let answer = Client::Anthropic.say(&setup, "anthropic", "hello", is_stream).await;
        assert_eq!(answer.header("x-peerway-dropped"), "", "{answer:?}");
        assert_eq!(setup.next_log_line().get("dropped"), None);
    }
}

#[tokio::test]
async fn text_completions_come_back_as_such() {
    let setup = everyone(|_| {}).await;
    for provider in PROVIDERS {
        let body = json!({"model": format!("{provider}/echo"), "prompt": "hello", "max_tokens": 50});
        let answer = setup.post("/v1/completions", body).await.json();
        assert_eq!(
            (&answer["object"], &answer["choices"][0]["text"]),
            (&json!("text_completion"), &json!("echo: hello")),
            "{provider} {answer}"
        );
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    }
}

#[tokio::test]
async fn tools_are_called_across_dialects() {
    let setup = everyone(|_| {}).await;
    for provider in PROVIDERS {
        for stream in [false, true] {
            let tool =
                |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
            let said = r#"call add {"a":1} weather {"city":"Bern"}"#;
            let body = json!({"model": format!("{provider}/echo"), "stream": stream, "tools": [tool("add"), tool("weather")],
                "messages": [{"role": "user", "content": said}]});
            let answer = setup.chat(body).await;
            assert_eq!(answer.status.as_u16(), 200, "{provider}: {answer:?}");
            let mut calls: Vec<(String, String)> = Vec::new();
            let mut take = |call: &Value| {
                let index = call["index"].as_u64().map_or(calls.len(), |index| index as usize);
                calls.resize(calls.len().max(index + 1), Default::default());
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                calls[index].0 += &text(&call["function"]["name"]);
                calls[index].1 += &text(&call["function"]["arguments"]);
            };
            if stream {
                for event in answer.events().iter().filter(|event| *event != "[DONE]") {
                    let chunk: Value = serde_json::from_str(event).unwrap();
                    chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten().for_each(&mut take);
                }
            } else {
                answer.json()["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter().for_each(&mut take);
            }
            let calls: Vec<(&str, Value)> =
                calls.iter().map(|(name, text)| (name.as_str(), serde_json::from_str(text).unwrap())).collect();
            assert_eq!(calls, [("add", json!({"a": 1})), ("weather", json!({"city": "Bern"}))], "{provider} {stream}");
        }
    }
}

#[tokio::test]
async fn lists_of_models_are_in_the_clients_form() {
    let setup = everyone(|config| config["providers"][0]["models"] = json!(["echo"])).await;
    let names = |path: &'static str, list: &'static str, name: &'static str| {
        let setup = &setup;
        async move {
            let answer = setup.get(path).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
            let body = answer.json();
            body[list].as_array().unwrap().iter().map(|it| it[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(names("/v1/models", "data", "id").await, ["openai/echo"]);
    assert_eq!(names("/anthropic/v1/models", "data", "id").await, ["openai/echo"]);
    assert_eq!(names("/cohere/v1/models", "models", "name").await, ["openai/echo"]);
    for version in ["/genai/v1/models", "/genai/v1beta/models", "/genai/models"] {
        assert_eq!(names(version, "models", "name").await, ["models/openai/echo"]);
    }
}

#[tokio::test]
async fn usage_is_what_the_provider_bills_in_every_dialect() {
    let setup = everyone(|_| {}).await;
    let billed = async || {
        let bill = setup.provider("GET", "/bill", "").await;
        let tokens = |kind: &str| bill[kind].as_u64().unwrap();
        (tokens("prompt_tokens"), tokens("completion_tokens"))
    };
    for client in CLIENTS {
        for provider in PROVIDERS {
            for stream in [false, true] {
                let before = billed().await;
                let answer = client.say(&setup, provider, "hello there, how are you?", stream).await;
                assert_eq!(answer.status.as_u16(), 200, "{client:?} {provider} {stream}: {answer:?}");
                let (after, line) = (billed().await, setup.next_log_line());
                let charged = (line["prompt_tokens"].as_u64().unwrap(), line["completion_tokens"].as_u64().unwrap());
                assert_eq!(charged, (after.0 - before.0, after.1 - before.1), "{client:?} {provider} {stream}: {line}");
                assert_eq!(line.get("estimated_because"), None, "{client:?} {provider} {stream}: {line}");
            }
        }
    }
}
