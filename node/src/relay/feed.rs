//! The bytes of an upstream's stream on their way into its reader; and the gate that holds a stream until it has output,
//! so that a provider that fails before is as one that never answered.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use peerway_dialect::Dropped;
use peerway_dialect::canonical::StreamEvent;
use tokio::time::{Instant, timeout_at};

use super::outlet::{Broken, Outlet, Piece};
use super::{Facts, Reader};
use crate::governance::Reason;
use crate::provider::{Body, BodyError, Timeout, Upstream};

const MAX_STREAM: u64 = 256 << 20;
/// More is not held for output: whoever sends so much has begun to answer.
const MAX_HELD: u64 = 1 << 20;

/// A stream that comes in.
#[derive(Debug)]
pub struct Feed {
    upstream: Option<Body>,
    reader: Reader,
    outlet: Outlet,
    received: u64,
}

impl Feed {
    pub fn new(upstream: Body, reader: Reader) -> Self {
        Self { upstream: Some(upstream), reader, outlet: Outlet::default(), received: 0 }
    }

    /// A stream that is there already: of an answer that came in one piece.
    pub fn whole(events: Vec<StreamEvent>, mut reader: Reader) -> Self {
        let mut outlet = Outlet::default();
        reader.say(events, &mut outlet);
        Self { upstream: None, reader, outlet, received: 0 }
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn facts(&self) -> &Facts {
        &self.outlet.facts
    }

    pub fn broken(&self) -> Option<&Broken> {
        self.outlet.broken.as_ref()
    }

    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        self.outlet.pieces.pop_front()
    }

    pub(super) fn forget_pieces(&mut self) {
        self.outlet.pieces.clear();
    }

    pub(super) fn tell(&mut self, broken: &Broken) -> Bytes {
        self.reader.tell(broken)
    }

    /// The upstream has more to say, or may have.
    pub fn is_open(&self) -> bool {
        self.upstream.is_some()
    }

    /// Hears no more of the upstream.
    pub fn close(&mut self) {
        self.upstream = None;
    }

    /// The stream broke off; hears no more of the upstream.
    pub(super) fn lost(&mut self, why: &str, reason: Reason) {
        if !self.outlet.facts.done {
            self.outlet.break_off(Broken::off(why, reason));
        }
        self.close();
    }

    /// What has come may not be handed on.
    pub(super) fn refuse(&mut self, why: String) {
        self.outlet.pieces.clear();
        self.outlet.refuse(why);
        self.close();
    }

    /// Reads what the upstream sends next, if it is there.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(()) };
        match ready!(std::pin::Pin::new(upstream).poll_frame(context)) {
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    self.received += piece.len() as u64;
                    if self.received > MAX_STREAM {
                        self.lost("the stream is longer than the gateway relays", Reason::Malformed);
                        return Poll::Ready(());
                    }
                    self.reader.push(piece, &mut self.outlet);
                    if self.outlet.broken.as_ref().is_some_and(|broken| !broken.goes_on) {
                        self.close();
                    }
                }
            }
            Some(Err(BodyError::Transport(_))) => self.lost("the connection to the upstream was lost", Reason::Cut),
            Some(Err(error)) => self.lost(&error.to_string(), Reason::Malformed),
            None => {
                self.reader.end(&mut self.outlet);
                self.close();
            }
        }
        Poll::Ready(())
    }

    /// What the provider has said so far and the client's dialect has no words for.
    pub fn unread(&self) -> Option<&Dropped> {
        self.reader.unread()
    }

    /// Holds the stream until there is output, an end, or more than is held. An upstream that says nothing for its idle
    /// timeout has failed; one that keeps saying things without output is let through after its first-byte timeout. At
    /// `deadline` nobody waits any more.
    pub async fn open(&mut self, upstream: &Upstream, deadline: Option<Instant>) -> Result<(), Broken> {
        let until = Instant::now() + upstream.first_byte;
        loop {
            if let Some(broken) = &self.outlet.broken {
                return Err(broken.clone());
            }
            let facts = &self.outlet.facts;
            let has_begun = facts.has_output || facts.is_finished() || facts.done;
            if has_begun || self.upstream.is_none() || self.received > MAX_HELD {
                return Ok(());
            }
            let now = Instant::now();
            if now >= until && self.received > 0 {
                return Ok(());
            }
            let quiet = now + upstream.idle;
            let wake = deadline.map_or(quiet, |deadline| quiet.min(deadline));
            if timeout_at(wake, std::future::poll_fn(|context| self.poll_more(context))).await.is_err() {
                let why = match wake == quiet {
                    true => upstream.late(Timeout::Idle).to_string(),
                    false => "it had not begun to answer when the client's own timeout passed".to_owned(),
                };
                self.lost(&why, Reason::Deadline);
            }
        }
    }
}
