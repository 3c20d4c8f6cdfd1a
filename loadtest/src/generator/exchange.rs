//! One request and its answer, read to the end and judged.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::connection::Connections;
use crate::failure::Failure;
use crate::mix::Ask;
use crate::sse::StreamWatch;

/// What came of a request.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When the first output of a stream came.
    pub(super) first: Option<Instant>,
    pub(super) events: u64,
    /// How long each stamped event was on its way.
    pub(super) on_the_way: Vec<Duration>,
    pub(super) told: Told,
}

/// What an answer's headers tell of the way it took through a gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How many calls were made for it.
    pub(crate) attempts: u32,
    /// Whose answer it is.
    pub(crate) provider: Option<HeaderValue>,
}

impl Told {
    fn of(headers: &HeaderMap) -> Told {
        let attempts = headers.get("x-peerway-attempts").and_then(|value| value.to_str().ok()?.parse().ok());
        Told { attempts: attempts.unwrap_or(0), provider: headers.get("x-peerway-provider").cloned() }
    }
}

/// Sends `ask` and reads the answer; `seen` is filled as it comes.
pub(super) async fn exchange(connections: &Connections, ask: Ask, seen: &mut Seen) -> Result<(), Failure> {
    let target = connections.target();
    let mut request = Request::new(Full::new(ask.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.clone();
    *request.headers_mut() = ask.headers;
    request.headers_mut().insert(header::HOST, target.host.clone());
    let (response, connection) = connections.send(request).await?;
    seen.told = Told::of(response.headers());
    let status = response.status().as_u16();
    let mut body = response.into_body();
    if status != 200 {
        // Read to the end, so that the connection can be used again.
        let drained = drain(&mut body).await;
        if drained.is_ok() {
            connections.give_back(connection);
        }
        return Err(Failure::Status(status));
    }
    let judged = if ask.stream { stream(&mut body, seen).await } else { plain(&mut body).await };
    if body.is_end_stream() {
        connections.give_back(connection);
    }
    judged
}

async fn drain(body: &mut Incoming) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Failure::ShortBody)?;
    }
    Ok(())
}

async fn plain(body: &mut Incoming) -> Result<(), Failure> {
    // A chat completion begins and ends as a JSON object and has `choices`; parsing
    // it whole would cost more than sending it.
    let (mut first, mut last, mut choices) = (None, None, false);
    let mut tail = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Failure::ShortBody)?.into_data() else { continue };
        first = first.or_else(|| data.trim_ascii_start().first().copied());
        last = data.trim_ascii_end().last().copied().or(last);
        choices = choices || memchr::memmem::find(&data, CHOICES).is_some() || across(&mut tail, &data);
    }
    if (first, last, choices) == (Some(b'{'), Some(b'}'), true) { Ok(()) } else { Err(Failure::WrongBody) }
}

const CHOICES: &[u8] = b"\"choices\"";

/// Whether the word lies across the border of two chunks; keeps the end for the next one.
fn across(tail: &mut Vec<u8>, data: &[u8]) -> bool {
    tail.extend_from_slice(&data[..data.len().min(CHOICES.len() - 1)]);
    let found = memchr::memmem::find(tail, CHOICES).is_some();
    if data.len() >= CHOICES.len() - 1 {
        tail.clear();
        tail.extend_from_slice(&data[data.len() + 1 - CHOICES.len()..]);
    }
    let surplus = tail.len().saturating_sub(CHOICES.len() - 1);
    tail.drain(..surplus);
    found
}

async fn stream(body: &mut Incoming, seen: &mut Seen) -> Result<(), Failure> {
    let mut watch = StreamWatch::default();
    let mut first_event = None;
    let mut whole = Ok(());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            whole = Err(Failure::StreamCut);
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        watch.feed(&data);
        if !watch.sent_us.is_empty() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let sent = watch.sent_us.drain(..).map(Duration::from_micros);
            seen.on_the_way.extend(sent.map(|sent| now.saturating_sub(sent)));
        }
        if first_event.is_none() && watch.events > 0 {
            first_event = Some(Instant::now());
        }
        if seen.first.is_none() && watch.output {
            seen.first = Some(Instant::now());
        }
    }
    seen.events = watch.events;
    // A stream without any text (a tool call, say) still has a first event.
    seen.first = seen.first.or(first_event);
    match (watch.error, watch.done) {
        (true, _) => Err(Failure::StreamError),
        (false, true) => whole,
        (false, false) => Err(Failure::StreamCut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_found_wherever_the_chunks_are_cut() {
        let text = b"{\"id\":1,\"choices\":[]}";
        for size in 1..text.len() {
            let mut tail = Vec::new();
            let found = text.chunks(size).fold(false, |found, data| {
                let inside = memchr::memmem::find(data, CHOICES).is_some();
                across(&mut tail, data) || inside || found
            });
            assert!(found, "chunks of {size}");
        }
        let mut tail = Vec::new();
        assert!(!text[..12].chunks(3).any(|data| across(&mut tail, data)));
    }
}
