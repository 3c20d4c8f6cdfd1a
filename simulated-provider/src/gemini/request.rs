//! A generateContent or countTokens request.

use serde_json::{Map, Value};

use super::fields::{field, of, only};
use crate::asked::{Asked, Choice, Conversation, Role, Wants};
use crate::error::ApiError;
use crate::value::{is_true, list, number, string, strings};

const FIELDS: [&str; 10] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "model",
    "store",
];
const CONFIG_FIELDS: [&str; 22] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "_responseJsonSchema",
    "presencePenalty",
    "frequencyPenalty",
    "seed",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
    "responseModalities",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "enableEnhancedCivicAnswers",
    "audioTimestamp",
];
const PART_FIELDS: [&str; 11] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
];
const MOST_CANDIDATES: u64 = 8;

pub(super) fn read(body: &Map<String, Value>, model: String) -> Result<Asked<'static>, ApiError> {
    only(body, &FIELDS, "")?;
    let config = field(body, "generationConfig");
    if let Some(config) = config.and_then(Value::as_object) {
        only(config, &CONFIG_FIELDS, "generation_config")?;
    }
    let schema =
        ["responseSchema", "responseJsonSchema", "_responseJsonSchema"].iter().find_map(|name| of(config, name));
    let json = string(of(config, "responseMimeType")) == "application/json";
    let wants = match schema {
        Some(_) if !json => {
            return Err(invalid(
                "* GenerateContentRequest.generation_config.response_mime_type: a response schema needs application/json",
            ));
        }
        Some(schema) => Wants::JsonSchema(schema.to_string().into()),
        None if json => Wants::JsonObject,
        None => Wants::Text,
    };
    let mut asked = conversation(body)?.asked(model, wants);
    asked.max_tokens = number(of(config, "maxOutputTokens")).filter(|most| *most > 0);
    asked.stop = strings(of(config, "stopSequences"));
    asked.logprobs = is_true(of(config, "responseLogprobs"));
    asked.think = is_true(of(of(config, "thinkingConfig"), "includeThoughts"));
    asked.choices = number(of(config, "candidateCount")).unwrap_or(1);
    if !(1..=MOST_CANDIDATES).contains(&asked.choices) {
        return Err(invalid(format!("The specified candidate count should be between 1 and {MOST_CANDIDATES}.")));
    }
    Ok(asked)
}

/// Of `contents` or of a whole `generateContentRequest`.
pub(super) fn count(body: &Map<String, Value>, model: String) -> Result<Asked<'static>, ApiError> {
    let whole = field(body, "generateContentRequest").and_then(Value::as_object);
    if whole.is_none() {
        only(body, &FIELDS, "")?;
    }
    Ok(conversation(whole.unwrap_or(body))?.asked(model, Wants::Text))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message, None, None)
}

fn conversation(body: &Map<String, Value>) -> Result<Conversation, ApiError> {
    let mut conversation = Conversation::default();
    for tool in list(field(body, "tools")) {
        for function in list(of(Some(tool), "functionDeclarations")) {
            match string(of(Some(function), "name")) {
                "" => {
                    return Err(invalid(
                        "* GenerateContentRequest.tools[0].function_declarations[0].name: name is required",
                    ));
                }
                name => conversation.tools.push(name.to_owned()),
            }
        }
    }
    let config = of(field(body, "toolConfig"), "functionCallingConfig");
    let allowed = strings(of(config, "allowedFunctionNames"));
    conversation.choice = match (string(of(config, "mode")), allowed.as_slice()) {
        ("NONE", _) => Choice::Never,
        ("ANY", [one]) => Choice::Named(one.clone()),
        ("ANY", _) => Choice::Any,
        _ => Choice::Auto,
    };
    if let Some(system) = field(body, "systemInstruction") {
        conversation.say(Role::System, content(system, "system_instruction")?.0);
    }
    let contents = list(field(body, "contents"));
    if contents.is_empty() {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    for (index, turn) in contents.iter().enumerate() {
        let (text, is_result) = content(turn, &format!("contents[{index}]"))?;
        let role = match string(of(Some(turn), "role")) {
            "model" => Role::Assistant,
            "user" | "function" | "" if is_result => Role::Tool,
            "user" | "function" | "" => Role::User,
            _ => return Err(invalid("Please use a valid role: user, model.")),
        };
        conversation.say(role, text);
    }
    Ok(conversation)
}

/// The text of a content, and whether it is a function's result.
fn content(content: &Value, place: &str) -> Result<(String, bool), ApiError> {
    let mut text = String::new();
    let mut is_result = false;
    let object = content.as_object().ok_or_else(|| invalid(format!("Invalid value at '{place}'")))?;
    only(object, &["parts", "role"], place)?;
    let parts = list(field(object, "parts"));
    if parts.is_empty() {
        return Err(invalid(format!("* GenerateContentRequest.{place}.parts: contents.parts must not be empty.")));
    }
    for (index, part) in parts.iter().enumerate() {
        let part = part.as_object().ok_or_else(|| invalid(format!("Invalid value at '{place}.parts[{index}]'")))?;
        only(part, &PART_FIELDS, &format!("{place}.parts[{index}]"))?;
        is_result |= field(part, "functionResponse").is_some();
        if !is_true(field(part, "thought")) {
            text.push_str(string(field(part, "text")));
        }
    }
    Ok((text, is_result))
}
