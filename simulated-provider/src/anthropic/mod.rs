//! Anthropic's Messages API, version 2023-06-01.

mod request;
mod stream;
mod wire;

pub(crate) use request::PromptCache;

use http::Response;

use crate::answer::Answer;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{EVENTS, Head, Incoming, Reset, Written, refusal, serve};
use crate::door::Anthropic;
use crate::error::ApiError;
use crate::value;
use request::Request;
use wire::Reply;

pub(crate) async fn answer(incoming: &Incoming<'_>, operation: Anthropic) -> Result<Response<Body>, Reset> {
    let read = versioned(incoming).and_then(|()| value::object(incoming.body)).and_then(|body| match operation {
        Anthropic::Messages => Request::messages(&body),
        Anthropic::CountTokens => Request::count_tokens(&body),
    });
    let Request { asked, cache } = match read {
        Ok(request) => request,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let shape = if asked.stream { Shape::Stream } else { Shape::Plain };
    let mut head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    if operation == Anthropic::CountTokens {
        let counted = serde_json::json!({ "input_tokens": asked.prompt_tokens });
        head.prompt_tokens = 0;
        return serve(incoming, head, |_| Written::json(0, &counted)).await;
    }
    serve(incoming, head, |context| {
        let answer = Answer::to(&asked, context);
        let cached = incoming.worker.shared.prompt_cache.look_up(&cache, asked.prompt_tokens);
        let reply = Reply::new(context, asked.model, answer, asked.prompt_tokens, cached);
        if asked.stream {
            Written::stream(EVENTS, reply.answer.tokens(), stream::script(&reply))
        } else {
            Written::json(reply.answer.tokens(), &reply.plain())
        }
    })
    .await
}

fn versioned(incoming: &Incoming<'_>) -> Result<(), ApiError> {
    if incoming.headers.contains_key("anthropic-version") {
        Ok(())
    } else {
        Err(ApiError::invalid("anthropic-version: header is required", None, None))
    }
}
