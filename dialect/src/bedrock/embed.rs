//! Embeddings: Bedrock has no words of its own for them, each vendor's models are invoked in the vendor's. Amazon's Titan
//! takes one text at a time, Cohere's models what Cohere itself takes but for the model's name, which is in the path.

use serde::Serialize;

use crate::canonical::{EmbedAnswer, EmbedInput, EmbedRequest, Usage, VectorEncoding};
use crate::json::{self, DecodeError, Object};
use crate::{Dropped, Unsupported, cohere, vector};

use super::HERE;

/// Whose words a model is invoked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Titan,
    Cohere,
}

impl Vendor {
    fn of(model: &str) -> Option<Self> {
        match model {
            model if model.contains("titan-embed-text") => Some(Self::Titan),
            model if model.contains("cohere.embed") => Some(Self::Cohere),
            _ => None,
        }
    }
}

/// Whether a model is one that can be asked for vectors of texts.
pub fn embeds(model: &str) -> bool {
    Vendor::of(model).is_some()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    input_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

pub fn encode_embed_request(request: &EmbedRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    match Vendor::of(&request.model) {
        // Bedrock's has no base64.
        Some(Vendor::Cohere) => cohere::encode_embed_body(request, None, VectorEncoding::Float, dropped),
        Some(Vendor::Titan) => titan(request, dropped),
        None => Err(Unsupported::new("model", HERE, "of its models only Titan's and Cohere's make vectors of texts")),
    }
}

fn titan(request: &EmbedRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    let [EmbedInput::Text(text)] = request.inputs.as_slice() else {
        let reason = "Titan makes the vector of one text at a time: send each in a request of its own";
        return Err(Unsupported::new("input", HERE, reason));
    };
    if request.dimensions.is_some() && !request.model.contains("-v2") {
        return Err(Unsupported::new("dimensions", HERE, "only Titan's second version has a choice"));
    }
    dropped.note_if(request.user.is_some(), "user");
    dropped.note_if(request.task.is_some(), "input_type");
    let _ = request.extra.for_target(HERE, dropped);
    Ok(json::bytes(&Titan { input_text: text, dimensions: request.dimensions }))
}

/// Reads an answer of either vendor; which one it is, it shows itself.
pub fn decode_embed_answer(body: &[u8]) -> Result<EmbedAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let Some(vector) = object.take("embedding") else { return cohere::decode_embed_answer(body) };
    let vector = vector::decode(&vector)?;
    let usage = object.unsigned("inputTextTokenCount")?.map(|input| Usage { input, ..Usage::default() });
    Ok(EmbedAnswer { vectors: vec![vector], usage, ..EmbedAnswer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(model: &str, texts: &[&str], dimensions: Option<u64>) -> Result<String, Unsupported> {
        let inputs = texts.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect();
        let request = EmbedRequest { model: model.to_owned(), inputs, dimensions, ..EmbedRequest::default() };
        encode_embed_request(&request, &mut Dropped::new()).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn each_vendor_is_asked_in_its_own_words() {
        assert_eq!(
            asked("amazon.titan-embed-text-v2:0", &["a"], Some(512)).unwrap(),
            r#"{"inputText":"a","dimensions":512}"#
        );
        assert_eq!(asked("amazon.titan-embed-text-v1", &["a"], None).unwrap(), r#"{"inputText":"a"}"#);
        assert_eq!(
            asked("eu.cohere.embed-v4:0", &["a", "b"], None).unwrap(),
            r#"{"input_type":"search_document","texts":["a","b"],"embedding_types":["float"]}"#
        );
        for (model, texts, dimensions) in [
            ("amazon.titan-embed-text-v2:0", &["a", "b"][..], None),
            ("amazon.titan-embed-text-v1", &["a"], Some(512)),
            ("anthropic.claude-sonnet-4-v1:0", &["a"], None),
        ] {
            assert!(asked(model, texts, dimensions).is_err(), "{model}");
        }
    }

    #[test]
    fn each_vendor_is_understood() {
        let titan = decode_embed_answer(br#"{"embedding":[0.5,-1],"inputTextTokenCount":3}"#).unwrap();
        assert_eq!((titan.vectors, titan.usage.unwrap().input), (vec![vec![0.5, -1.0]], 3));
        let cohere =
            br#"{"id":"1","embeddings":{"float":[[0.5],[1]]},"texts":["a","b"],"response_type":"embeddings_by_type"}"#;
        assert_eq!(decode_embed_answer(cohere).unwrap().vectors, [[0.5], [1.0]]);
        assert!(decode_embed_answer(br#"{"embedding":"no"}"#).is_err());
    }
}
