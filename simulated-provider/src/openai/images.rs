//! Images: each is the same grey pixel, and costs `TOKENS` completion tokens.

use http::Response;
use serde_json::{Map, Value, json};

use super::{missing, refused};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Context, Head, Incoming, Reset, Usage, Written, serve};
use crate::embedding;
use crate::error::ApiError;
use crate::multipart::Form;
use crate::value::{number, string};

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";
const TOKENS: u64 = 100;
const MOST_IMAGES: u64 = 10;

#[derive(Debug)]
struct Wanted {
    model: String,
    prompt_tokens: u64,
    images: u64,
    as_url: bool,
}

pub(super) async fn generate(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let prompt = string(body.get("prompt"));
    let as_url = string(body.get("response_format")) == "url";
    let images = number(body.get("n")).unwrap_or(1);
    match wanted(string(body.get("model")), prompt, images, as_url) {
        Ok(wanted) => draw(incoming, wanted).await,
        Err(error) => refused(incoming, &error),
    }
}

pub(super) async fn edit(incoming: &Incoming<'_>, deployment: Option<&str>) -> Result<Response<Body>, Reset> {
    let read = Form::read(incoming.headers, incoming.body).and_then(|form| {
        if form.field("image").is_none_or(|image| image.content.is_empty()) {
            return Err(missing("image"));
        }
        let images = form.text("n").and_then(|number| number.parse().ok()).unwrap_or(1);
        let model = deployment.or(form.text("model")).unwrap_or_default();
        wanted(model, form.text("prompt").unwrap_or_default(), images, form.text("response_format") == Some("url"))
    });
    match read {
        Ok(wanted) => draw(incoming, wanted).await,
        Err(error) => refused(incoming, &error),
    }
}

fn wanted(model: &str, prompt: &str, images: u64, as_url: bool) -> Result<Wanted, ApiError> {
    if prompt.is_empty() {
        return Err(missing("prompt"));
    }
    if !(1..=MOST_IMAGES).contains(&images) {
        let message = format!("Invalid 'n': expected a value between 1 and {MOST_IMAGES}, but got {images} instead.");
        return Err(ApiError::invalid(message, Some("n"), Some("integer_out_of_range")));
    }
    let model = if model.is_empty() { "dall-e-2" } else { model }.to_owned();
    Ok(Wanted { model, prompt_tokens: embedding::tokens(prompt), images, as_url })
}

async fn draw(incoming: &Incoming<'_>, wanted: Wanted) -> Result<Response<Body>, Reset> {
    let Wanted { prompt_tokens, images, as_url, .. } = wanted;
    let head = Head { model: wanted.model, shape: Shape::Plain, prompt_tokens };
    let image =
        || if as_url { json!({ "url": "https://example.com/image.png" }) } else { json!({ "b64_json": PIXEL }) };
    serve(incoming, head, |context: &Context<'_>| {
        let data: Vec<Value> = (0..images).map(|_| image()).collect();
        let mut answer = json!({ "created": context.created, "data": data });
        if context.usage != Usage::Absent {
            let (input, output) = (context.usage.told(prompt_tokens), context.usage.told(images * TOKENS));
            answer["usage"] = json!({
                "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
                "input_tokens_details": { "text_tokens": input, "image_tokens": 0 },
            });
        }
        Written::json(images * TOKENS, &answer)
    })
    .await
}
