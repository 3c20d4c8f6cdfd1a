//! A client's socket as the HTTP library sees it: nothing passes that could be read in two ways, no head takes for ever,
//! and nobody keeps an answer without reading it.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::edge::Edge;
use super::error::ApiError;
use super::framing::Framing;
use super::standing::Standing;
use super::written::answer_and_close;

type Alarm = Option<Pin<Box<Sleep>>>;

pub(super) struct ClientIo {
    stream: TcpStream,
    framing: Framing,
    standing: Arc<Standing>,
    edge: Arc<Edge>,
    /// There while a head is waited for that must come soon.
    head_due: Alarm,
    /// There while the client takes nothing.
    write_due: Alarm,
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, standing: Arc<Standing>, edge: Arc<Edge>) -> Self {
        Self { stream, framing: Framing::default(), standing, edge, head_due: None, write_due: None }
    }

    /// Tells the client what is wrong, if it is not in the middle of an answer, and ends the connection.
    fn refuse(&mut self, error: &ApiError) {
        if !self.standing.is_active() && !self.standing.is_h2() {
            let id = self.edge.request_ids.fresh();
            answer_and_close(&self.stream, error, self.framing.form(), &id);
        }
    }

    /// The first head, from the connection's beginning; others, from when their first piece was there.
    fn poll_head_late(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let begun = self.framing.is_in_head();
        if self.standing.has_asked() && (!begun || self.standing.is_active()) {
            self.head_due = None;
            return Poll::Pending;
        }
        let header = self.edge.header;
        let due = self.head_due.get_or_insert_with(|| Box::pin(sleep(header)));
        ready!(due.poll_unpin(context));
        if begun {
            self.refuse(&ApiError::BodySlow("its head was not whole within `http.timeouts.header`"));
        }
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "no request within the header timeout")))
    }

    fn poll_write_late<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let stall = self.edge.write_stall;
        let due = self.write_due.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(due.poll_unpin(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        if io.standing.is_abused() {
            return Poll::Ready(Err(io::Error::new(ErrorKind::ConnectionAborted, "too many requests were taken back")));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut io.stream).poll_read(context, buffer) {
            Poll::Pending => io.poll_head_late(context),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                if let Err(refusal) = io.framing.feed(&buffer.filled()[before..]) {
                    buffer.set_filled(before);
                    io.refuse(&ApiError::Malformed(refusal));
                    return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, refusal)));
                }
                if io.standing.has_asked() && !io.framing.is_in_head() {
                    io.head_due = None;
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let io = self.get_mut();
        match Pin::new(&mut io.stream).poll_write(context, bytes) {
            Poll::Pending => io.poll_write_late(context),
            ready => {
                io.write_due = None;
                ready
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = self.get_mut();
        match Pin::new(&mut io.stream).poll_write_vectored(context, slices) {
            Poll::Pending => io.poll_write_late(context),
            ready => {
                io.write_due = None;
                ready
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
