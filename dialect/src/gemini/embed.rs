//! `embedContent` and `batchEmbedContents`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{Content, EmbedAnswer, EmbedInput, EmbedRequest, Extra, Usage};
use crate::json::{self, DecodeError, Item};
use crate::{Dropped, Json, Unsupported, vector};

use super::fields::Fields;
use super::parts_in::{self, Piece};
use super::{HERE, resource, usage};

/// Cohere's words for the tasks that both have.
const TASKS: [(&str, &str); 4] = [
    ("RETRIEVAL_DOCUMENT", "search_document"),
    ("RETRIEVAL_QUERY", "search_query"),
    ("CLASSIFICATION", "classification"),
    ("CLUSTERING", "clustering"),
];

/// Reads the body of `embedContent`; the model is in the path.
pub fn decode_embed_request(body: &[u8]) -> Result<EmbedRequest, DecodeError> {
    one(Fields::parse(body)?)
}

/// Reads the body of `batchEmbedContents`: requests that differ in their content alone.
pub fn decode_batch_embed_request(body: &[u8]) -> Result<EmbedRequest, DecodeError> {
    let mut fields = Fields::parse(body)?;
    let mut whole: Option<EmbedRequest> = None;
    for item in fields.need("requests")?.list()? {
        let differs = item.expected("for the same task, title, dimensions and model as the first");
        let mut next = one(Fields::of(item)?)?;
        match &mut whole {
            None => whole = Some(next),
            Some(whole) => {
                let (before, inputs) = (std::mem::take(&mut whole.inputs), std::mem::take(&mut next.inputs));
                if *whole != next {
                    return Err(differs);
                }
                whole.inputs = before;
                whole.inputs.extend(inputs);
            }
        }
    }
    whole.ok_or_else(|| DecodeError::wrong("requests", "at least one request"))
}

fn one(mut fields: Fields<'_>) -> Result<EmbedRequest, DecodeError> {
    let model = fields.string("model")?.unwrap_or_default();
    let content = fields.need("content")?;
    let task = fields.string("taskType")?.filter(|task| task != "TASK_TYPE_UNSPECIFIED");
    let known = |task: &str| TASKS.iter().find(|(google, _)| *google == task).map(|(_, word)| (*word).to_owned());
    Ok(EmbedRequest {
        model: model.strip_prefix("models/").unwrap_or(&model).to_owned(),
        inputs: vec![EmbedInput::Text(text(content)?)],
        dimensions: fields.unsigned("outputDimensionality")?,
        task: task.map(|task| known(&task).unwrap_or(task)),
        extra: Extra::new(HERE, fields.rest()),
        ..EmbedRequest::default()
    })
}

/// The texts of a content, which make one vector.
fn text(item: Item<'_>) -> Result<String, DecodeError> {
    let mut texts = Vec::new();
    for item in Fields::of(item)?.list("parts")? {
        let wrong = item.expected("text");
        let Piece::Parts(parts) = parts_in::decode(item, &mut Dropped::new())? else { return Err(wrong) };
        for part in parts {
            let Content::Text(text) = part.content else { return Err(wrong) };
            texts.push(text);
        }
    }
    Ok(texts.join("\n"))
}

#[derive(Debug, Serialize)]
struct WireBatch<'a> {
    requests: Vec<WireRequest<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    model: &'a str,
    content: WireContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
struct WireContent<'a> {
    parts: [WireText<'a>; 1],
}

#[derive(Debug, Serialize)]
struct WireText<'a> {
    text: &'a str,
}

/// The body of `batchEmbedContents`, however many inputs there are.
pub fn encode_embed_request(request: &EmbedRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    dropped.note_if(request.user.is_some(), "user");
    let extra = request.extra.for_target(HERE, dropped);
    let task_type = request.task.as_deref().and_then(|task| task_name(task, dropped));
    let model = resource(&request.model);
    let mut requests = Vec::with_capacity(request.inputs.len());
    for (at, input) in request.inputs.iter().enumerate() {
        let EmbedInput::Text(text) = input else {
            let reason = "only OpenAI reads token ids: send the text";
            return Err(Unsupported::new(format!("input[{at}]"), HERE, reason));
        };
        let content = WireContent { parts: [WireText { text }] };
        requests.push(WireRequest {
            model: &model,
            content,
            task_type,
            output_dimensionality: request.dimensions,
            extra,
        });
    }
    Ok(json::bytes(&WireBatch { requests }))
}

fn task_name<'a>(task: &'a str, dropped: &mut Dropped) -> Option<&'a str> {
    if let Some((google, _)) = TASKS.iter().find(|(_, word)| *word == task) {
        return Some(google);
    }
    if task.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return Some(task);
    }
    dropped.note("input_type");
    None
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<WireVector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<WireVector<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<WireUsage>,
}

#[derive(Debug, Serialize)]
struct WireVector<'a> {
    values: &'a [f32],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireUsage {
    prompt_token_count: u64,
    total_token_count: u64,
}

fn told(usage: &Usage) -> WireUsage {
    WireUsage { prompt_token_count: usage.input, total_token_count: usage.total() }
}

/// The answer to `embedContent`: the one vector.
pub fn encode_embed_answer(answer: &EmbedAnswer) -> Vec<u8> {
    let values = answer.vectors.first().map(Vec::as_slice).unwrap_or_default();
    json::bytes(&WireAnswer {
        embedding: Some(WireVector { values }),
        embeddings: None,
        usage_metadata: answer.usage.as_ref().map(told),
    })
}

/// The answer to `batchEmbedContents`.
pub fn encode_batch_embed_answer(answer: &EmbedAnswer) -> Vec<u8> {
    let vectors = answer.vectors.iter().map(|values| WireVector { values }).collect();
    json::bytes(&WireAnswer {
        embedding: None,
        embeddings: Some(vectors),
        usage_metadata: answer.usage.as_ref().map(told),
    })
}

/// Reads the answer to either. It names neither id nor model.
pub fn decode_embed_answer(body: &[u8]) -> Result<EmbedAnswer, DecodeError> {
    let mut fields = Fields::parse(body)?;
    let items = match fields.take("embedding")? {
        Some(item) => vec![item],
        None => fields.need("embeddings")?.list()?,
    };
    let vector = |item: Item<'_>| vector::decode(&Fields::of(item)?.need("values")?);
    Ok(EmbedAnswer {
        vectors: items.into_iter().map(vector).collect::<Result<_, _>>()?,
        usage: fields.object("usageMetadata")?.map(usage::decode),
        ..EmbedAnswer::default()
    })
}
