//! What a request other than a chat may take: upper bounds, for its reservation and for answers that do not say.

use bytes::Bytes;
use peerway_dialect::Dialect;

use crate::governance::account::Asked;
use crate::governance::{Estimate, EstimateError};
use crate::operation::Operation;
use crate::surface::{Call, Form};

/// Bytes of compressed sound for a token: 8 kbit/s, which no codec in use is below, at ten tokens a second.
pub(super) const SOUND_BYTES: u64 = 100;
/// Tokens of sound for a token of text: English has 15 letters a second, which are estimated at 5 tokens and heard as 20;
/// four times that, as it may be spoken at a quarter of the speed.
const SPOKEN: u64 = 16;
const IMAGE: u64 = 2_000;
/// Besides what it holds.
const REQUEST: u64 = 8;

/// A body that is no form is only read for it if somebody asks.
pub(super) fn of(call: &Call, body: &Bytes, form: Option<&Form>, default_output: u64) -> Asked {
    let has_output = matches!(
        call.operation,
        Operation::ImageGenerations | Operation::ImageEdits | Operation::Transcriptions | Operation::Translations
    );
    let asked = match form {
        Some(form) => Asked::estimated(of_form(call.operation, form), default_output),
        None if call.operation.is_free() => Asked::estimated(Estimate::of_prompt(0), default_output),
        // All of it as text: no member of it is one that the estimate of a chat would know otherwise.
        None => Asked::new(Dialect::OpenAiChat, body.clone(), default_output),
    };
    // The length of these answers is not the gateway's to bound; that of what is spoken follows from its text.
    let output = match call.operation {
        Operation::Speech => asked.estimate().prompt_tokens.saturating_mul(SPOKEN),
        _ if has_output => default_output,
        _ => 0,
    };
    asked.with_output(output)
}

fn of_form(operation: Operation, form: &Form) -> Estimate {
    let files = match operation {
        Operation::ImageEdits => form.files.saturating_mul(IMAGE),
        _ => form.file_bytes.div_ceil(SOUND_BYTES),
    };
    let prompt_tokens = REQUEST.saturating_add(form.text_bytes).saturating_add(files);
    Estimate { choices: form.n.max(1), ..Estimate::of_prompt(prompt_tokens) }
}

/// The most tokens that the prompt of a count can have.
pub(super) fn estimate(call: &Call, body: &Bytes) -> Result<u64, EstimateError> {
    Estimate::read(call.dialect, body).map(|estimate| estimate.prompt_tokens)
}
