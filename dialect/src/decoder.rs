//! What the decoders of all streams do alike: bytes cut anywhere become pieces, pieces become events, and there is one end.

use std::fmt::{Debug, Display};
use std::ops::ControlFlow;

use crate::Dropped;
use crate::canonical::{Failure, StreamEvent};

/// Cuts bytes into the pieces of a stream: its events, objects or messages.
pub trait Cutter: Debug + Default {
    type Piece;
    type Error: Display;

    /// Takes the next bytes and calls `piece` for each piece that they complete. After an error nothing more comes.
    fn push(&mut self, bytes: &[u8], piece: impl FnMut(Self::Piece)) -> Result<(), Self::Error>;

    /// Whether bytes of an unfinished piece are held.
    fn is_midway(&self) -> bool;
}

/// Reads the pieces of one dialect's stream.
pub trait Reader: Debug + Default {
    type Cutter: Cutter;

    /// Appends what a piece says to `out`, and notes in `unread` what it holds beyond. `Break` is the stream's proper end.
    fn read(
        &mut self,
        piece: <Self::Cutter as Cutter>::Piece,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<ControlFlow<()>, Failure>;

    /// Whether the stream may end with its connection; `midway` if an unfinished piece is left.
    fn may_end(&self, midway: bool) -> bool;

    /// What is told only when nothing can come after it, right before [`StreamEvent::Done`].
    fn last(&mut self, _out: &mut Vec<StreamEvent>) {}
}

/// A provider's stream: bytes in, events out, the last of them [`StreamEvent::Done`] or [`StreamEvent::Error`].
#[derive(Debug, Default)]
pub struct Decoder<R: Reader> {
    cutter: R::Cutter,
    reader: R,
    unread: Dropped,
    started: bool,
    over: bool,
}

impl<R: Reader> Decoder<R> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, cut anywhere. What comes after the end is nothing.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        let Self { cutter, reader, unread, started, .. } = self;
        let mut end = None;
        let cut = cutter.push(bytes, |piece| {
            if end.is_some() {
                return;
            }
            let from = out.len();
            match reader.read(piece, out, unread) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => end = Some(Ok(())),
                Err(failure) => end = Some(Err(failure)),
            }
            begin(started, from, out);
        });
        match (end, cut) {
            (Some(end), _) => self.over(end, out),
            (None, Err(error)) => self.over(Err(Failure::malformed(error)), out),
            (None, Ok(())) => {}
        }
    }

    /// The connection has ended.
    pub fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over {
            let whole = self.reader.may_end(self.cutter.is_midway());
            self.over(if whole { Ok(()) } else { Err(Failure::cut()) }, out);
        }
    }

    /// What the stream held so far that no event can tell (citations, generated media ...), by its names: what
    /// [`crate::canonical::ChatAnswer::unread`] is for a whole answer.
    pub const fn unread(&self) -> &Dropped {
        &self.unread
    }

    fn over(&mut self, end: Result<(), Failure>, out: &mut Vec<StreamEvent>) {
        self.over = true;
        match end {
            Ok(()) => {
                self.reader.last(out);
                out.push(StreamEvent::Done);
            }
            Err(failure) => out.push(StreamEvent::Error(failure)),
        }
    }
}

/// Whatever a stream says first, it is told that it starts, and once.
fn begin(started: &mut bool, from: usize, out: &mut Vec<StreamEvent>) {
    let is_start = |event: &StreamEvent| matches!(event, StreamEvent::Start { .. });
    if out.len() == from {
        return;
    }
    let keep = usize::from(!*started && is_start(&out[from]));
    let mut at = 0;
    out.retain(|event| {
        at += 1;
        at <= from + keep || !is_start(event)
    });
    if !std::mem::replace(started, true) && keep == 0 {
        out.insert(from, StreamEvent::Start { id: String::new(), model: String::new(), created: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{anthropic, openai};

    #[test]
    fn a_stream_that_does_not_say_so_starts_all_the_same() {
        let mut events = Vec::new();
        let text = r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"hi"}"#;
        let late = r#"data: {"type":"response.completed","response":{"id":"r","model":"m","status":"completed"}}"#;
        let mut decoder = openai::responses::StreamDecoder::new();
        decoder.push(format!("{text}\n\n{late}\n\n").as_bytes(), &mut events);
        assert!(matches!(&events[..2], [StreamEvent::Start { .. }, StreamEvent::TextDelta { .. }]), "{events:?}");
        assert_eq!(events.iter().filter(|event| matches!(event, StreamEvent::Start { .. })).count(), 1);
        let mut events = Vec::new();
        let block = r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"hi"}}"#;
        anthropic::StreamDecoder::new().push(format!("{block}\n\n").as_bytes(), &mut events);
        assert!(matches!(events[0], StreamEvent::Start { .. }), "{events:?}");
    }
}
