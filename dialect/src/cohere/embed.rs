//! `embed`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{EmbedAnswer, EmbedInput, EmbedRequest, Extra, VectorEncoding};
use crate::json::{self, DecodeError, Item, Object};
use crate::{Dropped, Json, Unsupported, vector};

use super::{HERE, usage};

/// What vectors are for unless somebody says so; Cohere insists on a word.
const DEFAULT_TASK: &str = "search_document";
const TASKS: [&str; 4] = ["search_document", "search_query", "classification", "clustering"];

/// Reads a request for vectors of texts. Of `embedding_types` one of `float` and `base64` is understood.
pub fn decode_embed_request(body: &[u8]) -> Result<EmbedRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    if let Some(images) = object.take("images") {
        return Err(images.expected("absent: only texts are translated"));
    }
    let texts = object.list("texts")?.unwrap_or_default().into_iter().map(|item| item.string());
    let mut inputs = texts.map(|text| text.map(EmbedInput::Text)).collect::<Result<Vec<_>, _>>()?;
    for item in object.list("inputs")?.unwrap_or_default() {
        inputs.push(EmbedInput::Text(input(item)?));
    }
    if inputs.is_empty() {
        return Err(DecodeError::Missing { field: "texts".to_owned() });
    }
    let encoding = match object.take("embedding_types") {
        None => VectorEncoding::Float,
        Some(types) => {
            let wrong = types.expected("[\"float\"] or [\"base64\"]");
            let names = types.list()?.into_iter().map(|name| name.string()).collect::<Result<Vec<_>, _>>()?;
            match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["float"] => VectorEncoding::Float,
                ["base64"] => VectorEncoding::Base64,
                _ => return Err(wrong),
            }
        }
    };
    Ok(EmbedRequest {
        model: object.need("model")?.string()?,
        inputs,
        dimensions: object.unsigned("output_dimension")?,
        encoding,
        task: object.string("input_type")?,
        user: None,
        extra: Extra::new(HERE, object.rest()),
    })
}

/// The texts of one mixed input.
fn input(item: Item<'_>) -> Result<String, DecodeError> {
    let mut texts = Vec::new();
    for item in item.object()?.need("content")?.list()? {
        let wrong = item.expected("text: only texts are translated");
        let mut piece = item.object()?;
        texts.push(piece.string("text")?.ok_or(wrong)?);
    }
    Ok(texts.join("\n"))
}

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    input_type: &'a str,
    texts: Vec<&'a str>,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

pub fn encode_embed_request(request: &EmbedRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    encode_embed_body(request, Some(&request.model), request.encoding, dropped)
}

/// `model` is left out where a path names it.
pub(crate) fn encode_embed_body(
    request: &EmbedRequest,
    model: Option<&str>,
    encoding: VectorEncoding,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Unsupported> {
    dropped.note_if(request.user.is_some(), "user");
    let input_type = match request.task.as_deref() {
        Some(task) if TASKS.contains(&task) => task,
        other => {
            dropped.note_if(other.is_some(), "input_type");
            DEFAULT_TASK
        }
    };
    let mut texts = Vec::with_capacity(request.inputs.len());
    for (at, input) in request.inputs.iter().enumerate() {
        let EmbedInput::Text(text) = input else {
            let reason = "only OpenAI reads token ids: send the text";
            return Err(Unsupported::new(format!("input[{at}]"), HERE, reason));
        };
        texts.push(text.as_str());
    }
    Ok(json::bytes(&WireRequest {
        model,
        input_type,
        texts,
        embedding_types: [name(encoding)],
        output_dimension: request.dimensions,
        extra: request.extra.for_target(HERE, dropped),
    }))
}

const fn name(encoding: VectorEncoding) -> &'static str {
    match encoding {
        VectorEncoding::Float => "float",
        VectorEncoding::Base64 => "base64",
    }
}

#[derive(Debug, Serialize)]
struct WireAnswer<'a> {
    id: &'a str,
    embeddings: Vectors<'a>,
    response_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<usage::WireUsage>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Vectors<'a> {
    Float(&'a [Vec<f32>]),
    Base64(Vec<String>),
}

pub fn encode_embed_answer(answer: &EmbedAnswer, encoding: VectorEncoding) -> Vec<u8> {
    json::bytes(&WireAnswer {
        id: &answer.id,
        embeddings: match encoding {
            VectorEncoding::Float => Vectors::Float(&answer.vectors),
            VectorEncoding::Base64 => {
                Vectors::Base64(answer.vectors.iter().map(|vector| vector::base64(vector)).collect())
            }
        },
        response_type: "embeddings_by_type",
        meta: answer.usage.as_ref().map(usage::encode),
    })
}

/// Reads an answer in floats or in base64.
pub fn decode_embed_answer(body: &[u8]) -> Result<EmbedAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let mut by_type = object.need("embeddings")?.object()?;
    let vectors = match by_type.list("base64")? {
        Some(items) => items.iter().map(vector::decode).collect::<Result<_, _>>()?,
        None => by_type.need("float")?.list()?.iter().map(vector::decode).collect::<Result<_, _>>()?,
    };
    Ok(EmbedAnswer {
        id: object.string("id")?.unwrap_or_default(),
        model: String::new(),
        vectors,
        usage: object.object("meta")?.map(usage::decode),
    })
}
