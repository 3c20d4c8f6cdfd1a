//! Embeddings: requests, and answers whose vectors are lists of numbers or base64 of little-endian f32.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{EmbedAnswer, EmbedInput, EmbedRequest, Extra, Usage, VectorEncoding};
use crate::json::{self, DecodeError, Item, Object};
use crate::{Dialect, Dropped, Json, Unsupported, vector};

const HERE: Dialect = Dialect::OpenAiChat;

/// Reads an embeddings request: one text, texts, one list of token ids, or lists of them.
pub fn decode_request(body: &[u8]) -> Result<EmbedRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let inputs = inputs(object.need("input")?)?;
    let encoding = match object.take("encoding_format") {
        None => VectorEncoding::Float,
        Some(format) => match format.string()?.as_str() {
            "float" => VectorEncoding::Float,
            "base64" => VectorEncoding::Base64,
            _ => return Err(format.expected("float or base64")),
        },
    };
    Ok(EmbedRequest {
        model: name,
        inputs,
        dimensions: object.unsigned("dimensions")?,
        encoding,
        task: object.string("input_type")?,
        user: object.string("user")?,
        extra: Extra::new(HERE, object.rest()),
    })
}

fn inputs(item: Item<'_>) -> Result<Vec<EmbedInput>, DecodeError> {
    const EXPECTED: &str = "a string, an array of strings, or token ids";
    if item.is_string() {
        return Ok(vec![EmbedInput::Text(item.string()?)]);
    }
    let wrong = item.expected(EXPECTED);
    let items = item.list().map_err(|_| wrong.clone())?;
    let tokens = |items: Vec<Item<'_>>| items.into_iter().map(|item| item.unsigned()).collect::<Result<_, _>>();
    match items.first() {
        None => Err(wrong),
        Some(first) if !first.is_string() && !first.is_list() => Ok(vec![EmbedInput::Tokens(tokens(items)?)]),
        Some(_) => items
            .into_iter()
            .map(|item| match item.is_list() {
                true => Ok(EmbedInput::Tokens(tokens(item.list()?)?)),
                false => Ok(EmbedInput::Text(item.string()?)),
            })
            .collect(),
    }
}

#[derive(Debug, Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: Vec<WireInput<'a>>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Json>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireInput<'a> {
    Text(&'a str),
    Tokens(&'a [u64]),
}

/// The body for a provider. What the vectors are for has no place in it.
pub fn encode_request(request: &EmbedRequest, dropped: &mut Dropped) -> Result<Vec<u8>, Unsupported> {
    dropped.note_if(request.task.is_some(), "input_type");
    let input = request.inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => WireInput::Text(text),
        EmbedInput::Tokens(tokens) => WireInput::Tokens(tokens),
    });
    Ok(json::bytes(&WireRequest {
        model: &request.model,
        input: input.collect(),
        encoding_format: match request.encoding {
            VectorEncoding::Float => "float",
            VectorEncoding::Base64 => "base64",
        },
        dimensions: request.dimensions,
        user: request.user.as_deref(),
        extra: request.extra.for_target(HERE, dropped),
    }))
}

/// Reads an answer in either form; vectors are put in the order of the inputs.
pub fn decode_answer(body: &[u8]) -> Result<EmbedAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let mut vectors = Vec::new();
    for (at, item) in object.need("data")?.list()?.into_iter().enumerate() {
        let mut entry = item.object()?;
        let index = entry.unsigned("index")?.unwrap_or(at as u64);
        vectors.push((index, vector::decode(&entry.need("embedding")?)?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let usage =
        object.object("usage")?.map(|mut usage| Usage { input: usage.count("prompt_tokens"), ..Usage::default() });
    Ok(EmbedAnswer {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage,
    })
}

#[derive(Debug, Serialize)]
struct WireAnswer<'a> {
    object: &'static str,
    data: Vec<WireVector<'a>>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

#[derive(Debug, Serialize)]
struct WireVector<'a> {
    object: &'static str,
    index: usize,
    embedding: WireNumbers<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WireNumbers<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Debug, Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The body for a client, its vectors as it asked for them.
pub fn encode_answer(answer: &EmbedAnswer, encoding: VectorEncoding) -> Vec<u8> {
    let data = answer.vectors.iter().enumerate().map(|(index, vector)| WireVector {
        object: "embedding",
        index,
        embedding: match encoding {
            VectorEncoding::Float => WireNumbers::Float(vector),
            VectorEncoding::Base64 => WireNumbers::Base64(vector::base64(vector)),
        },
    });
    json::bytes(&WireAnswer {
        object: "list",
        data: data.collect(),
        model: &answer.model,
        usage: answer.usage.map(|usage| WireUsage { prompt_tokens: usage.input, total_tokens: usage.input }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_inputs_of_every_shape() {
        let text = |text: &str| EmbedInput::Text(text.into());
        for (input, expected) in [
            (r#""a""#, vec![text("a")]),
            (r#"["a","b"]"#, vec![text("a"), text("b")]),
            ("[1,2]", vec![EmbedInput::Tokens(vec![1, 2])]),
            ("[[1],[2,3]]", vec![EmbedInput::Tokens(vec![1]), EmbedInput::Tokens(vec![2, 3])]),
        ] {
            let body =
                format!(r#"{{"model":"m","input":{input},"encoding_format":"base64","dimensions":8,"x":{{"y":1}}}}"#);
            let request = decode_request(body.as_bytes()).unwrap();
            assert_eq!(request.inputs, expected);
            let sent = encode_request(&request, &mut Dropped::new()).unwrap();
            assert_eq!(decode_request(&sent).unwrap(), request);
        }
        for input in ["[]", "7", "[{}]", r#"["a",1]"#, "[-1]"] {
            assert!(decode_request(format!(r#"{{"model":"m","input":{input}}}"#).as_bytes()).is_err(), "{input}");
        }
    }

    #[test]
    fn the_base64_form_is_openais() {
        let answer = EmbedAnswer { vectors: vec![vec![1.0, -2.5]], model: "m".into(), ..EmbedAnswer::default() };
        let body = String::from_utf8(encode_answer(&answer, VectorEncoding::Base64)).unwrap();
        // struct.pack("<2f", 1.0, -2.5)
        assert!(body.contains(r#""embedding":"AACAPwAAIMA=""#), "{body}");
        assert!(decode_answer(br#"{"data":[{"embedding":"AACA"}]}"#).is_err());
        let turned = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
        assert_eq!(decode_answer(turned).unwrap().vectors, [[1.0], [2.0]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn vectors_come_back(vectors in proptest::collection::vec(proptest::collection::vec(-1e6_f32..1e6, 0..8), 1..4), base64 in any::<bool>()) {
            let usage = Some(Usage { input: 3, ..Usage::default() });
            let answer = EmbedAnswer { vectors, model: "m".into(), usage, ..EmbedAnswer::default() };
            let encoding = if base64 { VectorEncoding::Base64 } else { VectorEncoding::Float };
            prop_assert_eq!(decode_answer(&encode_answer(&answer, encoding)).unwrap(), answer);
        }
    }
}
