//! A client's request.

use crate::canonical::{ChatRequest, Extra, LogprobsWanted, Message, Role};
use crate::json::{DecodeError, Item, Object};
use crate::{Dialect, Dropped};

/// A text completion as the chat request that answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRequest {
    pub chat: ChatRequest,
    /// What stands before each answer's text: the prompt, if the client wants it repeated.
    pub echo: Option<String>,
}

/// Reads a completion request.
pub fn decode_request(body: &[u8]) -> Result<TextRequest, DecodeError> {
    let mut object = Object::parse(body)?;
    let model = object.need("model")?;
    let name = model.string()?;
    if name.is_empty() {
        return Err(model.expected("a non-empty string"));
    }
    let prompt = prompt(object.need("prompt")?)?;
    if let Some(suffix) = object.take("suffix").filter(|suffix| suffix.raw() != "\"\"") {
        return Err(suffix.expected("absent: a chat model does not fill in before a suffix"));
    }
    let echo = object.boolean("echo")?.unwrap_or(false).then(|| prompt.clone());
    let mut unread = Dropped::new();
    unread.note_if(object.unsigned("best_of")?.is_some_and(|best| best > 1), "best_of");
    let stop = object.take("stop").map(|item| match item.is_string() {
        true => Ok(vec![item.string()?]),
        false => item.list()?.into_iter().map(|item| item.string()).collect(),
    });
    let chat = ChatRequest {
        model: name,
        messages: vec![Message::text(Role::User, prompt)],
        max_output_tokens: object.unsigned("max_tokens")?,
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.unsigned("top_k")?,
        seed: object.take("seed").map(|seed| seed.signed()).transpose()?,
        stop: stop.transpose()?.unwrap_or_default(),
        n: object.unsigned("n")?,
        presence_penalty: object.number("presence_penalty")?,
        frequency_penalty: object.number("frequency_penalty")?,
        logprobs: object.unsigned("logprobs")?.map(|top| LogprobsWanted { top: (top > 0).then_some(top) }),
        user: object.string("user")?,
        stream: object.boolean("stream")?.unwrap_or(false),
        include_usage: match object.object("stream_options")? {
            Some(mut options) => options.boolean("include_usage")?.unwrap_or(false),
            None => false,
        },
        // Chat completions know the rest (`logit_bias` ...) by the same names.
        extra: Extra::new(Dialect::OpenAiChat, object.rest()),
        unread,
        ..ChatRequest::default()
    };
    Ok(TextRequest { chat, echo })
}

fn prompt(item: Item<'_>) -> Result<String, DecodeError> {
    const EXPECTED: &str = "one prompt, as a string: a chat model answers one, and takes no token ids";
    if item.is_string() {
        return item.string();
    }
    let wrong = item.expected(EXPECTED);
    match item.list().map_err(|_| wrong.clone())?.as_slice() {
        [one] if one.is_string() => one.string(),
        _ => Err(wrong),
    }
}
