//! A request body that must come at some speed, whoever reads it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// How slow a body may be.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// So long it may take in any case.
    pub grace: Duration,
    /// After that so many bytes a second, on the average since its beginning.
    pub bytes_per_second: u64,
    /// The whole of it, whatever its size.
    pub total: Duration,
}

impl Pace {
    /// When a body of which so much has come is too slow.
    fn due(&self, received: u64) -> Duration {
        let earned = Duration::from_secs_f64(received as f64 / self.bytes_per_second.max(1) as f64);
        self.grace.saturating_add(earned).min(self.total)
    }
}

/// The client sends too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct TooSlow(pub(super) &'static str);

/// Measures while its reader waits, and only then.
pub(super) struct Paced<B> {
    body: B,
    pace: Pace,
    received: u64,
    /// Since the reader first had to wait.
    alarm: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> std::fmt::Debug for Paced<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paced").field("received", &self.received).finish_non_exhaustive()
    }
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, pace: Pace) -> Self {
        Self { body, pace, received: 0, alarm: None }
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<TooSlow> {
        let (pace, received) = (self.pace, self.received);
        let (began, alarm) = self.alarm.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + pace.due(received))))
        });
        loop {
            ready!(alarm.poll_unpin(context));
            let due = *began + pace.due(received);
            if Instant::now() >= due {
                let whole = due == *began + pace.total;
                return Poll::Ready(TooSlow(if whole {
                    "it was not whole within `http.timeouts.body`"
                } else {
                    "fewer than 1024 bytes came a second"
                }));
            }
            alarm.as_mut().reset(due);
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.received += frame.data_ref().map_or(0, Bytes::len) as u64;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_late(context).map(|slow| Some(Err(slow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[test]
    fn slow_is_below_the_rate_after_the_grace() {
        let seconds = Duration::from_secs;
        let pace = Pace { grace: seconds(10), bytes_per_second: 1024, total: seconds(120) };
        for (received, due) in [(0, 10), (1024, 11), (20 * 1024, 30), (110 * 1024, 120), (1 << 40, 120)] {
            assert_eq!(pace.due(received), seconds(due), "{received}");
        }
    }

    /// Pieces of so many bytes, each after so many milliseconds.
    async fn outcome(pace: Pace, pieces: &'static [(u64, usize)]) -> Result<usize, String> {
        let stream = futures_util::stream::iter(pieces).then(|(after, size)| async move {
            tokio::time::sleep(Duration::from_millis(*after)).await;
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; *size])))
        });
        let body = Paced::new(StreamBody::new(Box::pin(stream)), pace);
        body.collect().await.map(|body| body.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_slow_body_ends_and_a_fast_one_does_not() {
        let second = Duration::from_secs(1);
        let pace = Pace { grace: Duration::from_millis(200), bytes_per_second: 1024, total: 60 * second };
        assert_eq!(outcome(pace, &[(0, 10), (50, 10)]).await, Ok(20), "within the grace");
        assert_eq!(outcome(pace, &[(0, 100_000), (400, 1)]).await, Ok(100_001), "what came early counts");
        assert!(outcome(pace, &[(0, 1), (60_000, 1)]).await.unwrap_err().contains("1024 bytes"));
        let trickle: &[(u64, usize)] = &[(20, 1); 100];
        assert!(outcome(pace, trickle).await.is_err(), "a drop now and then is not enough");
        let short = Pace { total: Duration::from_millis(300), ..pace };
        assert!(outcome(short, &[(0, 100_000), (60_000, 1)]).await.unwrap_err().contains("timeouts.body"));
    }
}
