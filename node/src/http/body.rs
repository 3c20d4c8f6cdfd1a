//! Reading a request's body: as much as may be, as it is meant, and within what the node may hold.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;

use super::decode::{DecodeError, Encoding, decode};
use super::error::ApiError;
use super::memory::{Held, Memory};
use super::pace::TooSlow;
use super::shed::Shed;

/// How much of a body that nobody wants is read before the answer, and for how long.
const DISCARD: usize = 4 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(2);
/// An overloaded node reads little more than has arrived.
const DISCARD_BRIEFLY: (usize, Duration) = (1 << 20, Duration::from_millis(100));
/// What is reserved for a body because its length says so.
const FORESEEN: usize = 1 << 20;
/// More than this is decoded on another thread: the requests of this one would wait for it.
const DECODE_HERE: usize = 16 << 10;

/// What bodies are taken.
#[derive(Debug, Clone, Copy)]
pub struct BodyRules {
    /// In bytes, also when decoded.
    pub max: u64,
    /// Whether compressed ones are.
    pub decompress: bool,
}

/// The whole body, decoded. It counts against the memory for as long as anybody has a part of it.
pub async fn read(headers: &HeaderMap, body: Body, rules: BodyRules, memory: &Memory) -> Result<Bytes, ApiError> {
    let mut held = memory.hold();
    let encoding = match encoding(headers, rules) {
        Ok(encoding) => encoding,
        Err(error) => {
            discard(body).await;
            return Err(error);
        }
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > rules.max) {
        discard(body).await;
        return Err(ApiError::TooLarge { limit: rules.max });
    }
    if announced.is_some_and(|length| !held.would_fit(length)) {
        discard(body).await;
        return Err(ApiError::Overloaded(Shed::Memory));
    }
    let body = collect(body, announced.unwrap_or(0), rules.max, &mut held).await?;
    match encoding {
        None => Ok(held.bind(body)),
        // What came compressed is held until it is decoded.
        Some(encoding) => decoded(encoding, held.bind(body), rules.max, memory.hold()).await,
    }
}

fn encoding(headers: &HeaderMap, rules: BodyRules) -> Result<Option<Encoding>, ApiError> {
    let mut named = headers.get_all(CONTENT_ENCODING).iter().filter(|value| value.as_bytes() != b"identity");
    let Some(first) = named.next() else { return Ok(None) };
    match Encoding::of(first) {
        Some(encoding) if rules.decompress && named.next().is_none() => Ok(Some(encoding)),
        _ => Err(ApiError::ContentEncoding(String::from_utf8_lossy(first.as_bytes()).into_owned())),
    }
}

async fn collect(mut body: Body, announced: u64, max: u64, held: &mut Held) -> Result<Bytes, ApiError> {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        length += piece.len();
        if length > max {
            discard(body).await;
            return Err(ApiError::TooLarge { limit: max as u64 });
        }
        if let Err(shed) = held.grow(piece.len()) {
            // What has been read is let go before anything else.
            drop((first, all));
            discard(body).await;
            return Err(ApiError::Overloaded(shed));
        }
        if length == piece.len() {
            // Nearly always the only one, and then it is not copied.
            first = piece;
            continue;
        }
        if !first.is_empty() {
            all.reserve(usize::try_from(announced).unwrap_or(0).clamp(length, FORESEEN.max(length)));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn broken(error: &axum::Error) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(TooSlow(why)) = error.downcast_ref() {
            return ApiError::BodySlow(why);
        }
        cause = error.source();
    }
    ApiError::BodyBroken(error.to_string())
}

async fn decoded(encoding: Encoding, body: Bytes, max: u64, mut held: Held) -> Result<Bytes, ApiError> {
    let limit = usize::try_from(max).unwrap_or(usize::MAX);
    let is_small = body.len() <= DECODE_HERE;
    let work = move || decode(encoding, &body, limit, |more| held.grow(more)).map(|decoded| held.bind(decoded));
    let result = if is_small {
        work()
    } else {
        let Ok(result) = tokio::task::spawn_blocking(work).await else {
            return Err(ApiError::Overloaded(Shed::Queue));
        };
        result
    };
    result.map_err(|error| match error {
        DecodeError::TooLarge => ApiError::TooLarge { limit: max },
        DecodeError::NoRoom(shed) => ApiError::Overloaded(shed),
        error => ApiError::Undecodable { encoding: encoding.as_str(), why: error.to_string() },
    })
}

/// Reads on for a moment without keeping anything: a client that is still sending when the connection closes sees a
/// reset and never the answer that says why, and one that has sent all of it can use the connection again.
pub async fn discard(body: Body) {
    discard_within(body, DISCARD, DISCARD_FOR).await;
}

/// The same for a node that has no time for it.
pub async fn discard_briefly(body: Body) {
    let (most, longest) = DISCARD_BRIEFLY;
    discard_within(body, most, longest).await;
}

async fn discard_within(body: Body, most: usize, longest: Duration) {
    if http_body::Body::is_end_stream(&body) {
        return;
    }
    let reading = async {
        let mut left = most;
        let mut body = body;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Late or not, the answer is the same.
    let _ = tokio::time::timeout(longest, reading).await;
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const RULES: BodyRules = BodyRules { max: 100_000, decompress: false };

    fn pieces(sizes: &[usize]) -> Body {
        let frames: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(futures_util::stream::iter(frames))
    }

    async fn outcome(headers: &HeaderMap, body: Body, rules: BodyRules, memory: &Memory) -> Result<usize, u16> {
        read(headers, body, rules, memory).await.map(|body| body.len()).map_err(|error| error.status().as_u16())
    }

    #[tokio::test]
    async fn whole_or_refused_and_nothing_is_left_taken() {
        let memory = Memory::new(1 << 20);
        let none = HeaderMap::new();
        assert_eq!(outcome(&none, pieces(&[]), RULES, &memory).await, Ok(0));
        assert_eq!(outcome(&none, pieces(&[10]), RULES, &memory).await, Ok(10));
        assert_eq!(outcome(&none, pieces(&[10, 0, 20_000, 70_000]), RULES, &memory).await, Ok(90_010));
        assert_eq!(outcome(&none, pieces(&[50_000, 50_001]), RULES, &memory).await, Err(413));
        let small = Memory::new(30_000);
        assert_eq!(outcome(&none, pieces(&[20_000, 20_000]), RULES, &small).await, Err(503));
        let announced = |length: &str| {
            [(CONTENT_LENGTH, HeaderValue::from_str(length).unwrap())].into_iter().collect::<HeaderMap>()
        };
        assert_eq!(outcome(&announced("100001"), pieces(&[1]), RULES, &memory).await, Err(413));
        assert_eq!(outcome(&announced("50000"), pieces(&[1]), RULES, &small).await, Err(503), "before it is read");
        assert_eq!((memory.used(), small.used()), (0, 0));
    }

    #[tokio::test]
    async fn compressed_bodies_only_where_they_are_allowed() {
        let memory = Memory::new(1 << 20);
        let encoded = |name: &'static str| {
            [(CONTENT_ENCODING, HeaderValue::from_static(name))].into_iter().collect::<HeaderMap>()
        };
        let body = |size: usize| Body::from(zstd::encode_all(&vec![b'x'; size][..], 3).unwrap());
        let open = BodyRules { decompress: true, ..RULES };
        assert_eq!(outcome(&encoded("identity"), pieces(&[5]), RULES, &memory).await, Ok(5));
        assert_eq!(outcome(&encoded("zstd"), body(500), RULES, &memory).await, Err(415));
        assert_eq!(outcome(&encoded("zstd"), body(500), open, &memory).await, Ok(500));
        assert_eq!(outcome(&encoded("zstd, gzip"), body(500), open, &memory).await, Err(415));
        assert_eq!(outcome(&encoded("zstd"), body(100_001), open, &memory).await, Err(400), "a bomb");
        assert_eq!(outcome(&encoded("gzip"), body(500), open, &memory).await, Err(400));
        assert_eq!(outcome(&encoded("zstd"), body(50_000), open, &Memory::new(20_000)).await, Err(503));
        let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let noisy = Body::from(zstd::encode_all(&noise[..90_000], 1).unwrap());
        assert_eq!(outcome(&encoded("zstd"), noisy, open, &memory).await, Ok(90_000), "on another thread");
        assert_eq!(memory.used(), 0);
    }
}
