//! From the bytes of an upstream's stream to the pieces of its client's: a function of what has come so far.
//!
//! - Client and provider speak OpenAI's chat or text completions: events are scanned and passed on.
//! - They speak one other dialect: events are passed on as they are, and a decoder reads beside.
//! - They speak two dialects: what the decoder reads goes through an encoder.

use bytes::Bytes;
use peerway_dialect::canonical::{Failure, StreamEvent};
use peerway_dialect::{Dialect, Dropped};

use super::frame::FrameCutter;
use super::outlet::{Broken, Naming, Outlet, PieceKind};
use super::{EventCutter, EventTooLarge};
use crate::dialect::openai::{Answer, Event, count_chunk, count_text_chunk};
use crate::dialect::{Decoder, Encoder, Manner, codec};
use crate::governance::Reason;
use crate::http::scrub;

/// Images in answers stay below.
const MAX_EVENT: usize = 16 << 20;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    client: Dialect,
    cutter: Cutter,
    way: Way,
}

#[derive(Debug)]
enum Cutter {
    Events(EventCutter),
    Frames(FrameCutter),
}

#[derive(Debug)]
enum Way {
    Scan,
    Beside { decoder: Decoder, manner: Manner, events: Vec<StreamEvent> },
    Translate { decoder: Decoder, encoder: Box<Encoder>, naming: Naming, events: Vec<StreamEvent> },
}

impl Reader {
    /// Bytes of a provider that speaks the client's dialect, in the form that the client wants.
    pub fn passing(dialect: Dialect, manner: Manner) -> Self {
        let way = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiCompletions => Way::Scan,
            _ => Way::Beside { decoder: Decoder::new(dialect), manner, events: Vec::new() },
        };
        Self { client: dialect, cutter: Cutter::of(dialect), way }
    }

    /// A provider's stream in a client's words.
    pub fn translating(provider: Dialect, client: Dialect, manner: Manner, naming: Naming) -> Self {
        let encoder = Box::new(Encoder::new(client, manner));
        let way = Way::Translate { decoder: Decoder::new(provider), encoder, naming, events: Vec::new() };
        Self { client, cutter: Cutter::of(provider), way }
    }

    pub fn push(&mut self, piece: Bytes, out: &mut Outlet) {
        self.cutter.push(piece);
        loop {
            match self.cutter.next() {
                Ok(Some(event)) => self.event(event, out),
                Ok(None) => return,
                Err(error) => return out.break_off(Broken::off(&error.to_string(), Reason::Malformed)),
            }
            if out.broken.as_ref().is_some_and(|broken| !broken.goes_on) {
                return;
            }
        }
    }

    /// Puts out what the provider has said in another way than by a stream.
    pub fn say(&mut self, mut said: Vec<StreamEvent>, out: &mut Outlet) {
        out.facts.decoded(&said);
        let Way::Translate { encoder, naming, .. } = &mut self.way else { return };
        let mut bytes = Vec::new();
        for event in &mut said {
            naming.fill(event);
            encoder.push(event, &mut bytes);
        }
        put_out(self.client, bytes, out);
    }

    /// The upstream's body has ended without an error of the transport.
    pub fn end(&mut self, out: &mut Outlet) {
        if out.facts.done || out.broken.is_some() {
            return;
        }
        if let Some(object) = self.cutter.bare_object() {
            self.decoded(Some(object), out);
            if out.broken.is_some() {
                return;
            }
        }
        // Of an event that the end cuts short nobody knows what it would have said.
        let mut is_whole = !self.cutter.has_rest();
        match &mut self.way {
            // Some servers leave `[DONE]` out; a finish reason says as well that the answer is whole.
            Way::Scan => is_whole &= out.facts.is_finished(),
            Way::Beside { .. } | Way::Translate { .. } if is_whole => {
                self.decoded(None, out);
                is_whole = out.facts.done || out.broken.is_some();
            }
            Way::Beside { .. } | Way::Translate { .. } => {}
        }
        if !is_whole {
            out.break_off(Broken::off("the upstream ended the stream before it was finished", Reason::Cut));
        }
    }

    /// The event that tells the client that its stream broke. Without it clients would end quietly, as if all was well.
    pub fn tell(&mut self, broken: &Broken) -> Bytes {
        if let Some(told) = &broken.told {
            return told.clone();
        }
        let mut bytes = Vec::new();
        let event = StreamEvent::Error(broken.failure.clone());
        match &mut self.way {
            Way::Scan => Encoder::new(self.client, Manner::default()).push(&event, &mut bytes),
            Way::Beside { manner, .. } => Encoder::new(self.client, manner.clone()).push(&event, &mut bytes),
            Way::Translate { encoder, .. } => encoder.push(&event, &mut bytes),
        }
        bytes.into()
    }

    /// What the provider has said so far and the client's dialect has no words for.
    pub fn unread(&self) -> Option<&Dropped> {
        match &self.way {
            Way::Translate { decoder, .. } => Some(decoder.unread()),
            Way::Scan | Way::Beside { .. } => None,
        }
    }

    fn event(&mut self, event: Bytes, out: &mut Outlet) {
        if out.facts.done {
            return;
        }
        match self.way {
            Way::Scan => self.scan(event, out),
            Way::Beside { .. } | Way::Translate { .. } => self.decoded(Some(event), out),
        }
    }

    fn scan(&mut self, event: Bytes, out: &mut Outlet) {
        match Event::read(&event) {
            Event::Comment => out.piece(event, PieceKind::Comment),
            Event::Malformed => out.break_off(Broken {
                goes_on: true,
                ..Broken::off("the upstream sent an event that is not JSON", Reason::Malformed)
            }),
            Event::Error(said) => {
                let failure = codec::decode_error(self.client, 502, &http::HeaderMap::new(), said.as_bytes());
                if let Some(usage) = Answer::read(said.as_bytes()).and_then(|answer| answer.usage) {
                    out.facts.usage = Some(usage);
                }
                out.break_off(Broken { told: Some(scrub::body(event)), ..Broken::told(failure) });
            }
            Event::Done => {
                out.facts.done = true;
                out.piece(event, PieceKind::Event);
            }
            Event::Chunk(found) => {
                if self.client == Dialect::OpenAiCompletions {
                    count_text_chunk(&event, &mut out.facts.written);
                } else {
                    count_chunk(&event, &mut out.facts.written);
                }
                out.facts.scanned(&found);
                out.piece(event, if found.only_usage { PieceKind::Usage } else { PieceKind::Event });
            }
        }
    }

    /// Reads an event, or the connection's end.
    fn decoded(&mut self, event: Option<Bytes>, out: &mut Outlet) {
        let (decoder, events) = match &mut self.way {
            Way::Scan => return,
            Way::Beside { decoder, events, .. } | Way::Translate { decoder, events, .. } => (decoder, events),
        };
        events.clear();
        match &event {
            Some(event) => decoder.push(event, events),
            None => decoder.end(events),
        }
        out.facts.decoded(events);
        let failure = events.iter().find_map(|event| match event {
            StreamEvent::Error(failure) => Some(failure.clone()),
            _ => None,
        });
        match &mut self.way {
            Way::Scan => {}
            Way::Beside { .. } => {
                if let Some(event) = event.filter(|_| failure.is_none()) {
                    let kind = if event.starts_with(b":") { PieceKind::Comment } else { PieceKind::Event };
                    out.piece(event, kind);
                }
            }
            Way::Translate { encoder, naming, events, .. } => {
                let mut bytes = Vec::new();
                for event in events.iter_mut().filter(|event| !matches!(event, StreamEvent::Error(_))) {
                    naming.fill(event);
                    encoder.push(event, &mut bytes);
                }
                put_out(self.client, bytes, out);
            }
        }
        if let Some(failure) = failure {
            out.break_off(broken_by(failure));
        }
    }
}

/// A decoder's own words for streams that end too early or cannot be read, with the reason for their cost.
fn broken_by(failure: Failure) -> Broken {
    let reason = if failure == Failure::cut() { Reason::Cut } else { Reason::Malformed };
    if failure.is_of_upstream() { Broken { reason, ..Broken::told(failure) } } else { Broken::told(failure) }
}

/// Events of OpenAI's are put out one by one, as the cache records them and usage is told apart; others as they come.
fn put_out(client: Dialect, bytes: Vec<u8>, out: &mut Outlet) {
    let mut rest = Bytes::from(bytes);
    if client == Dialect::OpenAiChat {
        while let Some(end) = memchr::memmem::find(&rest, b"\n\n") {
            let event = rest.split_to(end + 2);
            let is_usage =
                out.facts.is_finished() && matches!(Event::read(&event), Event::Chunk(found) if found.only_usage);
            out.piece(event, if is_usage { PieceKind::Usage } else { PieceKind::Event });
        }
    }
    out.piece(rest, PieceKind::Event);
}

impl Cutter {
    fn of(provider: Dialect) -> Self {
        match provider {
            Dialect::Bedrock => Self::Frames(FrameCutter::new(MAX_EVENT + (10 << 20))),
            _ => Self::Events(EventCutter::new(MAX_EVENT)),
        }
    }

    fn push(&mut self, piece: Bytes) {
        match self {
            Self::Events(cutter) => cutter.push(piece),
            Self::Frames(cutter) => cutter.push(&piece),
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>, EventTooLarge> {
        match self {
            Self::Events(cutter) => cutter.next_event(),
            Self::Frames(cutter) => cutter.next_frame(),
        }
    }

    /// What is left at the end, if it begins as an object: so Google's front ends tell an error, and no blank line ends it.
    fn bare_object(&self) -> Option<Bytes> {
        match self {
            Self::Events(cutter) if cutter.rest().starts_with(b"{") => Some(Bytes::copy_from_slice(cutter.rest())),
            _ => None,
        }
    }

    fn has_rest(&self) -> bool {
        match self {
            Self::Events(cutter) => !cutter.rest().is_empty(),
            Self::Frames(cutter) => cutter.has_rest(),
        }
    }
}
