//! What a client says of the cache in its headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use peerway_cache::policy::{CacheType, Wishes};

/// What a client wishes, in a header of ours or in Bifrost's of the same meaning.
type Names = [HeaderName; 2];
static KEY: Names = [HeaderName::from_static("x-peerway-cache-key"), HeaderName::from_static("x-bf-cache-key")];
static TYPE: Names = [HeaderName::from_static("x-peerway-cache-type"), HeaderName::from_static("x-bf-cache-type")];
static NO_STORE: Names =
    [HeaderName::from_static("x-peerway-cache-no-store"), HeaderName::from_static("x-bf-cache-no-store")];
static NO_READ: Names =
    [HeaderName::from_static("x-peerway-cache-no-read"), HeaderName::from_static("x-bf-cache-no-read")];
static THRESHOLD: Names =
    [HeaderName::from_static("x-peerway-cache-threshold"), HeaderName::from_static("x-bf-cache-threshold")];
static TTL: Names = [HeaderName::from_static("x-peerway-cache-ttl"), HeaderName::from_static("x-bf-cache-ttl")];

/// `x-peerway-cache-*`, with `x-bf-cache-*` understood too.
pub(super) fn wishes(headers: &HeaderMap) -> Wishes<'_> {
    let header = |[ours, theirs]: &Names| {
        headers.get(ours).or_else(|| headers.get(theirs)).and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let is_set = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    Wishes {
        cache_key: header(&KEY),
        cache_type: match header(&TYPE) {
            Some("direct") => Some(CacheType::Direct),
            Some("semantic") => Some(CacheType::Semantic),
            _ => None,
        },
        no_store: is_set(header(&NO_STORE)),
        no_read: is_set(header(&NO_READ)),
        ttl: header(&TTL).and_then(ttl),
        threshold: header(&THRESHOLD).and_then(|text| text.parse().ok()),
    }
}

/// `30s`, `5m` or plain seconds.
fn ttl(text: &str) -> Option<Duration> {
    text.parse().map(Duration::from_secs).ok().or_else(|| text.parse().map(crate::config::Period::get).ok())
}
