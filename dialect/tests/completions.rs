//! Text completions against chat models: what any provider answers comes back as `choices[0].text`, streamed too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use peerway_dialect::canonical::{
    ChatAnswer, Choice, Finish, Logprobs, Part, StreamEvent, TokenLogprob, TopLogprob, replay,
};
use peerway_dialect::openai::completions::{StreamEncoder, decode_request, encode_answer};
use serde_json::{Value, json};
use support::{essence, scenarios, speakers};

fn chunks(bytes: &[u8]) -> (Vec<Value>, bool) {
    let text = std::str::from_utf8(bytes).unwrap();
    let data: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    let done = data.last() == Some(&"[DONE]");
    (data.iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect(), done)
}

fn encoded(events: &[StreamEvent], usage: bool, echo: Option<&str>) -> (Vec<Value>, bool) {
    let (mut encoder, mut bytes) = (StreamEncoder::new(usage, echo.map(str::to_owned)), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.end(&mut bytes);
    chunks(&bytes)
}

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect()
}

#[test]
fn a_prompt_reaches_every_provider_as_a_user_message() {
    let body = br#"{"model":"demo","prompt":["Once upon"],"max_tokens":5,"stop":["."],"logit_bias":{"1":2},"stream":true,"best_of":2}"#;
    let read = decode_request(body).unwrap();
    assert_eq!(read.echo, None);
    let essence = essence::of_request(&read.chat);
    assert_eq!(essence.said, [essence::Said::Text("user", "Once upon".into())]);
    assert_eq!((essence.max, essence.stop, essence.stream), (Some(5), vec![".".to_owned()], true));
    assert_eq!(read.chat.unread.header_value().unwrap(), "best_of");
    for provider in speakers().into_iter().filter(|speaker| speaker.provider) {
        let mut request = read.chat.clone();
        provider.model.clone_into(&mut request.model);
        let sent = (provider.encode_request)(&request, &mut Default::default()).unwrap();
        assert!(support::contains(&sent, b"Once upon"), "{}", provider.name());
    }
}

#[test]
fn what_a_chat_model_cannot_do_is_refused_by_name() {
    for (body, message) in [
        (
            r#"{"model":"m","prompt":["a","b"]}"#,
            "`prompt` must be one prompt, as a string: a chat model answers one, and takes no token ids",
        ),
        (
            r#"{"model":"m","prompt":[1,2]}"#,
            "`prompt` must be one prompt, as a string: a chat model answers one, and takes no token ids",
        ),
        (
            r#"{"model":"m","prompt":"a","suffix":"b"}"#,
            "`suffix` must be absent: a chat model does not fill in before a suffix",
        ),
        (r#"{"model":"m"}"#, "`prompt` is missing"),
    ] {
        assert_eq!(decode_request(body.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn every_providers_answers_come_back_as_text() {
    for provider in speakers().into_iter().filter(|speaker| speaker.provider) {
        for scenario in ["text", "length"] {
            let expected = scenarios::answer(scenario);
            let reason = if scenario == "text" { "stop" } else { "length" };
            if let Some(body) = provider.golden_answer(scenario) {
                let answer = (provider.decode_answer)(&body).unwrap();
                let body: Value = serde_json::from_slice(&encode_answer(&answer, None)).unwrap();
                assert_eq!(body["object"], "text_completion");
                assert_eq!(body["choices"][0]["text"], expected.text);
                assert_eq!(body["choices"][0]["finish_reason"], reason);
                assert_eq!(body["usage"]["prompt_tokens"], expected.input);
                assert_eq!(body["usage"]["completion_tokens"], expected.output);
            }
            if let Some(stream) = provider.golden_stream(scenario) {
                let events = provider.decode_stream([stream.as_slice()]);
                let (told, done) = encoded(&events, true, None);
                assert!(done);
                assert_eq!(text_of(&told), expected.text);
                let silent = told.iter().filter(|chunk| chunk["choices"][0]["text"] == "").count();
                assert_eq!(silent, 1, "the chunk that tells the end");
                assert_eq!(told[told.len() - 2]["choices"][0]["finish_reason"], reason);
                let last = told.last().unwrap();
                assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(expected.input)));
                let (told, _) = encoded(&events, false, None);
                assert!(told.iter().all(|chunk| chunk.get("usage").is_none()), "not asked for");
                let cut = provider.decode_stream([&stream[..stream.len() / 2]]);
                let (told, done) = encoded(&cut, true, None);
                assert!(!done && told.last().unwrap()["error"]["code"] == "upstream_error");
            }
        }
    }
}

#[test]
fn the_prompt_is_repeated_once_for_each_choice_and_logprobs_know_their_place() {
    let read = decode_request("{\"model\":\"m\",\"prompt\":\"Où? \",\"echo\":true,\"logprobs\":1,\"n\":2}".as_bytes())
        .unwrap();
    let echo = read.echo.as_deref();
    let token = |token: &str| TokenLogprob {
        token: token.into(),
        logprob: -0.5,
        bytes: None,
        top: vec![TopLogprob { token: token.into(), logprob: -0.5, bytes: None }],
    };
    let choice = |index| Choice {
        index,
        parts: vec![Part::text("Là-bas")],
        finish: Some(Finish::Stop),
        logprobs: Some(Logprobs { content: vec![token("Là"), token("-bas")], refusal: Vec::new() }),
    };
    let answer = ChatAnswer { choices: vec![choice(0), choice(1)], ..ChatAnswer::default() };
    let body: Value = serde_json::from_slice(&encode_answer(&answer, echo)).unwrap();
    for at in 0..2 {
        assert_eq!(body["choices"][at]["text"], "Où? Là-bas");
        assert_eq!(body["choices"][at]["logprobs"]["text_offset"], json!([4, 6]));
        assert_eq!(body["choices"][at]["logprobs"]["top_logprobs"], json!([{"Là": -0.5}, {"-bas": -0.5}]));
    }
    let (told, done) = encoded(&replay(&answer), false, echo);
    assert!(done);
    for at in 0..2 {
        let of: Vec<Value> = told.iter().filter(|chunk| chunk["choices"][0]["index"] == at).cloned().collect();
        assert_eq!(text_of(&of), "Où? Là-bas");
        let offsets = of.iter().find_map(|chunk| chunk["choices"][0]["logprobs"].get("text_offset")).unwrap();
        assert_eq!(offsets, &json!([4, 6]));
    }
}
