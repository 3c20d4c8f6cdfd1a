//! A chat completions request, read as far as the simulation needs it; unknown fields are let through.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::asked::{Asked, Choice, Wants, calls};
use crate::error::ApiError;
use crate::tokens;

const LONGEST_MODEL: usize = 256;
const MOST_CHOICES: u64 = 128;

#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
    #[serde(borrow, default)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    stop: Option<Stop>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Several(Vec<String>),
}

impl Stop {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        }
    }
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    role: String,
    #[serde(borrow, default)]
    content: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
}

#[derive(Debug, Deserialize)]
struct NamedChoice {
    function: Function,
}

#[derive(Debug, Deserialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Debug, Deserialize)]
struct JsonSchema<'a> {
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

impl<'a> ChatRequest<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                ApiError::invalid(format!("Invalid request: {error}."), None, Some("invalid_type"))
            } else {
                let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                               your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was \
                               not valid JSON.)";
                ApiError::invalid(format!("{message} {error}"), None, None)
            }
        })
    }

    /// `deployment`: the model, where the path names it and the body need not.
    pub(crate) fn check(self, deployment: Option<&str>) -> Result<Asked<'a>, ApiError> {
        let model = deployment.map(str::to_owned).or(self.model).filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| ApiError::invalid("you must provide a model parameter", None, None))?;
        if model.len() > LONGEST_MODEL {
            let message = format!("Invalid 'model': string too long. Expected at most {LONGEST_MODEL} bytes.");
            return Err(ApiError::invalid(message, Some("model"), Some("string_above_max_length")));
        }
        let missing = || {
            let message = "Missing required parameter: 'messages'.";
            ApiError::invalid(message, Some("messages"), Some("missing_required_parameter"))
        };
        let mut messages = self.messages.ok_or_else(missing)?;
        if messages.is_empty() {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
            return Err(ApiError::invalid(message, Some("messages"), Some("empty_array")));
        }
        let choices = self.n.unwrap_or(1);
        if !(1..=MOST_CHOICES).contains(&choices) {
            let message =
                format!("Invalid 'n': expected a value between 1 and {MOST_CHOICES}, but got {choices} instead.");
            return Err(ApiError::invalid(message, Some("n"), Some("integer_out_of_range")));
        }
        let max_tokens = self.max_completion_tokens.or(self.max_tokens);
        if max_tokens == Some(0) {
            let message =
                "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.";
            return Err(ApiError::invalid(message, Some("max_tokens"), Some("integer_below_min_value")));
        }

        let tools: Vec<String> =
            self.tools.unwrap_or_default().into_iter().filter_map(|tool| tool.function).map(|tool| tool.name).collect();
        let prompt_tokens = tokens::prompt_tokens(messages.iter().map(|message| message.content.0.len()), tools.len());
        let user_is_last = messages.last().is_some_and(|message| message.role == "user");
        let last_user_text = messages
            .iter_mut()
            .rev()
            .find(|message| message.role == "user")
            .map_or(Cow::Borrowed(""), |message| std::mem::take(&mut message.content.0));
        let format = self.response_format.map(RawValue::get);
        let wants = match calls(&tools, choice(self.tool_choice), user_is_last, &last_user_text) {
            Some(calls) => calls,
            None => wanted_format(format)?,
        };
        Ok(Asked {
            model,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            logprobs: self.logprobs.unwrap_or(false),
            choices,
            max_tokens,
            stop: self.stop.map(Stop::into_list).unwrap_or_default(),
            think: false,
            prompt_tokens,
            last_user_text,
            wants,
        })
    }
}

fn choice(choice: Option<&RawValue>) -> Choice {
    match choice.map(RawValue::get) {
        Some("\"none\"") => Choice::Never,
        Some("\"required\"") => Choice::Any,
        other => match other.and_then(|choice| serde_json::from_str::<NamedChoice>(choice).ok()) {
            Some(named) => Choice::Named(named.function.name),
            None => Choice::Auto,
        },
    }
}

fn wanted_format(format: Option<&str>) -> Result<Wants<'_>, ApiError> {
    let Some(format) = format else { return Ok(Wants::Text) };
    let wrong = |error: serde_json::Error| {
        ApiError::invalid(format!("Invalid 'response_format': {error}."), Some("response_format"), Some("invalid_type"))
    };
    let format: ResponseFormat<'_> = serde_json::from_str(format).map_err(wrong)?;
    match format.kind.as_str() {
        "text" => Ok(Wants::Text),
        "json_object" => Ok(Wants::JsonObject),
        "json_schema" => {
            let schema = format.json_schema.and_then(|schema| schema.schema);
            Ok(schema.map_or(Wants::JsonObject, |schema| Wants::JsonSchema(Cow::Borrowed(schema.get()))))
        }
        other => {
            let message =
                format!("Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'.");
            Err(ApiError::invalid(message, Some("response_format.type"), Some("invalid_value")))
        }
    }
}

/// A message's content: a string, a list of parts of which the text ones are joined, or null.
#[derive(Debug, Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of content parts or null")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text<'de>, A::Error> {
        let mut joined = String::new();
        while parts.next_element_seed(Part(&mut joined))?.is_some() {}
        Ok(Text(Cow::Owned(joined)))
    }
}

/// Appends a content part's `text`, if it has one.
struct Part<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a content part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "text" {
                self.0.push_str(&map.next_value::<Cow<'de, str>>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
