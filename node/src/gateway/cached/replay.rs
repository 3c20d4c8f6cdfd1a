//! An entry in the form that the client asked for.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::StreamBody;
use peerway_cache::{Recorded, Unreadable};

use crate::dialect::openai::{self, Event, Replay};

/// Why an entry cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum NotReplayed {
    Unreadable(#[from] Unreadable),
    Form(#[from] openai::ReplayError),
}

pub(super) fn replayed(recorded: &Recorded, replay: Replay) -> Result<Response, NotReplayed> {
    Ok(match (&*recorded.opened()?, replay) {
        (Recorded::Plain { body }, Replay::Plain) => plain(body.clone()),
        (Recorded::Stream { events }, Replay::Plain) => {
            plain(openai::plain_from_events(events.iter().map(|event| event.bytes.as_ref()))?)
        }
        (Recorded::Plain { body }, Replay::Stream { include_usage }) => {
            events(openai::stream_from_plain(body, include_usage)?)
        }
        (Recorded::Stream { events: recorded }, Replay::Stream { include_usage }) => {
            let wanted = |event: &Bytes| is_wanted(event, include_usage);
            events(recorded.iter().map(|event| event.bytes.clone()).filter(wanted).collect())
        }
        // Opened, it is not.
        (Recorded::Compressed(_), _) => return Err(Unreadable.into()),
    })
}

fn plain(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The event that only carries the usage is for those who asked for it.
pub(super) fn is_wanted(event: &[u8], include_usage: bool) -> bool {
    include_usage || !matches!(Event::read(event), Event::Chunk(facts) if facts.only_usage)
}

fn events(events: Vec<Bytes>) -> Response {
    streamed(stream::iter(events))
}

/// A response of events as they come.
pub(super) fn streamed(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let frames = events.map(|event| Ok::<_, Infallible>(Frame::data(event)));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
