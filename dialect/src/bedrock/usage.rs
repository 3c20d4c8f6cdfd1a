//! `usage` of answers and of a stream's metadata.

use serde::Serialize;

use crate::canonical::Usage;
use crate::json::Object;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_details: Option<[CacheDetail; 2]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: &'static str,
    input_tokens: u64,
}

/// `inputTokens` is without what the cache gave or took; `totalTokens` is with it.
pub(super) fn encode(usage: &Usage) -> WireUsage {
    let told = |count: u64| (count > 0).then_some(count);
    WireUsage {
        input_tokens: usage.uncached_input(),
        output_tokens: usage.output,
        total_tokens: usage.total(),
        cache_read_input_tokens: told(usage.cached_input),
        cache_write_input_tokens: told(usage.cache_write),
        cache_details: told(usage.cache_write_1h).map(|hour| {
            let rest = usage.cache_write.saturating_sub(hour);
            [CacheDetail { ttl: "1h", input_tokens: hour }, CacheDetail { ttl: "5m", input_tokens: rest }]
        }),
    }
}

pub(super) fn decode(mut object: Object<'_>) -> Usage {
    let cached_input = object.count("cacheReadInputTokens");
    let cache_write = object.count("cacheWriteInputTokens");
    let mut usage = Usage {
        input: object.count("inputTokens").saturating_add(cached_input).saturating_add(cache_write),
        output: object.count("outputTokens"),
        cached_input,
        cache_write,
        ..Usage::default()
    };
    for detail in object.list("cacheDetails").ok().flatten().unwrap_or_default() {
        let Ok(mut detail) = detail.object() else { continue };
        if detail.string("ttl").ok().flatten().as_deref() == Some("1h") {
            usage.cache_write_1h = usage.cache_write_1h.saturating_add(detail.count("inputTokens"));
        }
    }
    usage
}
