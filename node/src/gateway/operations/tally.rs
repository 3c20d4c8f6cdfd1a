//! What an answer that goes on as it comes has taken, as far as it has come.

use bytes::Bytes;
use http::HeaderMap;

use super::asked::SOUND_BYTES;
use super::usage;
use crate::dialect::openai::{Usage, event_data};
use crate::gateway::headers::{is_events, is_of_type};
use crate::governance::{Account, Reason, Written};
use crate::operation::Operation;
use crate::relay::EventCutter;

/// Longer events are not kept to be read. The last event of an image holds all of it, and its usage.
const LONGEST_EVENT: usize = 16 << 20;
/// Bytes of samples, which no codec has made fewer, for a token: at 8 kHz in 16 bits, at twenty tokens a second.
const SAMPLE_BYTES: u64 = 800;
const SAMPLES: [&str; 4] = ["audio/pcm", "audio/wav", "audio/x-wav", "audio/l16"];

#[derive(Debug)]
pub(super) enum Tally {
    Events(Events),
    /// Sound, of which so many bytes are a token or less.
    Sound {
        bytes: u64,
        a_token: u64,
    },
}

impl Tally {
    pub(super) fn of(operation: Operation, headers: &HeaderMap) -> Self {
        if is_events(headers) {
            return Self::Events(Events::of(operation));
        }
        let is_samples = SAMPLES.iter().any(|samples| is_of_type(headers, samples));
        Self::Sound { bytes: 0, a_token: if is_samples { SAMPLE_BYTES } else { SOUND_BYTES } }
    }

    pub(super) fn take(&mut self, piece: Bytes) {
        match self {
            Self::Events(events) => events.take(piece),
            Self::Sound { bytes, .. } => *bytes = bytes.saturating_add(piece.len() as u64),
        }
    }

    /// No more will come.
    pub(super) fn end(&mut self) {
        if let Self::Events(events) = self {
            events.end();
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Events(events) => events.usage,
            Self::Sound { .. } => None,
        }
    }

    pub(super) fn charge(&self, account: &mut Account, reason: Reason) {
        match self {
            Self::Events(events) => events.charge(account, reason),
            Self::Sound { bytes, a_token } => account.sounded(bytes.div_ceil(*a_token), reason),
        }
    }
}

/// What the events have said so far.
#[derive(Debug)]
pub(super) struct Events {
    /// Gone from the event on that is longer than is held: nobody knows what it said.
    cutter: Option<EventCutter>,
    /// What an image or a sound is made of is not text.
    is_text: bool,
    usage: Option<Usage>,
    written: Written,
}

impl Events {
    fn of(operation: Operation) -> Self {
        let is_text = !matches!(operation, Operation::ImageGenerations | Operation::ImageEdits | Operation::Speech);
        let cutter = Some(EventCutter::new(LONGEST_EVENT));
        Self { cutter, is_text, usage: None, written: Written::default() }
    }

    fn take(&mut self, piece: Bytes) {
        let Some(mut cutter) = self.cutter.take() else { return };
        cutter.push(piece);
        loop {
            match cutter.next_event() {
                Ok(Some(event)) => self.event(&event),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        self.cutter = Some(cutter);
    }

    /// Some servers leave out the blank line behind the last event; and of one that was cut short, what has come was
    /// written.
    fn end(&mut self) {
        if let Some(cutter) = self.cutter.take() {
            self.event(cutter.rest());
            self.cutter = Some(cutter);
        }
    }

    fn event(&mut self, event: &[u8]) {
        let Some(data) = event_data(event) else { return };
        self.usage = usage::stated(data).or(self.usage);
        if self.is_text {
            self.written.text(&String::from_utf8_lossy(data));
        }
    }

    fn charge(&self, account: &mut Account, reason: Reason) {
        match &self.usage {
            Some(usage) => account.stated(usage),
            None if self.is_text && self.cutter.is_some() => account.counted(&self.written, None, reason),
            None => account.worst_case(&self.written, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"some words\"}\r\n\r\n\
        data: {\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":7,\"output_tokens\":2}}";

    fn events(operation: Operation, pieces: &[&str]) -> Events {
        let mut events = Events::of(operation);
        for piece in pieces {
            events.take(Bytes::copy_from_slice(piece.as_bytes()));
        }
        events.end();
        events
    }

    #[test]
    fn the_last_event_counts_however_it_ends_and_wherever_it_is_cut() {
        for ending in ["\n\n", "\r\r", "\n", ""] {
            let whole = format!("{EVENTS}{ending}");
            for at in 0..=whole.len() {
                let told = events(Operation::Transcriptions, &[&whole[..at], &whole[at..]]);
                let usage = told.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
                assert_eq!(usage, Some((7, 2)), "cut at {at} before {ending:?}");
            }
        }
    }

    #[test]
    fn what_broke_off_was_written() {
        let event = "data: {\"delta\":\"a long word";
        let told = events(Operation::Transcriptions, &[event]);
        assert!(told.usage.is_none() && told.written.tokens() > 0);
    }

    #[test]
    fn an_image_is_not_text() {
        let event = "data: {\"b64_json\":\"aaaa\",\"usage\":{\"input_tokens\":7,\"output_tokens\":2}}\n\n";
        let told = events(Operation::ImageEdits, &[event]);
        assert_eq!((told.written.tokens(), told.usage.unwrap().completion_tokens), (0, 2));
    }
}
