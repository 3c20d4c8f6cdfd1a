//! Response bodies: whole, streamed, and the broken ones.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::stream::{EndlessText, EventStream};

/// The body ends here, and with it the connection, because a rule says so.
#[derive(Debug, thiserror::Error)]
#[error("cut by a fault rule")]
pub(crate) struct Cut;

#[derive(Debug)]
pub(crate) enum Body {
    Whole(Bytes),
    Stream(Box<EventStream>),
    Endless(Box<EndlessText>),
    /// These bytes and then the connection's end.
    Broken(Bytes, Flushed),
    Slow(Box<Slow>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    No,
    Yes,
}

/// Another body, byte by byte.
#[derive(Debug)]
pub(crate) struct Slow {
    inner: Body,
    rest: Bytes,
    gap: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(crate) fn broken(bytes: Bytes) -> Self {
        Self::Broken(bytes, Flushed::No)
    }

    pub(crate) fn slow(inner: Self, gap: Duration) -> Self {
        Self::Slow(Box::new(Slow { inner, rest: Bytes::new(), gap, waiting: None }))
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Self::Stream(stream) => stream.poll_event(cx),
            Self::Endless(text) => text.poll_text(cx),
            Self::Broken(bytes, _) if !bytes.is_empty() => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Self::Broken(_, flushed @ Flushed::No) => {
                // Hyper drops what it has not written when a body fails; a pause lets it write first.
                *flushed = Flushed::Yes;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Broken(..) => Poll::Ready(Some(Err(Cut))),
            Self::Slow(slow) => slow.poll_byte(cx),
        }
    }
}

impl Slow {
    fn poll_byte(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if let Some(sleep) = &mut self.waiting {
            ready!(sleep.as_mut().poll(cx));
            self.waiting = None;
        }
        while self.rest.is_empty() {
            match ready!(self.inner.poll_bytes(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        let byte = self.rest.slice(..1);
        self.rest.advance(1);
        self.waiting = Some(Box::pin(tokio::time::sleep(self.gap)));
        Poll::Ready(Some(Ok(byte)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.get_mut().poll_bytes(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
