//! Rerank between Cohere itself and the many that are alike. Cohere's version 2 takes documents that are texts and does
//! not give them back: where the client wants them, they come from its own request.

use peerway_dialect::DecodeError;
use peerway_dialect::canonical::{RerankAnswer, RerankRequest};
use peerway_dialect::cohere;

/// The answer of a provider in Cohere's words, with its documents if they were asked for.
pub(super) fn answer(request: &RerankRequest, body: &[u8]) -> Result<RerankAnswer, DecodeError> {
    let mut answer = cohere::decode_rerank_answer(body)?;
    if request.return_documents == Some(true) {
        for result in answer.results.iter_mut().filter(|result| result.document.is_none()) {
            let index = usize::try_from(result.index).unwrap_or(usize::MAX);
            result.document = request.documents.get(index).cloned();
        }
    }
    Ok(answer)
}
