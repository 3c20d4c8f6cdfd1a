//! Google's Gemini API, and Vertex AI's paths to the same.

mod embed;
mod fields;
mod request;
mod wire;

use http::{HeaderValue, Response};
use serde_json::json;

use crate::answer::Answer;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, refusal, serve};
use crate::door::Gemini;
use crate::error::ApiError;
use crate::value;
use wire::{Form, Reply};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

pub(crate) async fn answer(incoming: &Incoming<'_>, operation: Gemini, model: String) -> Result<Response<Body>, Reset> {
    let body = match value::object(incoming.body) {
        Ok(body) => body,
        Err(error) => return refused(incoming, &error),
    };
    let form = match operation {
        Gemini::Generate => None,
        Gemini::StreamEvents => Some(Form::Events),
        Gemini::StreamArray => Some(Form::Array),
        Gemini::CountTokens => return count(incoming, model, &body).await,
        Gemini::Embed | Gemini::BatchEmbed | Gemini::Predict => {
            return embed::answer(incoming, operation, model, &body).await;
        }
    };
    let asked = match request::read(&body, model) {
        Ok(asked) => asked,
        Err(error) => return refused(incoming, &error),
    };
    let shape = if form.is_some() { Shape::Stream } else { Shape::Plain };
    let head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    serve(incoming, head, |context| {
        let reply = Reply::new(context, Answer::to(&asked, context), asked);
        let written = match form {
            None => Written::plain(JSON, reply.tokens(), reply.plain().to_string().into_bytes()),
            Some(Form::Events) => Written::stream(EVENTS, reply.tokens(), reply.script(Form::Events)),
            Some(Form::Array) => Written::stream(JSON, reply.tokens(), reply.script(Form::Array)),
        };
        written.with_choices(reply.choices())
    })
    .await
}

async fn count(
    incoming: &Incoming<'_>,
    model: String,
    body: &serde_json::Map<String, serde_json::Value>,
) -> Result<Response<Body>, Reset> {
    let asked = match request::count(body, model) {
        Ok(asked) => asked,
        Err(error) => return refused(incoming, &error),
    };
    let tokens = asked.prompt_tokens;
    let counted =
        json!({ "totalTokens": tokens, "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }] });
    let head = Head { model: asked.model, shape: Shape::Plain, prompt_tokens: 0 };
    serve(incoming, head, |_| Written::plain(JSON, 0, counted.to_string().into_bytes())).await
}

#[expect(clippy::unnecessary_wraps, reason = "what every way out of an operation returns")]
fn refused(incoming: &Incoming<'_>, error: &ApiError) -> Result<Response<Body>, Reset> {
    Ok(refusal(incoming.worker, incoming.dialect, error))
}
