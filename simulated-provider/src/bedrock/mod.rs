//! Amazon Bedrock's runtime: Converse, ConverseStream, CountTokens, and InvokeModel for embeddings.

mod event_stream;
mod invoke;
mod request;
mod wire;

use http::{HeaderValue, Response};
use serde_json::json;

use crate::answer::Answer;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, refusal, serve};
use crate::door::Bedrock;
use crate::value;
use wire::Reply;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

pub(crate) async fn answer(
    incoming: &Incoming<'_>,
    operation: Bedrock,
    model: String,
) -> Result<Response<Body>, Reset> {
    let body = match value::object(incoming.body) {
        Ok(body) => body,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let read = match operation {
        Bedrock::Converse | Bedrock::ConverseStream => request::read(&body, model),
        Bedrock::CountTokens => request::count(&body, model),
        Bedrock::Invoke => return invoke::answer(incoming, model, &body).await,
    };
    let asked = match read {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let shape = if operation == Bedrock::ConverseStream { Shape::Stream } else { Shape::Plain };
    let mut head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    if operation == Bedrock::CountTokens {
        let counted = json!({ "inputTokens": asked.prompt_tokens });
        head.prompt_tokens = 0;
        return serve(incoming, head, |_| Written::json(0, &counted)).await;
    }
    serve(incoming, head, |context| {
        let reply = Reply::new(context, Answer::to(&asked, context), asked.prompt_tokens);
        match shape {
            Shape::Stream => Written::stream(EVENT_STREAM, reply.answer.tokens(), reply.script()),
            Shape::Plain => Written::json(reply.answer.tokens(), &reply.plain()),
        }
    })
    .await
}
