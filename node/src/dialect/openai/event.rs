//! One event of a stream: what the relay must know of it, found without parsing the deltas.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::Usage;

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static TOOLS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"tool_calls\""));
static REFUSAL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"refusal\""));

/// What an event is to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A comment or an event without data: keep-alives.
    Comment,
    /// `data: [DONE]`.
    Done,
    Chunk(EventFacts),
    /// The provider reports a failure inside the stream: the event's data.
    Error(String),
    /// Data that is not a JSON object.
    Malformed,
}

/// The facts of a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// Choices that end here with `stop`.
    pub stopped: u32,
    /// Choices that end here with another reason.
    pub ended_otherwise: u32,
    pub usage: Option<Usage>,
    /// The chunk that only carries the usage (`choices` is empty).
    pub only_usage: bool,
    pub has_tool_calls: bool,
    /// The model writes that it refuses; OpenAI ends such an answer with `stop` too.
    pub has_refusal: bool,
}

#[derive(Deserialize)]
struct UsageChunk {
    usage: Option<Usage>,
    #[serde(default)]
    choices: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ErrorChunk {
    error: Option<serde_json::Value>,
}

impl Event {
    /// Reads one whole event, its terminating blank line included.
    ///
    /// Keys are found by their quoted bytes. Inside a JSON string a quote is escaped, so text that a model wrote can
    /// never look like one of these keys.
    pub fn read(event: &[u8]) -> Self {
        let Some(data) = data(event) else { return Self::Comment };
        if data == b"[DONE]" {
            return Self::Done;
        }
        if data.first() != Some(&b'{') || data.last() != Some(&b'}') {
            return Self::Malformed;
        }
        if ERROR.find(data).is_some() {
            match serde_json::from_slice::<ErrorChunk>(data) {
                Ok(ErrorChunk { error: Some(error) }) if is_truthy(&error) => {
                    return Self::Error(String::from_utf8_lossy(data).into_owned());
                }
                Ok(_) => {}
                Err(_) => return Self::Malformed,
            }
        }
        let mut facts = EventFacts {
            has_tool_calls: value_follows(data, &TOOLS, b'['),
            has_refusal: REFUSAL.find_iter(data).any(|at| {
                let value = value_at(data, at + REFUSAL.needle().len());
                value.is_some_and(|value| value.starts_with(b"\"") && !value.starts_with(b"\"\""))
            }),
            ..EventFacts::default()
        };
        for at in FINISH.find_iter(data) {
            match value_at(data, at + FINISH.needle().len()) {
                Some(value) if value.starts_with(b"\"stop\"") => facts.stopped += 1,
                Some(value) if value.starts_with(b"\"") => facts.ended_otherwise += 1,
                _ => {}
            }
        }
        if value_follows(data, &USAGE, b'{') {
            match serde_json::from_slice::<UsageChunk>(data) {
                Ok(chunk) => {
                    facts.usage = chunk.usage;
                    facts.only_usage = chunk.choices.is_empty();
                }
                Err(_) => return Self::Malformed,
            }
        }
        Self::Chunk(facts)
    }
}

/// SDKs take any truthy `error` for a failure.
fn is_truthy(error: &serde_json::Value) -> bool {
    !matches!(error, serde_json::Value::Null | serde_json::Value::Bool(false))
}

/// The payload of the event's `data:` line; OpenAI's events have one each.
pub fn data(event: &[u8]) -> Option<&[u8]> {
    let mut rest = event;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        let line = end.map_or(rest, |end| &rest[..end]);
        if let Some(data) = line.strip_prefix(b"data:") {
            return Some(data.trim_ascii());
        }
        rest = &rest[end? + 1..];
    }
}

fn value_at(data: &[u8], from: usize) -> Option<&[u8]> {
    data[from..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

fn value_follows(data: &[u8], key: &Finder<'_>, first: u8) -> bool {
    key.find_iter(data)
        .any(|at| value_at(data, at + key.needle().len()).is_some_and(|value| value.first() == Some(&first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_chunks_from_ends_and_errors() {
        assert_eq!(Event::read(b": keep-alive\n\n"), Event::Comment);
        assert_eq!(Event::read(b"data: [DONE]\n\n"), Event::Done);
        assert_eq!(Event::read(b"data: {\"choices\":[{\"de\n\n"), Event::Malformed);
        assert_eq!(
            Event::read(b"data: {\"error\":{\"message\":\"overloaded\"}}\n\n"),
            Event::Error("{\"error\":{\"message\":\"overloaded\"}}".into())
        );
        assert_eq!(
            Event::read(b"data: {\"error\":null,\"choices\":[{\"finish_reason\":null}],\"usage\":null}\r\n\r\n"),
            Event::Chunk(EventFacts::default())
        );
    }

    #[test]
    fn data_is_in_the_line_that_says_so() {
        for (event, expected) in [
            (&b"data: a b \n\n"[..], Some(&b"a b"[..])),
            (b"event: x\r\nid: 1\r\ndata:a\r\n\r\n", Some(b"a")),
            (b": data: a\ndata: b\n\n", Some(b"b")),
            (b"data: a", Some(b"a")),
            (b"data:\r\r", Some(b"")),
            (b"event: x\n\n", None),
            (b"", None),
        ] {
            assert_eq!(data(event), expected, "{:?}", String::from_utf8_lossy(event));
        }
    }

    #[test]
    fn reads_finish_reasons_and_usage() {
        let event = b"data: {\"choices\":[{\"finish_reason\": \"stop\"},{\"finish_reason\":\"length\"}]}\n\n";
        let facts = EventFacts { stopped: 1, ended_otherwise: 1, ..EventFacts::default() };
        assert_eq!(Event::read(event), Event::Chunk(facts));
        let event = b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
        let usage = Some(Usage { prompt_tokens: 5, completion_tokens: 2, ..Usage::default() });
        assert_eq!(Event::read(event), Event::Chunk(EventFacts { usage, only_usage: true, ..EventFacts::default() }));
    }

    #[test]
    fn a_refusal_is_told_from_the_word() {
        for (delta, has_refusal) in [
            (r#"{"content":"a","refusal":null}"#, false),
            (r#"{"refusal": ""}"#, false),
            (r#"{"content":"\"refusal\":\"no\""}"#, false),
            (r#"{"refusal" : "I cannot"}"#, true),
        ] {
            let event = format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
            let facts = EventFacts { has_refusal, ..EventFacts::default() };
            assert_eq!(Event::read(event.as_bytes()), Event::Chunk(facts), "{delta}");
        }
    }

    #[test]
    fn text_of_the_model_is_never_taken_for_a_key() {
        let content = serde_json::json!({"choices": [{"delta": {
            "content": r#""error":{"message":"x"},"finish_reason":"stop","usage":{"prompt_tokens":1}"#
        }, "finish_reason": null}]});
        let event = format!("data: {content}\n\n");
        assert_eq!(Event::read(event.as_bytes()), Event::Chunk(EventFacts::default()));
    }
}
