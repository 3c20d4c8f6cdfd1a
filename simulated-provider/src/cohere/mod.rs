//! Cohere's API, version 2.

mod embed;
mod request;
mod rerank;
mod wire;

use http::{HeaderValue, Response};

use crate::answer::Answer;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, refusal, serve};
use crate::door::Cohere;
use crate::value;
use wire::Reply;

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

pub(crate) async fn answer(incoming: &Incoming<'_>, operation: Cohere) -> Result<Response<Body>, Reset> {
    let body = match value::object(incoming.body) {
        Ok(body) => body,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    match operation {
        Cohere::Chat => {}
        Cohere::Embed => return embed::answer(incoming, &body).await,
        Cohere::Rerank => return rerank::answer(incoming, &body).await,
    }
    let asked = match request::read(&body) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let shape = if asked.stream { Shape::Stream } else { Shape::Plain };
    let head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    serve(incoming, head, |context| {
        let reply = Reply::new(context, Answer::to(&asked, context), &asked);
        match shape {
            Shape::Stream => Written::stream(EVENTS, reply.answer.tokens(), reply.script()),
            Shape::Plain => Written::json(reply.answer.tokens(), &reply.plain()),
        }
    })
    .await
}
