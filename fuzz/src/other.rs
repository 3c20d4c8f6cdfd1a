//! What is not chat: embeddings, reranking, token counts. Refused, or written for every dialect that has it.

use peerway_dialect::canonical::{EmbedAnswer, EmbedRequest, VectorEncoding};
use peerway_dialect::{Dropped, anthropic, cohere, gemini, openai};

use crate::is_json;

/// Which function, then the body.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, body)) = input.split_first() else { return };
    match which % 12 {
        0 => embed(openai::embeddings::decode_request(body)),
        1 => embed(cohere::decode_embed_request(body)),
        2 => embed(gemini::decode_embed_request(body)),
        3 => embed(gemini::decode_batch_embed_request(body)),
        4 => vectors(openai::embeddings::decode_answer(body)),
        5 => vectors(cohere::decode_embed_answer(body)),
        6 => vectors(gemini::decode_embed_answer(body)),
        7 => {
            let Ok(request) = cohere::decode_rerank_request(body) else { return };
            written(cohere::encode_rerank_request(&request, &mut Dropped::new()));
        }
        8 => {
            let Ok(answer) = cohere::decode_rerank_answer(body) else { return };
            let bytes = cohere::encode_rerank_answer(&answer);
            assert_eq!(cohere::decode_rerank_answer(&bytes).expect("its own").results.len(), answer.results.len());
        }
        9 => {
            for read in [anthropic::decode_count_request(body), gemini::decode_count_request(body)] {
                let Ok(request) = read else { continue };
                written(anthropic::encode_count_request(&request, &mut Dropped::new()));
                written(gemini::encode_count_request(&request, &mut Dropped::new()));
            }
        }
        10 => {
            let Ok(tokens) = anthropic::decode_count_answer(body) else { return };
            assert_eq!(anthropic::decode_count_answer(&anthropic::encode_count_answer(tokens)), Ok(tokens));
        }
        _ => {
            let Ok(usage) = gemini::decode_count(body) else { return };
            assert_eq!(gemini::decode_count(&gemini::encode_count(&usage)).expect("its own").input, usage.input);
        }
    }
}

fn written<E>(bytes: Result<Vec<u8>, E>) {
    if let Ok(bytes) = bytes {
        assert!(is_json(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}

fn embed<E>(request: Result<EmbedRequest, E>) {
    let Ok(request) = request else { return };
    for encode in [openai::embeddings::encode_request, cohere::encode_embed_request, gemini::encode_embed_request] {
        written(encode(&request, &mut Dropped::new()));
    }
}

fn vectors<E>(answer: Result<EmbedAnswer, E>) {
    let Ok(answer) = answer else { return };
    for encoding in [VectorEncoding::Float, VectorEncoding::Base64] {
        for encode in [openai::embeddings::encode_answer, cohere::encode_embed_answer] {
            assert!(is_json(&encode(&answer, encoding)));
        }
    }
    assert!(is_json(&gemini::encode_embed_answer(&answer)));
    let bytes = openai::embeddings::encode_answer(&answer, VectorEncoding::Float);
    assert_eq!(openai::embeddings::decode_answer(&bytes).expect("its own").vectors.len(), answer.vectors.len());
}
