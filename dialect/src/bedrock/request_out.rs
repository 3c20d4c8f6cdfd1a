//! A request for Bedrock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{ChatRequest, Message, Role};
use crate::{Dropped, Json, Unsupported};
use crate::{anthropic, json};

use super::blocks_out::{Blocks, WireBlock};
use super::tools_out::{WireOutputConfig, WireToolConfig, encode_format, encode_tools};
use super::{HERE, is_claude};

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

const NOTHING: WireInference<'static> =
    WireInference { max_tokens: None, temperature: None, top_p: None, stop_sequences: &[] };

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
    let extra = request.extra.for_target(HERE, dropped);
    let (inference, additional) = inference(request, extra.get("additionalModelRequestFields"), dropped);
    let body = WireRequest {
        messages,
        system,
        inference_config: (inference != NOTHING).then_some(inference),
        tool_config,
        output_config,
        request_metadata: encode_metadata(&request.metadata, dropped),
        additional_model_request_fields: additional,
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

/// What goes into `inferenceConfig`, and the additional fields: the client's own, and what Claude has besides. Claude's
/// habits are those of its own dialect; another model is asked for neither thoughts nor `top_k`, which have no common form.
fn inference<'a>(
    request: &'a ChatRequest,
    own: Option<&Json>,
    dropped: &mut Dropped,
) -> (WireInference<'a>, BTreeMap<String, Json>) {
    let mut fields: BTreeMap<String, Json> =
        own.and_then(|own| serde_json::from_str(own.text()).ok()).unwrap_or_default();
    let mut wire = WireInference { max_tokens: request.max_output_tokens, stop_sequences: &request.stop, ..NOTHING };
    if !is_claude(&request.model) {
        dropped.note_if(request.top_k.is_some(), "top_k");
        dropped.note_if(request.reasoning.is_some(), "reasoning");
        wire.top_p = request.top_p;
        wire.temperature = request.temperature.map(|given| {
            dropped.note_if(given > 1.0, "temperature");
            given.min(1.0)
        });
        return (wire, fields);
    }
    let target = anthropic::Target::for_model(&request.model);
    let plan = anthropic::plan(request, target, dropped);
    let (temperature, top_p, top_k) = anthropic::sampling(request, target, &plan, dropped);
    (wire.temperature, wire.top_p) = (temperature, top_p);
    if let Some(top_k) = top_k {
        fields.insert("top_k".to_owned(), Json::of(&top_k));
    }
    if let Some(effort) = plan.effort {
        fields.insert("output_config".to_owned(), Json::of(&BTreeMap::from([("effort", effort)])));
    }
    if let Some(thinking) = plan.thinking {
        // A budget of thought needs a limit above it, which may be the client's.
        wire.max_tokens = Some(plan.max_tokens);
        fields.insert("thinking".to_owned(), Json::of(&thinking));
    }
    (wire, fields)
}
