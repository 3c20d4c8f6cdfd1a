//! The classes of failed requests. A claim of "zero failures" rests on this list:
//! an answer counts as done only if none of these holds.

use std::fmt;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Failure {
    /// No connection could be opened.
    Connect,
    /// The connection ended before the answer's head came.
    Reset,
    /// No whole answer within the time allowed.
    Timeout,
    /// An answer with another status than 200.
    Status(u16),
    /// The body ended before its announced length.
    ShortBody,
    /// A 200 whose body is not a chat completion.
    WrongBody,
    /// A stream that carried an error event.
    StreamError,
    /// A stream that ended without `data: [DONE]`.
    StreamCut,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect => f.write_str("connect"),
            Failure::Reset => f.write_str("reset"),
            Failure::Timeout => f.write_str("timeout"),
            Failure::Status(code) => write!(f, "status_{code}"),
            Failure::ShortBody => f.write_str("short_body"),
            Failure::WrongBody => f.write_str("wrong_body"),
            Failure::StreamError => f.write_str("stream_error_event"),
            Failure::StreamCut => f.write_str("stream_without_done"),
        }
    }
}
