//! One answer, two forms: a recorded stream as a plain answer, and a plain answer as a stream, so that one cache
//! entry serves both kinds of request.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::event::data;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("a recorded event is not a chunk: {0}")]
    NotAChunk(#[from] serde_json::Error),
    #[error("the recorded answer has no {0}")]
    Missing(&'static str),
}

/// The form in which the client wants the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    Plain,
    Stream { include_usage: bool },
}

/// Folds the chunks of a whole stream into the `chat.completion` that the same request without `stream` would have
/// had. Unknown members survive: text is joined, lists are joined, anything else is taken from the last chunk.
pub fn plain_from_events<'a>(events: impl Iterator<Item = &'a [u8]>) -> Result<Bytes, ReplayError> {
    let mut answer: Option<Map<String, Value>> = None;
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    for event in events {
        let Some(payload) = data(event).filter(|payload| *payload != b"[DONE]") else { continue };
        let mut chunk: Map<String, Value> = serde_json::from_slice(payload)?;
        if let Some(Value::Array(parts)) = chunk.remove("choices") {
            for part in parts {
                if let Value::Object(part) = part {
                    fold_choice(&mut choices, part);
                }
            }
        }
        let whole = answer.get_or_insert_default();
        for (key, value) in chunk {
            if !value.is_null() {
                whole.insert(key, value);
            }
        }
    }
    let mut answer = answer.ok_or(ReplayError::Missing("chunk"))?;
    if choices.is_empty() {
        return Err(ReplayError::Missing("choice"));
    }
    answer.insert("object".into(), "chat.completion".into());
    let choices = choices
        .into_iter()
        .map(|mut choice| {
            let message = choice.remove("delta").unwrap_or_else(|| json!({}));
            choice.insert("message".into(), message);
            Value::Object(choice)
        })
        .collect();
    answer.insert("choices".into(), Value::Array(choices));
    Ok(Bytes::from(serde_json::to_vec(&answer)?))
}

fn fold_choice(choices: &mut Vec<Map<String, Value>>, part: Map<String, Value>) {
    let index = part.get("index").cloned().unwrap_or(Value::from(0));
    let place = choices.iter().position(|choice| choice.get("index") == Some(&index)).unwrap_or_else(|| {
        let mut choice = Map::new();
        choice.insert("index".into(), index.clone());
        choices.push(choice);
        choices.len() - 1
    });
    for (key, value) in part {
        if key != "index" {
            fold(choices[place].entry(key).or_insert(Value::Null), value);
        }
    }
}

fn fold(into: &mut Value, from: Value) {
    match (into, from) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Array(list), Value::Array(more)) => list.extend(more),
        (Value::Object(members), Value::Object(more)) => {
            for (key, value) in more {
                fold(members.entry(key).or_insert(Value::Null), value);
            }
        }
        (place, value) => *place = value,
    }
}

/// Cuts a plain answer into the events of a stream: per choice one delta with the whole message and one with the
/// finish reason, the usage chunk if asked for, and `[DONE]`.
pub fn stream_from_plain(body: &[u8], include_usage: bool) -> Result<Vec<Bytes>, ReplayError> {
    let mut answer: Map<String, Value> = serde_json::from_slice(body)?;
    let Some(Value::Array(choices)) = answer.remove("choices") else { return Err(ReplayError::Missing("choice")) };
    let usage = answer.remove("usage");
    answer.insert("object".into(), "chat.completion.chunk".into());
    let mut events = Vec::with_capacity(2 * choices.len() + 2);
    let mut push = |choices: Value, usage: Option<&Value>| {
        let mut chunk = answer.clone();
        chunk.insert("choices".into(), choices);
        if let Some(usage) = usage {
            chunk.insert("usage".into(), usage.clone());
        }
        events.push(Bytes::from(format!("data: {}\n\n", Value::Object(chunk))));
    };
    for choice in choices {
        let Value::Object(mut choice) = choice else { continue };
        let index = choice.get("index").cloned().unwrap_or(Value::from(0));
        let reason = choice.insert("finish_reason".into(), Value::Null).unwrap_or(Value::Null);
        let message = choice.remove("message").ok_or(ReplayError::Missing("message"))?;
        choice.insert("delta".into(), message);
        push(json!([choice]), None);
        push(json!([{"index": index, "delta": {}, "finish_reason": reason}]), None);
    }
    if let Some(usage) = usage.filter(|_| include_usage) {
        push(json!([]), Some(&usage));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":7,"model":"echo","system_fingerprint":"f",
        "choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","refusal":null},
        "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#;

    #[test]
    fn a_stream_of_deltas_becomes_one_answer() {
        let events = [
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"echo","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"echo","choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":{"content":[{"token":"Hel"}]},"finish_reason":null}]}"#,
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"echo","choices":[{"index":0,"delta":{"content":"lo"},"logprobs":{"content":[{"token":"lo"}]},"finish_reason":null}]}"#,
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"echo","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"echo","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            "data: [DONE]",
        ];
        let plain: Value =
            serde_json::from_slice(&plain_from_events(events.iter().map(|e| e.as_bytes())).unwrap()).unwrap();
        assert_eq!(
            plain,
            json!({"id": "c1", "object": "chat.completion", "created": 7, "model": "echo",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"},
                    "logprobs": {"content": [{"token": "Hel"}, {"token": "lo"}]}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        );
    }

    #[test]
    fn there_and_back_keeps_the_answer() {
        let events = stream_from_plain(PLAIN.as_bytes(), true).unwrap();
        assert_eq!(events.last().unwrap().as_ref(), b"data: [DONE]\n\n");
        let back: Value =
            serde_json::from_slice(&plain_from_events(events.iter().map(AsRef::as_ref)).unwrap()).unwrap();
        let whole: Value = serde_json::from_str(PLAIN).unwrap();
        assert_eq!(back["choices"][0]["message"]["content"], whole["choices"][0]["message"]["content"]);
        assert_eq!(back["usage"], whole["usage"]);
        assert_eq!(back["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn the_usage_chunk_comes_only_when_asked_for() {
        let without = stream_from_plain(PLAIN.as_bytes(), false).unwrap();
        assert!(without.iter().all(|event| memchr::memmem::find(event, b"usage").is_none()));
    }
}
