//! What answers hold beyond a chat, named alike whether they come whole or in a stream.

use crate::Dropped;
use crate::json::{Item, Object};

/// Search results and citations beside the choices (Perplexity).
pub(super) fn note_of_answer(answer: &mut Object<'_>, unread: &mut Dropped) {
    for key in ["citations", "images", "search_results", "related_questions", "videos"] {
        unread.note_if(answer.take(key).is_some_and(|item| says_something(&item)), key);
    }
}

/// What a message, or a delta of it, cannot hand on.
pub(super) fn note_of_message(message: &mut Object<'_>, name: &'static str, unread: &mut Dropped) {
    for key in ["annotations", "audio", "citations", "function_call", "images"] {
        if message.take(key).is_some_and(|item| says_something(&item)) {
            unread.note(format!("choices.{name}.{key}"));
        }
    }
    // OpenRouter repeats the words of `reasoning` here; what it has alone are the proofs that go with them.
    let details = message.take("reasoning_details").and_then(|details| details.list().ok()).unwrap_or_default();
    let proves = |item: Item<'_>| item.object().is_ok_and(|detail| detail.has("signature") || detail.has("data"));
    if details.into_iter().any(proves) {
        unread.note(format!("choices.{name}.reasoning_details"));
    }
}

/// An empty list is how servers say that there is none.
fn says_something(item: &Item<'_>) -> bool {
    !matches!(item.raw().trim_ascii(), "[]" | "{}" | "\"\"" | "false")
}
