//! Chat completions.

use http::Response;

use super::chat_request::ChatRequest;
use super::chat_wire::{Chunks, Reply};
use crate::answer::Answer;
use crate::asked::Asked;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Context, EVENTS, Head, Incoming, JSON, Reset, Written, refusal, serve};
use crate::script::Script;

/// `deployment`: the model, where the path names it and the body need not.
pub(crate) async fn complete(incoming: &Incoming<'_>, deployment: Option<&str>) -> Result<Response<Body>, Reset> {
    let asked = match ChatRequest::parse(incoming.body).and_then(|request| request.check(deployment)) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let shape = if asked.stream { Shape::Stream } else { Shape::Plain };
    let head = Head { model: asked.model.clone(), shape, prompt_tokens: asked.prompt_tokens };
    serve(incoming, head, |context| write(asked, context)).await
}

fn write(asked: Asked<'_>, context: &Context<'_>) -> Written {
    let answer = Answer::to(&asked, context);
    let reply = Reply {
        id: context.id("chatcmpl-"),
        created: context.created,
        model: asked.model,
        answer,
        choices: asked.choices,
        prompt_tokens: asked.prompt_tokens,
        include_usage: asked.include_usage,
        logprobs: asked.logprobs,
        usage: context.usage,
        stamp: context.stamp,
    };
    let (tokens, choices) = (reply.completion_tokens(), reply.choices);
    let written = if asked.stream {
        Written::stream(EVENTS, tokens, Script::Chat(Chunks::new(reply)))
    } else {
        Written::plain(JSON, tokens, reply.plain())
    };
    written.with_choices(choices)
}
