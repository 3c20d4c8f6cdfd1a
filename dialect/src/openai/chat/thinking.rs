//! Thoughts and tool calls, which requests and answers write alike.

use serde::Serialize;

use crate::canonical::{Content, Part, Signature, made_call_id};
use crate::json::{DecodeError, Item, Object};
use crate::{Dialect, Json};

/// Signatures in `thinking_blocks` are Anthropic's unless they say otherwise.
pub(super) const BLOCKS_OF: Dialect = Dialect::Anthropic;
const HERE: Dialect = Dialect::OpenAiChat;

#[derive(Debug, Serialize)]
pub(super) struct WireThinking<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

pub(super) fn signed(text: &str, signature: &Signature) -> WireThinking<'static> {
    debug_assert!(text.is_empty(), "streams tell the text before");
    WireThinking { kind: "thinking", thinking: Some(""), signature: Some(signature.tagged(BLOCKS_OF)), data: None }
}

pub(super) fn redacted(of: Dialect, data: &str) -> WireThinking<'static> {
    let data = Signature::new(of, data).tagged(BLOCKS_OF);
    WireThinking { kind: "redacted_thinking", thinking: None, signature: None, data: Some(data) }
}

/// The thoughts as one text, and piece by piece if a piece must come back with its signature.
pub(super) fn encode(parts: &[Part]) -> (Option<String>, Option<Vec<WireThinking<'_>>>) {
    let (mut text, mut blocks, mut must_return) = (String::new(), Vec::new(), false);
    for part in parts {
        match &part.content {
            Content::Thinking { text: thought } => {
                text.push_str(thought);
                must_return |= part.signature.is_some();
                let signature = part.signature.as_ref().map(|signature| signature.tagged(BLOCKS_OF));
                blocks.push(WireThinking { kind: "thinking", thinking: Some(thought), signature, data: None });
            }
            Content::RedactedThinking { of, data } => {
                must_return = true;
                blocks.push(redacted(*of, data));
            }
            _ => {}
        }
    }
    ((!text.is_empty()).then_some(text), must_return.then_some(blocks))
}

/// Takes the thoughts out of a message.
pub(super) fn decode(message: &mut Object<'_>) -> Result<Vec<Part>, DecodeError> {
    let plain = plain(message)?;
    let Some(blocks) = message.list("thinking_blocks")? else {
        return Ok(plain.map(|text| Content::Thinking { text }.into()).into_iter().collect());
    };
    let mut parts = Vec::new();
    for block in blocks {
        let mut block = block.object()?;
        if let Some(data) = block.string("data")? {
            let tagged = Signature::from_tagged(&data, BLOCKS_OF);
            parts.push(Content::RedactedThinking { of: tagged.of, data: tagged.data }.into());
        } else {
            let mut part = Part::new(Content::Thinking { text: block.string("thinking")?.unwrap_or_default() });
            part.signature = block.string("signature")?.map(|signature| Signature::from_tagged(&signature, BLOCKS_OF));
            parts.push(part);
        }
    }
    Ok(parts)
}

/// `reasoning_content`, or `reasoning` where that is a text. Empty is none.
pub(super) fn plain(message: &mut Object<'_>) -> Result<Option<String>, DecodeError> {
    let both = [message.take("reasoning_content"), message.take("reasoning")];
    for item in both.into_iter().flatten().filter(Item::is_string) {
        let text = item.string()?;
        if !text.is_empty() {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// The words of a piece of content that is thought: a text, or at Mistral a list of texts.
pub(super) fn words(item: Item<'_>) -> Result<String, DecodeError> {
    if item.is_string() {
        return item.string();
    }
    let mut words = String::new();
    for part in item.list()? {
        words.push_str(&part.object()?.string("text")?.unwrap_or_default());
    }
    Ok(words)
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireCall<'a> {
    Function(FunctionCall<'a>),
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: Called<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_content: Option<ExtraContent>,
}

#[derive(Debug, Serialize)]
pub(super) struct Called<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct ExtraContent {
    google: Google,
}

#[derive(Debug, Serialize)]
struct Google {
    thought_signature: String,
}

impl ExtraContent {
    pub(super) fn of(signature: Option<&Signature>) -> Option<Self> {
        let thought_signature = signature?.tagged(Dialect::Gemini);
        Some(Self { google: Google { thought_signature } })
    }
}

/// The signature on a call or on a call's first delta.
pub(super) fn call_signature(call: &mut Object<'_>) -> Result<Option<Signature>, DecodeError> {
    let Some(mut extra) = call.object("extra_content")? else { return Ok(None) };
    let Some(mut google) = extra.object("google")? else { return Ok(None) };
    Ok(google.string("thought_signature")?.map(|signature| Signature::from_tagged(&signature, Dialect::Gemini)))
}

/// One of a message's `tool_calls`. Servers that give no id get one made of the answer's id and the place.
pub(super) fn decode_call(item: Item<'_>, answer_id: &str, choice: u32, index: u32) -> Result<Part, DecodeError> {
    let json = item.clone();
    let mut call = item.object()?;
    if call.string("type")?.is_some_and(|kind| kind != "function") {
        return Ok(Content::Other { of: HERE, json: json.json() }.into());
    }
    let id = call.string("id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| made_call_id(answer_id, choice, index));
    let signature = call_signature(&mut call)?;
    let mut function = call.need("function")?.object()?;
    let name = function.need("name")?.string()?;
    // Some servers give an object where a string belongs.
    let arguments = match function.take("arguments") {
        Some(item) if item.is_string() => item.string()?,
        Some(item) => item.json().compact(),
        None => String::new(),
    };
    let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
    Ok(Part { content: Content::ToolCall { id, name, arguments }, cache: None, signature })
}
