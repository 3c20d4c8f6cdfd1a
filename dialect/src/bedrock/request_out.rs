//! A request for Bedrock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Message, Reasoning, Role, ThinkingMode};
use crate::json;
use crate::{Dropped, Json, Unsupported};

use super::blocks_out::{Blocks, WireBlock};
use super::tools_out::{WireOutputConfig, WireToolConfig, encode_format, encode_tools};
use super::{HERE, is_claude};

/// The least that Claude takes as a budget of thought.
const LEAST_BUDGET: u64 = 1_024;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<WireBlock<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_config: Option<WireInference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<WireToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<WireOutputConfig<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    request_metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    additional_model_request_fields: BTreeMap<String, Json>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Json>,
}

#[derive(Debug, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Vec<WireBlock<'a>>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireInference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

/// The body for `/model/{id}/converse` or `/converse-stream`; the model and whether to stream go into the path.
pub fn encode_request(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    if request.n.is_some_and(|n| n > 1) {
        return Err(Unsupported::new("n", HERE, "one answer at a time; ask once for each"));
    }
    dropped.absorb(&request.unread);
    for (given, field) in [
        (request.seed.is_some(), "seed"),
        (request.presence_penalty.is_some(), "presence_penalty"),
        (request.frequency_penalty.is_some(), "frequency_penalty"),
        (request.logprobs.is_some(), "logprobs"),
        (request.user.is_some(), "user"),
    ] {
        dropped.note_if(given, field);
    }
    let tool_config = encode_tools(request, dropped)?;
    let output_config = encode_format(request, dropped)?;
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    encode_messages(&request.messages, &mut system, &mut messages, dropped)?;
    let inference = WireInference {
        max_tokens: request.max_output_tokens,
        temperature: request.temperature.map(|given| {
            dropped.note_if(given > 1.0, "temperature");
            given.min(1.0)
        }),
        top_p: request.top_p,
        stop_sequences: &request.stop,
    };
    let nothing = WireInference { max_tokens: None, temperature: None, top_p: None, stop_sequences: &[] };
    let extra = request.extra.for_target(HERE, dropped);
    let body = WireRequest {
        messages,
        system,
        inference_config: (inference != nothing).then_some(inference),
        tool_config,
        output_config,
        request_metadata: encode_metadata(&request.metadata, dropped),
        additional_model_request_fields: additional(request, extra.get("additionalModelRequestFields"), dropped),
        extra: extra
            .iter()
            .filter(|(name, _)| *name != "additionalModelRequestFields")
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
    };
    Ok(json::bytes(&body))
}

/// Turns alternate here: messages that follow one another and are of one side become one. System messages stand before
/// all others, which is a change for those that did not.
fn encode_messages<'a>(
    given: &'a [Message],
    system: &mut Vec<WireBlock<'a>>,
    messages: &mut Vec<WireMessage<'a>>,
    dropped: &mut Dropped,
) -> Result<(), Unsupported> {
    let mut blocks = Blocks::new(dropped);
    for (at, message) in given.iter().enumerate() {
        blocks.dropped.note_if(message.name.is_some(), "messages.name");
        let role = match message.role {
            Role::System | Role::Developer => {
                blocks.dropped.note_if(!messages.is_empty(), "messages.system.position");
                ""
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let mut content = Vec::with_capacity(message.parts.len());
        for (inner, part) in message.parts.iter().enumerate() {
            blocks.encode(part, &format!("messages[{at}].content[{inner}]"), &mut content)?;
        }
        if role.is_empty() {
            let known = |block: &WireBlock<'_>| {
                matches!(block, WireBlock::Text(_) | WireBlock::CachePoint(_) | WireBlock::Other(_))
            };
            if !content.iter().all(known) {
                return Err(Unsupported::new(format!("messages[{at}]"), HERE, "a system prompt must be text"));
            }
            system.append(&mut content);
        } else if let Some(last) = messages.last_mut().filter(|last| last.role == role) {
            last.content.append(&mut content);
        } else if !content.is_empty() {
            messages.push(WireMessage { role, content });
        }
    }
    Ok(())
}

/// Of OpenAI's metadata, what Bedrock's rules for keys and values allow.
fn encode_metadata<'a>(given: &'a BTreeMap<String, String>, dropped: &mut Dropped) -> BTreeMap<&'a str, &'a str> {
    let plain = |text: &str| {
        text.len() <= 256
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " _:@$#=/+,.-".contains(letter))
    };
    let mut told = BTreeMap::new();
    for (key, value) in given {
        if !key.is_empty() && plain(key) && plain(value) && told.len() < 16 {
            told.insert(key.as_str(), value.as_str());
        } else {
            dropped.note("metadata");
        }
    }
    told
}

/// The client's own additional fields, and thoughts and `top_k` in Claude's form.
fn additional(request: &ChatRequest, own: Option<&Json>, dropped: &mut Dropped) -> BTreeMap<String, Json> {
    let mut fields: BTreeMap<String, Json> =
        own.and_then(|own| serde_json::from_str(own.text()).ok()).unwrap_or_default();
    // A client of Bedrock knows its model.
    let takes = is_claude(&request.model) || request.extra.of == Some(HERE);
    if let Some(top_k) = request.top_k {
        if takes {
            fields.insert("top_k".to_owned(), Json::of(&top_k));
        } else {
            dropped.note("top_k");
        }
    }
    if let Some(reasoning) = &request.reasoning {
        if takes {
            reason(reasoning, request.max_output_tokens, &mut fields, dropped);
        } else {
            dropped.note("reasoning");
        }
    }
    fields
}

fn reason(reasoning: &Reasoning, max_tokens: Option<u64>, fields: &mut BTreeMap<String, Json>, dropped: &mut Dropped) {
    let mode = match (reasoning.mode, reasoning.effort) {
        (Some(mode), effort) => {
            if let Some(effort) = effort {
                fields.insert("output_config".to_owned(), Json::of(&BTreeMap::from([("effort", effort.name())])));
            }
            mode
        }
        // Every Claude that thinks understands a budget; not every one an effort.
        (None, Some(effort)) => effort.budget().map_or(ThinkingMode::Off, ThinkingMode::Budget),
        (None, None) => {
            dropped.note_if(reasoning.show.is_some(), "thinking.display");
            return;
        }
    };
    let mut thinking = serde_json::Map::new();
    let kind = match mode {
        ThinkingMode::Off => "disabled",
        ThinkingMode::Adaptive => "adaptive",
        ThinkingMode::Budget(asked) => {
            // Thoughts count as output, and something must be left to say.
            let budget = max_tokens.map_or(asked, |max| asked.min(max.saturating_sub(1)));
            if budget < asked.min(LEAST_BUDGET) {
                dropped.note("reasoning");
                return;
            }
            dropped.note_if(budget != asked && reasoning.mode.is_some(), "thinking.budget_tokens");
            thinking.insert("budget_tokens".to_owned(), budget.into());
            "enabled"
        }
    };
    thinking.insert("type".to_owned(), kind.into());
    if let Some(show) = reasoning.show {
        // Claude shows a summary unless told otherwise.
        if !show {
            thinking.insert("display".to_owned(), "omitted".into());
        }
    }
    fields.insert("thinking".to_owned(), Json::of(&thinking));
}
