//! `generationConfig` of a client.

use std::collections::BTreeMap;

use crate::Json;
use crate::canonical::{ChatRequest, Effort, LogprobsWanted, Reasoning, ResponseFormat, ThinkingMode};
use crate::json::DecodeError;

use super::fields::Fields;
use super::request_in::add;
use super::schema;

pub(super) fn decode(
    mut config: Fields<'_>,
    request: &mut ChatRequest,
    extra: &mut BTreeMap<String, Json>,
) -> Result<(), DecodeError> {
    request.temperature = config.number("temperature")?;
    request.top_p = config.number("topP")?;
    request.top_k = config.unsigned("topK")?;
    request.max_output_tokens = config.unsigned("maxOutputTokens")?;
    request.stop = config.strings("stopSequences")?;
    request.n = config.unsigned("candidateCount")?;
    request.seed = config.take("seed")?.map(|seed| seed.signed()).transpose()?;
    request.presence_penalty = config.number("presencePenalty")?;
    request.frequency_penalty = config.number("frequencyPenalty")?;
    let top = config.unsigned("logprobs")?;
    if config.boolean("responseLogprobs")?.unwrap_or(false) {
        request.logprobs = Some(LogprobsWanted { top });
    }
    request.reasoning = config.object("thinkingConfig")?.map(thinking).transpose()?;
    request.response_format = format(&mut config, extra)?;
    add(extra, "generationConfig.", config.rest(), &mut request.unread);
    Ok(())
}

/// Without `includeThoughts` thoughts are not shown, which other dialects must be told.
fn thinking(mut config: Fields<'_>) -> Result<Reasoning, DecodeError> {
    let mut wanted = Reasoning::default();
    if let Some(item) = config.take("thinkingBudget")? {
        wanted.mode = Some(match item.signed()? {
            0 => ThinkingMode::Off,
            -1 => ThinkingMode::Adaptive,
            _ => ThinkingMode::Budget(item.unsigned()?),
        });
    }
    if let Some(item) = config.take("thinkingLevel")? {
        let level = item.string()?.to_ascii_lowercase();
        if level != "thinking_level_unspecified" {
            let effort = Effort::from_name(&level).filter(|effort| *effort != Effort::None);
            wanted.effort = Some(effort.ok_or_else(|| item.expected("MINIMAL, LOW, MEDIUM or HIGH"))?);
        }
    }
    wanted.show = Some(config.boolean("includeThoughts")?.unwrap_or(false));
    Ok(wanted)
}

fn format(config: &mut Fields<'_>, extra: &mut BTreeMap<String, Json>) -> Result<Option<ResponseFormat>, DecodeError> {
    let mime = config.take("responseMimeType")?;
    let google = config.take("responseSchema")?;
    let json = config.take("responseJsonSchema")?;
    let json = json.or(config.take("_responseJsonSchema")?);
    let kind = mime.as_ref().map(|mime| mime.string()).transpose()?;
    // One word of an enumeration as bare text: nobody else has that.
    if kind.as_deref() == Some("text/x.enum") {
        for (key, item) in [("responseMimeType", mime), ("responseSchema", google), ("responseJsonSchema", json)] {
            extra.extend(item.map(|item| (format!("generationConfig.{key}"), item.json())));
        }
        return Ok(None);
    }
    let schema = match (json, google) {
        (Some(json), _) if json.is_object() => Some(json.json()),
        (Some(json), _) => return Err(json.expected("a JSON schema: an object")),
        (None, Some(google)) => Some(schema::to_json_schema(google)?),
        (None, None) => None,
    };
    Ok(match (kind.as_deref(), schema) {
        (None | Some("application/json"), Some(schema)) => {
            Some(ResponseFormat::JsonSchema { name: "response".to_owned(), description: None, schema, strict: None })
        }
        (Some("application/json"), None) => Some(ResponseFormat::JsonObject),
        (Some("text/plain"), None) => Some(ResponseFormat::Text),
        (None, None) => None,
        (Some(_), _) => {
            let wrong = "application/json, text/plain or text/x.enum, and application/json with a schema";
            return Err(DecodeError::wrong(config.place("responseMimeType"), wrong));
        }
    })
}
