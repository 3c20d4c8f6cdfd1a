//! An answer for a client.

use serde::Serialize;

use crate::canonical::{ChatAnswer, Choice, Content, Part, Signature};
use crate::json;

use super::parts_out::{self, WireCall, WirePart};
use super::{finish_name, logprobs, signature, usage};

/// An answer, or a chunk of a stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAnswer<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) candidates: Vec<WireCandidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<usage::WireUsage>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) model_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) response_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireCandidate<'a> {
    pub(super) content: WireContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<logprobs::WireLogprobs<'a>>,
    pub(super) index: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct WireContent<'a> {
    pub(super) parts: Vec<WirePart<'a>>,
    pub(super) role: &'static str,
}

/// What Gemini itself says of a call whose arguments are no object.
pub(super) const MALFORMED: &str = "MALFORMED_FUNCTION_CALL";

pub(super) fn malformed(name: &str) -> String {
    format!("the arguments of the call of {name} are not a JSON object")
}

/// The body of an answer. A call whose arguments are no JSON object (the model was cut short) cannot be told in this
/// dialect: the candidate ends with `MALFORMED_FUNCTION_CALL`, as it does at Google.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    json::bytes(&WireAnswer {
        candidates: answer.choices.iter().map(candidate).collect(),
        usage_metadata: answer.usage.as_ref().map(usage::encode),
        model_version: &answer.model,
        response_id: &answer.id,
    })
}

fn candidate(choice: &Choice) -> WireCandidate<'_> {
    let (mut parts, mut finish_message) = (Vec::with_capacity(choice.parts.len()), None);
    for part in &choice.parts {
        match piece(part, &mut parts) {
            Ok(()) => {}
            Err(name) => finish_message = Some(malformed(name)),
        }
    }
    let finish = choice.finish.as_ref().map(finish_name);
    WireCandidate {
        content: WireContent { parts, role: "model" },
        finish_reason: finish.map(|name| if finish_message.is_some() { MALFORMED } else { name }),
        finish_message,
        logprobs_result: choice.logprobs.as_ref().map(logprobs::encode),
        index: choice.index,
    }
}

/// `Err` names the function of a call that cannot be told.
fn piece<'a>(part: &'a Part, wire: &mut Vec<WirePart<'a>>) -> Result<(), &'a str> {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => wire.push(parts_out::text(text)),
        Content::Thinking { text } => match (&part.signature, wire.last_mut()) {
            // The signature of the text before, as it was told.
            (Some(signature), Some(last))
                if text.is_empty() && last.is_plain_text() && last.thought_signature.is_none() =>
            {
                last.thought_signature = Some(signature::encode(signature).into());
            }
            (signature, _) => {
                let mut told = parts_out::thought(text, signature.as_ref());
                told.thought = (!text.is_empty()).then_some(true);
                wire.push(told);
            }
        },
        Content::RedactedThinking { of, data } => wire.push(parts_out::redacted(*of, data)),
        Content::ToolCall { id, name, arguments } => wire.push(call(id, name, arguments, part.signature.as_ref())?),
        Content::Image { .. } | Content::Audio { .. } => wire.extend(parts_out::media(part)),
        // Not part of an answer.
        Content::File { .. } | Content::ToolResult { .. } | Content::Other { .. } => {}
    }
    Ok(())
}

pub(super) fn call<'a>(
    id: &'a str,
    name: &'a str,
    arguments: &str,
    signature: Option<&Signature>,
) -> Result<WirePart<'a>, &'a str> {
    let args = parts_out::arguments(arguments).ok_or(name)?;
    let thought_signature = signature.map(|signature| signature::encode(signature).into());
    let function_call = Some(WireCall { id, name, args });
    Ok(WirePart { function_call, thought_signature, ..WirePart::default() })
}
