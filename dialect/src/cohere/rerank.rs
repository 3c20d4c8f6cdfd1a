//! `rerank`, of version 2 and, where they differ, of the one before and of those that are alike.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{Extra, RerankAnswer, RerankRequest, RerankResult};
use crate::json::{self, DecodeError, Item, Object};
use crate::{Dropped, Json, Unsupported};

use super::{HERE, usage};

/// Reads a request. Documents are texts, or objects as the version before had them.
pub fn decode_rerank_request(body: &[u8]) -> Result<RerankRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let document = |item: Item<'_>| {
        let fits = item.is_string() || item.is_object();
        if fits { Ok(item.json()) } else { Err(item.expected("a string or an object with `text`")) }
    };
    Ok(RerankRequest {
        model: object.need("model")?.string()?,
        query: object.need("query")?.string()?,
        documents: object.need("documents")?.list()?.into_iter().map(document).collect::<Result<_, _>>()?,
        top_n: object.unsigned("top_n")?,
        return_documents: object.boolean("return_documents")?,
        max_tokens_per_doc: object.unsigned("max_tokens_per_doc")?,
        extra: Extra::new(HERE, object.rest()),
    })
}

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    query: &'a str,
    documents: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_doc: Option<u64>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

/// The body of version 2. It knows texts alone: an object with nothing but `text` is that text, any other is given as
/// its JSON. It does not send documents back: [`RerankRequest::return_documents`] is the gateway's to fulfil
/// ([`encode_rerank_answer`] writes the documents that the answer holds).
pub fn encode_rerank_request(request: &RerankRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    let documents = request
        .documents
        .iter()
        .map(|document| text(document).map_or_else(|| document.clone(), |text| Json::of(&text)));
    Ok(json::bytes(&WireRequest {
        model: &request.model,
        query: &request.query,
        documents: documents.collect(),
        top_n: request.top_n,
        max_tokens_per_doc: request.max_tokens_per_doc,
        extra: request.extra.for_target(HERE, dropped),
    }))
}

/// What is to be sent for an object; `None` for what is a text already.
fn text(document: &Json) -> Option<String> {
    let mut object = document.item("").object().ok()?;
    let told = object.string("text").ok().flatten();
    Some(told.filter(|_| object.rest().is_empty()).unwrap_or_else(|| document.text().to_owned()))
}

#[derive(Debug, Serialize)]
struct WireAnswer<'a> {
    id: &'a str,
    results: Vec<WireResult<'a>>,
    meta: Meta,
}

#[derive(Debug, Serialize)]
struct WireResult<'a> {
    index: u64,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<WireDocument<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireDocument<'a> {
    Text { text: &'a Json },
    Object(&'a Json),
}

#[derive(Debug, Serialize)]
struct Meta {
    api_version: Version,
    billed_units: Units,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
}

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Units {
    search_units: u64,
}

#[derive(Debug, Serialize)]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
}

pub fn encode_rerank_answer(answer: &RerankAnswer) -> Vec<u8> {
    let results = answer.results.iter().map(|told| {
        let document = told.document.as_ref().map(|document| {
            if document.is_object() { WireDocument::Object(document) } else { WireDocument::Text { text: document } }
        });
        WireResult { index: told.index, relevance_score: told.score, document }
    });
    json::bytes(&WireAnswer {
        id: &answer.id,
        results: results.collect(),
        meta: Meta {
            api_version: Version { version: "2" },
            billed_units: Units { search_units: answer.search_units },
            tokens: answer.usage.map(|usage| Tokens { input_tokens: usage.input, output_tokens: usage.output }),
        },
    })
}

pub fn decode_rerank_answer(body: &[u8]) -> Result<RerankAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let result = |item: Item<'_>| {
        let mut object = item.object()?;
        Ok(RerankResult {
            index: object.need("index")?.unsigned()?,
            score: object.need("relevance_score")?.number()?,
            document: object.json("document"),
        })
    };
    let results = object.need("results")?.list()?.into_iter().map(result).collect::<Result<_, DecodeError>>()?;
    let (mut told, mut search_units) = (None, 0);
    if let Some(mut meta) = object.object("meta")? {
        if let Some(mut units) = meta.clone().object("billed_units")? {
            search_units = units.count("search_units");
        }
        let has_tokens = meta.has("tokens");
        meta.take("billed_units");
        told = has_tokens.then(|| usage::decode(meta));
    } else if let Some(usage) = object.object("usage")? {
        // Those that are alike count as OpenAI does.
        let mut usage = usage;
        let input = usage.count("prompt_tokens").max(usage.count("total_tokens"));
        told = Some(crate::canonical::Usage { input, ..Default::default() });
    }
    Ok(RerankAnswer {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        results,
        usage: told,
        search_units,
    })
}
