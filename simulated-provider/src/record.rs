//! What arrived, for `GET /requests`: the last requests of each worker, bounded in number and bytes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::request::Parts;
use serde::Serialize;

const MOST_REQUESTS: usize = 1_000;
const LARGEST_BODY: usize = 256 << 10;
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug)]
struct Recorded {
    at: Instant,
    method: http::Method,
    /// Path and query, then each header's name and value, copied: a slice of the connection's buffer would keep all of it.
    head: Vec<u8>,
    ends: Vec<u32>,
    body: Vec<u8>,
    body_bytes: usize,
}

/// One worker's last requests.
#[derive(Debug)]
pub(crate) struct Recorder {
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Recorded>,
    bytes: usize,
}

impl Recorder {
    /// The recorder of one of so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self { most_bytes: MOST_BYTES / workers.max(1), kept: Mutex::default() }
    }

    pub(crate) fn record(&self, at: Instant, parts: &Parts, body: &[u8]) {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut head = Vec::with_capacity(512);
        let mut ends = Vec::with_capacity(2 * parts.headers.len() + 1);
        let texts = parts.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        for text in std::iter::once(path.as_bytes()).chain(texts) {
            head.extend_from_slice(text);
            ends.push(head.len() as u32);
        }
        let kept_body = body[..body.len().min(LARGEST_BODY)].to_vec();
        let recorded =
            Recorded { at, method: parts.method.clone(), head, ends, body: kept_body, body_bytes: body.len() };

        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += recorded.size();
        kept.requests.push_back(recorded);
        while kept.requests.len() > MOST_REQUESTS || kept.bytes > self.most_bytes {
            let Some(oldest) = kept.requests.pop_front() else { break };
            kept.bytes -= oldest.size();
        }
    }

    pub(crate) fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

impl Recorded {
    fn size(&self) -> usize {
        size_of::<Self>() + self.head.capacity() + self.ends.capacity() * size_of::<u32>() + self.body.capacity()
    }

    fn show(&self) -> Shown {
        let mut start = 0;
        let mut texts = self.ends.iter().map(|end| {
            let text = String::from_utf8_lossy(&self.head[start..*end as usize]).into_owned();
            start = *end as usize;
            text
        });
        let path = texts.next().unwrap_or_default();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            headers.entry(name).and_modify(|earlier| *earlier = format!("{earlier}, {value}")).or_insert(value);
        }
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let body_base64 = std::str::from_utf8(&self.body).is_err().then(|| BASE64_STANDARD.encode(&self.body));
        let truncated = self.body_bytes > self.body.len();
        let received = SystemTime::now().checked_sub(self.at.elapsed()).unwrap_or(UNIX_EPOCH);
        Shown {
            received_us: received.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64,
            method: self.method.to_string(),
            path,
            headers,
            body,
            body_base64,
            body_bytes: self.body_bytes,
            truncated,
        }
    }
}

/// A request as it arrived; a header that came more than once is joined by `, `.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// When it was there, microseconds since 1970.
    received_us: u64,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// The bytes of a body that is not UTF-8, which `body` shows with replacement characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    body_bytes: usize,
    truncated: bool,
}

/// The last requests over all workers, the oldest first.
pub(crate) fn last<'a>(recorders: impl Iterator<Item = &'a Recorder>, count: usize) -> Vec<Shown> {
    let mut all: Vec<(Instant, Shown)> = Vec::new();
    for recorder in recorders {
        let kept = recorder.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(kept.requests.iter().rev().take(count).map(|recorded| (recorded.at, recorded.show())));
    }
    all.sort_by_key(|(at, _)| *at);
    let surplus = all.len().saturating_sub(count);
    all.into_iter().skip(surplus).map(|(_, shown)| shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Parts {
        http::Request::builder()
            .method("POST")
            .uri(path)
            .header("a", "1")
            .header("a", "2")
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn shows_what_arrived() {
        let recorder = Recorder::new(1);
        recorder.record(Instant::now(), &parts("/x?y=1"), b"{ \"a\":1 }");
        let shown = last([&recorder].into_iter(), 5);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        assert!((now - 60_000_000..=now).contains(&shown[0].received_us));
        assert_eq!((shown[0].method.as_str(), shown[0].path.as_str()), ("POST", "/x?y=1"));
        assert_eq!(shown[0].headers["a"], "1, 2");
        assert_eq!(shown[0].body, "{ \"a\":1 }");
    }

    #[test]
    fn is_bounded_by_number_and_bytes() {
        let recorder = Recorder::new(1);
        for _ in 0..MOST_REQUESTS + 5 {
            recorder.record(Instant::now(), &parts("/"), b"");
        }
        assert_eq!(last([&recorder].into_iter(), usize::MAX).len(), MOST_REQUESTS);
        let large = vec![b'x'; LARGEST_BODY + 1];
        for _ in 0..300 {
            recorder.record(Instant::now(), &parts("/"), &large);
        }
        let kept = recorder.kept.lock().unwrap();
        assert!(kept.bytes <= MOST_BYTES && kept.requests.len() < 256);
        assert_eq!(kept.bytes, kept.requests.iter().map(Recorded::size).sum::<usize>());
        assert_eq!(kept.requests[0].body.len(), LARGEST_BODY);
        assert!(kept.requests[0].show().truncated);
    }
}
