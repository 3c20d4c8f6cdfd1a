//! Responses, as one call and its answer.
//!
//! What OpenAI keeps between calls is not translated: a request that names an earlier response, a conversation, a stored
//! prompt or an item by its id, that runs in the background or insists on being stored is refused when it is read. Tools
//! that run at OpenAI, and tools of other kinds than functions, are refused by providers of other dialects.
//!
//! What has no field of its own:
//!
//! - Thoughts are reasoning items: their text is the summary, their signature `encrypted_content`, with its origin in
//!   front where it is not OpenAI's. The item's id belongs to OpenAI's signature and travels with it.
//! - What signs a call is an empty reasoning item before it.
//! - Stop sequences, seeds, penalties and `top_k` are dropped and named.
//!
//! Requests to a provider are never stored there.

mod answer_in;
mod answer_out;
mod echo;
mod events;
mod items_in;
mod items_out;
mod open;
mod reasoning;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod usage;

pub use answer_in::decode_answer;
pub use answer_out::{encode_answer, encode_answer_to};
pub use echo::Echo;
pub use request_in::decode_request;
pub use request_out::encode_request;
pub use stream_in::StreamDecoder;
pub use stream_out::StreamEncoder;

pub use super::error::{decode_error, encode_error};

use crate::Dialect;

const HERE: Dialect = Dialect::OpenAiResponses;
