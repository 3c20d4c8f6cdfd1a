//! What the golden files of a scenario say, whatever their dialect.

use peerway_dialect::canonical::{Finish, Source, ToolChoice};
use serde_json::{Value, json};

use super::essence::{AnswerEssence, RequestEssence, Said};

/// A PNG of one pixel.
pub const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// Answers and streams.
pub const ANSWERS: [&str; 4] = ["text", "tools", "thinking", "length"];

pub fn answer(scenario: &str) -> AnswerEssence {
    let none = AnswerEssence::default();
    match scenario {
        "text" => AnswerEssence {
            text: "Hello there, café ✓.".into(),
            finish: Some(Finish::Stop),
            input: 12,
            output: 7,
            ..none
        },
        // Text, then two calls at once; 64 tokens of the prompt came from the cache.
        "tools" => AnswerEssence {
            text: "Let me look.".into(),
            calls: vec![
                ("get_weather".into(), json!({"city": "Paris", "unit": "c"})),
                ("get_time".into(), json!({"zone": "Europe/Paris"})),
            ],
            finish: Some(Finish::ToolCalls),
            input: 120,
            output: 40,
            cached: 64,
            ..none
        },
        "thinking" => AnswerEssence {
            thoughts: "The user greets me.".into(),
            text: "Hello.".into(),
            finish: Some(Finish::Stop),
            input: 20,
            output: 30,
            ..none
        },
        "length" => {
            AnswerEssence { text: "Once upon".into(), finish: Some(Finish::Length), input: 5, output: 2, ..none }
        }
        other => panic!("no scenario {other}"),
    }
}

pub const REQUESTS: [&str; 4] = ["text", "tools", "image", "schema"];

pub fn weather_schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}}, "required": ["city"]})
}

pub fn request(scenario: &str) -> RequestEssence {
    let text = |role: &'static str, text: &str| Said::Text(role, text.into());
    let none = RequestEssence { max: Some(100), ..RequestEssence::default() };
    match scenario {
        "text" => RequestEssence {
            said: vec![
                text("system", "Answer briefly."),
                text("user", "Hi"),
                text("assistant", "Hello."),
                text("user", "Who are you?"),
            ],
            temperature: Some(0.5),
            stop: vec!["END".into()],
            stream: true,
            ..none
        },
        // A turn with two calls and their results behind it. A call is demanded, one at a time.
        "tools" => RequestEssence {
            said: vec![
                text("user", "Weather and time in Paris?"),
                text("assistant", "Let me look."),
                Said::Call(0, "get_weather".into(), json!({"city": "Paris", "unit": "c"})),
                Said::Call(1, "get_time".into(), json!({"zone": "Europe/Paris"})),
                Said::Result(0, "18 C".into()),
                Said::Result(1, "12:00".into()),
                text("user", "And in Rome?"),
            ],
            tools: vec![
                ("get_weather".into(), Some("The weather of a city.".into()), weather_schema()),
                (
                    "get_time".into(),
                    Some("The time in a zone.".into()),
                    json!({"type": "object", "properties": {"zone": {"type": "string"}}}),
                ),
            ],
            tool_choice: Some(ToolChoice::Required),
            one_by_one: true,
            ..none
        },
        "image" => RequestEssence {
            said: vec![
                text("user", "What is this?"),
                Said::Image(Source::Base64 { media_type: "image/png".into(), data: PIXEL.into() }),
            ],
            ..none
        },
        "schema" => RequestEssence {
            said: vec![text("user", "Name a city.")],
            schema: Some(
                json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}),
            ),
            ..none
        },
        other => panic!("no scenario {other}"),
    }
}
