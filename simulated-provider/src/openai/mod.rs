//! OpenAI's API, and what speaks like it.

mod audio;
mod chat;
mod chat_request;
pub(crate) mod chat_wire;
mod completions;
mod embeddings;
mod images;
mod moderations;
mod rerank;
mod responses;
mod responses_events;
mod responses_request;

use http::Response;

use crate::body::Body;
use crate::call::{Incoming, Reset, refusal};
use crate::door::OpenAi;
use crate::error::ApiError;
use crate::value;

pub(crate) const ERROR_EVENT: &[u8] = b"data: {\"error\":{\"message\":\"The server had an error while processing your request. Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
/// What a broken event looks like: right framing, JSON that ends early.
pub(crate) const MALFORMED_EVENT: &[u8] = b"data: {\"id\":\"chatcmpl-malformed\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"con\n\n";

pub(crate) async fn answer(
    incoming: &Incoming<'_>,
    operation: OpenAi,
    deployment: Option<&str>,
) -> Result<Response<Body>, Reset> {
    match operation {
        OpenAi::Chat => return chat::complete(incoming, deployment).await,
        OpenAi::ImageEdits => return images::edit(incoming, deployment).await,
        OpenAi::Transcriptions | OpenAi::Translations => {
            return audio::transcribe(incoming, operation, deployment).await;
        }
        _ => {}
    }
    let mut body = match value::object(incoming.body) {
        Ok(body) => body,
        Err(error) => return refused(incoming, &error),
    };
    if let Some(model) = deployment {
        body.insert("model".to_owned(), model.into());
    }
    match operation {
        OpenAi::Completions => completions::complete(incoming, &body).await,
        OpenAi::Responses => responses::respond(incoming, &body).await,
        OpenAi::Embeddings => embeddings::embed(incoming, &body).await,
        OpenAi::Moderations => moderations::moderate(incoming, &body).await,
        OpenAi::ImageGenerations => images::generate(incoming, &body).await,
        OpenAi::Speech => audio::speak(incoming, &body).await,
        _ => rerank::rank(incoming, &body).await,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what every way out of an operation returns")]
fn refused(incoming: &Incoming<'_>, error: &ApiError) -> Result<Response<Body>, Reset> {
    Ok(refusal(incoming.worker, incoming.dialect, error))
}

/// A parameter that a request lacks.
fn missing(name: &'static str) -> ApiError {
    ApiError::invalid(format!("Missing required parameter: '{name}'."), Some(name), Some("missing_required_parameter"))
}
