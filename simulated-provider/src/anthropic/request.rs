//! A Messages request, as strict as the real API where a client could be wrong without noticing.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::asked::{Asked, Choice, Conversation, Role, Wants};
use crate::error::ApiError;
use crate::value::{is_true, list, model, number, string, strings, text};

/// Other fields are refused, as the real API does.
const FIELDS: [&str; 22] = [
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: Asked<'static>,
    pub(super) cache: Breakpoints,
}

impl Request {
    pub(super) fn messages(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let most = number(body.get("max_tokens")).ok_or_else(|| invalid("max_tokens: Field required"))?;
        if most == 0 {
            return Err(invalid("max_tokens: Input should be greater than or equal to 1"));
        }
        let (conversation, cache) = conversation(body)?;
        let format = body.get("output_config").and_then(|config| config.get("format")).or(body.get("output_format"));
        let wants = match format.and_then(|format| format.get("schema")) {
            Some(schema) => Wants::JsonSchema(schema.to_string().into()),
            None => Wants::Text,
        };
        let mut asked = conversation.asked(model(body)?, wants);
        asked.stream = is_true(body.get("stream"));
        asked.max_tokens = Some(most);
        asked.stop = strings(body.get("stop_sequences"));
        let thinking = body.get("thinking");
        asked.think = matches!(string(thinking.and_then(|thinking| thinking.get("type"))), "enabled" | "adaptive");
        if let Some(budget) = thinking.and_then(|thinking| number(thinking.get("budget_tokens")))
            && budget >= most
        {
            return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
        }
        let one_at_a_time = is_true(body.get("tool_choice").and_then(|choice| choice.get("disable_parallel_tool_use")));
        if let Wants::Calls { calls, .. } = &mut asked.wants
            && one_at_a_time
        {
            calls.truncate(1);
        }
        Ok(Self { asked, cache })
    }

    pub(super) fn count_tokens(body: &Map<String, Value>) -> Result<Self, ApiError> {
        if body.contains_key("max_tokens") || body.contains_key("stream") {
            return Err(invalid("max_tokens: Extra inputs are not permitted"));
        }
        let (conversation, cache) = conversation(body)?;
        Ok(Self { asked: conversation.asked(model(body)?, Wants::Text), cache })
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message, None, None)
}

fn conversation(body: &Map<String, Value>) -> Result<(Conversation, Breakpoints), ApiError> {
    if let Some(extra) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let mut conversation = Conversation::default();
    let mut cache = Breakpoints::default();
    for tool in list(body.get("tools")) {
        let name = string(tool.get("name"));
        if name.is_empty() {
            return Err(invalid("tools.0.custom.name: Field required"));
        }
        if tool.get("input_schema").is_some_and(Value::is_object) {
            conversation.tools.push(name.to_owned());
        } else if matches!(tool.get("type").and_then(Value::as_str), None | Some("custom")) {
            return Err(invalid("tools.0.custom.input_schema: Field required"));
        }
        cache.pass(name, tool);
    }
    let choice = body.get("tool_choice");
    conversation.choice = match string(choice.and_then(|choice| choice.get("type"))) {
        "none" => Choice::Never,
        "any" => Choice::Any,
        "tool" => Choice::Named(string(choice.and_then(|choice| choice.get("name"))).to_owned()),
        _ => Choice::Auto,
    };
    if let Some(system) = body.get("system") {
        list(Some(system)).iter().for_each(|block| cache.pass(string(block.get("text")), block));
        conversation.say(Role::System, text(Some(system)));
    }
    let messages = body.get("messages").ok_or_else(|| invalid("messages: Field required"))?;
    if list(Some(messages)).is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    for (index, message) in list(Some(messages)).iter().enumerate() {
        let (role, text) = say(index, message, &mut cache)?;
        conversation.say(role, text);
    }
    Ok((conversation, cache))
}

fn say(index: usize, message: &Value, cache: &mut Breakpoints) -> Result<(Role, String), ApiError> {
    let mut role = match string(message.get("role")) {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => {
            return Err(invalid(
                "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.",
            ));
        }
        _ => return Err(invalid(format!("messages.{index}.role: Input should be 'user' or 'assistant'"))),
    };
    let mut said = String::new();
    match message.get("content") {
        Some(Value::String(text)) => said.push_str(text),
        Some(Value::Array(blocks)) => {
            for (position, block) in blocks.iter().enumerate() {
                let place = format!("messages.{index}.content.{position}");
                let text = block_text(&place, block, role)?;
                if string(block.get("type")) == "tool_result" {
                    // Text beside the result would be a new question.
                    role = Role::Tool;
                }
                cache.pass(&text, block);
                said.push_str(&text);
            }
            if role == Role::Tool && blocks.iter().any(|block| string(block.get("type")) == "text") {
                role = Role::User;
            }
        }
        _ => return Err(invalid(format!("messages.{index}.content: Field required"))),
    }
    Ok((role, said))
}

fn block_text(place: &str, block: &Value, role: Role) -> Result<String, ApiError> {
    let required = |name: &str| match string(block.get(name)) {
        "" => Err(invalid(format!("{place}.{name}: Field required"))),
        _ => Ok(String::new()),
    };
    match string(block.get("type")) {
        "text" => match string(block.get("text")) {
            "" => Err(invalid("messages: text content blocks must be non-empty")),
            text => Ok(text.to_owned()),
        },
        "tool_use" if role == Role::Assistant => {
            if !block.get("input").is_some_and(Value::is_object) {
                return Err(invalid(format!("{place}.tool_use.input: Input should be a valid dictionary")));
            }
            required("id").and(required("name"))
        }
        "tool_result" if role != Role::Assistant => required("tool_use_id").map(|_| text(block.get("content"))),
        "thinking" if role == Role::Assistant => required("signature"),
        "" => Err(invalid(format!("{place}.type: Field required"))),
        kind @ ("tool_use" | "tool_result" | "thinking") => {
            Err(invalid(format!("{place}: `{kind}` blocks are not permitted in this role")))
        }
        _ => Ok(String::new()),
    }
}

/// Where a prompt asks to be cached: a hash of all text up to there, and how many bytes that is.
#[derive(Debug, Default)]
pub(super) struct Breakpoints {
    hasher: DefaultHasher,
    bytes: u64,
    at: Vec<(u64, u64)>,
}

impl Breakpoints {
    fn pass(&mut self, text: &str, block: &Value) {
        self.hasher.write(text.as_bytes());
        self.bytes += text.len() as u64;
        if block.get("cache_control").is_some_and(Value::is_object) {
            self.at.push((self.hasher.finish(), self.bytes));
        }
    }
}

/// Prompt tokens that came out of the cache, and that went into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) read: u64,
    pub(super) written: u64,
}

/// Beginnings of prompts that were asked to be cached: the first request writes, the next ones read.
/// The bill charges all prompt tokens alike.
#[derive(Debug, Default)]
pub(crate) struct PromptCache(Mutex<HashSet<u64>>);

impl PromptCache {
    pub(super) fn look_up(&self, breakpoints: &Breakpoints, prompt_tokens: u64) -> Cached {
        const MOST: usize = 4_096;
        let Some((_, all)) = breakpoints.at.last() else { return Cached::default() };
        let tokens = |bytes: u64| (bytes / 4).min(prompt_tokens);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        let found = breakpoints.at.iter().rev().find(|(hash, _)| known.contains(hash));
        let read = found.map_or(0, |(_, bytes)| tokens(*bytes));
        known.extend(breakpoints.at.iter().map(|(hash, _)| *hash));
        Cached { read, written: tokens(*all) - read }
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
