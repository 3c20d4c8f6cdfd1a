//! An answer for a client.

use crate::canonical::{ChatAnswer, StreamEvent, replay};

use super::Echo;
use super::stream_out::StreamEncoder;

/// The body of a response to a request of which nothing is known.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    encode_answer_to(answer, Echo::default())
}

/// The body of a response: what a stream of the same answer says in its last event.
pub fn encode_answer_to(answer: &ChatAnswer, echo: Echo) -> Vec<u8> {
    let encoder = StreamEncoder::new(echo);
    let mut events = replay(answer);
    // A response tells how likely its tokens were beside its text.
    let text = events.iter().position(|event| matches!(event, StreamEvent::TextDelta { choice: 0, .. }));
    let logprobs = events.iter().position(|event| matches!(event, StreamEvent::Logprobs { choice: 0, .. }));
    if let (Some(text), Some(logprobs)) = (text, logprobs) {
        let logprobs = events.remove(logprobs);
        events.insert(text + 1, logprobs);
    }
    encoder.into_response(&events)
}
