//! What a stream sends: events in order, which of them are tokens, and what it looks like when it breaks.

use bytes::Bytes;

use crate::openai::chat_wire::{Chunks, Event};

#[derive(Debug)]
pub(crate) enum Script {
    /// Written event by event, because these streams are the ones that load tests ask for.
    Chat(Chunks),
    Frames(Frames),
}

/// Events written beforehand.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    frames: Vec<Frame>,
    /// Positions of the first and the last frame with tokens.
    tokens: Option<(usize, usize)>,
    error: Bytes,
    malformed: Bytes,
}

#[derive(Debug)]
struct Frame {
    bytes: Bytes,
    tokens: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) struct Step {
    what: What,
    /// Waits for its time.
    pub(crate) paced: bool,
    /// Tokens that the event carries.
    pub(crate) tokens: u64,
}

#[derive(Debug)]
enum What {
    Chat(Event),
    Frame(usize),
}

impl Script {
    /// What the event after so many sent ones is; `endless` goes on with tokens for ever.
    pub(crate) fn step(&self, sent: u64, endless: bool) -> Option<Step> {
        match self {
            Self::Chat(chunks) => {
                let event = chunks.event(sent, endless)?;
                // The first token came with the first-token latency; a token goes to all choices at once.
                let paced = matches!(event, Event::Token { choice: 0, token } if token > 0);
                let tokens = u64::from(matches!(event, Event::Token { .. }));
                Some(Step { what: What::Chat(event), paced, tokens })
            }
            Self::Frames(frames) => frames.step(usize::try_from(sent).ok()?, endless),
        }
    }

    pub(crate) fn bytes(&self, step: &Step) -> Bytes {
        match (self, &step.what) {
            (Self::Chat(chunks), What::Chat(event)) => chunks.bytes(event),
            (Self::Frames(frames), What::Frame(index)) => {
                frames.frames.get(*index).map(|frame| frame.bytes.clone()).unwrap_or_default()
            }
            // A step is only ever asked of the script that made it.
            _ => Bytes::new(),
        }
    }

    /// The event that tells of an error in the middle of the stream.
    pub(crate) fn error_event(&self) -> Bytes {
        match self {
            Self::Chat(_) => Bytes::from_static(crate::openai::ERROR_EVENT),
            Self::Frames(frames) => frames.error.clone(),
        }
    }

    /// An event in the right framing whose content ends early.
    pub(crate) fn malformed_event(&self) -> Bytes {
        match self {
            Self::Chat(_) => Bytes::from_static(crate::openai::MALFORMED_EVENT),
            Self::Frames(frames) => frames.malformed.clone(),
        }
    }
}

impl Frames {
    pub(crate) fn new(error: impl Into<Bytes>, malformed: impl Into<Bytes>) -> Self {
        Self { error: error.into(), malformed: malformed.into(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: impl Into<Bytes>) {
        self.frames.push(Frame { bytes: bytes.into(), tokens: 0 });
    }

    /// An event that carries a token.
    pub(crate) fn push_token(&mut self, bytes: impl Into<Bytes>) {
        self.push_tokens(1, bytes);
    }

    /// An event that carries so many tokens.
    pub(crate) fn push_tokens(&mut self, tokens: u64, bytes: impl Into<Bytes>) {
        let at = self.frames.len();
        self.tokens = Some((self.tokens.map_or(at, |(first, _)| first), at));
        self.frames.push(Frame { bytes: bytes.into(), tokens });
    }

    fn step(&self, sent: usize, endless: bool) -> Option<Step> {
        let index = match self.tokens {
            Some((_, last)) if endless => sent.min(last),
            _ => sent,
        };
        let frame = self.frames.get(index)?;
        let paced = frame.tokens > 0 && self.tokens.is_some_and(|(first, _)| sent > first);
        Some(Step { what: What::Frame(index), paced, tokens: frame.tokens })
    }
}

/// A server-sent event with a name.
pub(crate) fn named_event(name: &str, data: &serde_json::Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// A server-sent event whose data repeat its name as their `type`.
pub(crate) fn typed_event(name: &str, mut data: serde_json::Value) -> Bytes {
    data["type"] = name.into();
    named_event(name, &data)
}

/// A server-sent event without a name.
pub(crate) fn data_event(data: &serde_json::Value) -> Bytes {
    format!("data: {data}\n\n").into()
}
