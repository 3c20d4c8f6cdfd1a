//! `usage`: here `input_tokens` is the prompt without what the cache read or wrote.

use serde::Serialize;

use crate::canonical::Usage;
use crate::json::Object;

#[derive(Debug, Serialize)]
pub(super) struct WireUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Debug, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

#[derive(Debug, Serialize)]
struct ServerToolUse {
    web_search_requests: u64,
    web_fetch_requests: u64,
}

pub(super) fn encode(usage: &Usage) -> WireUsage {
    WireUsage {
        input_tokens: usage.uncached_input(),
        cache_creation_input_tokens: usage.cache_write,
        cache_read_input_tokens: usage.cached_input,
        cache_creation: (usage.cache_write > 0).then(|| CacheCreation {
            ephemeral_5m_input_tokens: usage.cache_write.saturating_sub(usage.cache_write_1h),
            ephemeral_1h_input_tokens: usage.cache_write_1h,
        }),
        output_tokens: usage.output,
        output_tokens_details: (usage.reasoning > 0).then_some(OutputDetails { thinking_tokens: usage.reasoning }),
        server_tool_use: (usage.web_searches > 0)
            .then_some(ServerToolUse { web_search_requests: usage.web_searches, web_fetch_requests: 0 }),
    }
}

/// The counts as they were told, so that a later report of a stream can replace the ones it repeats.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    input: u64,
    cache_write: u64,
    cache_write_1h: u64,
    cached_input: u64,
    output: u64,
    reasoning: u64,
    web_searches: u64,
}

impl Told {
    /// Takes over what a report tells; what it leaves out stays.
    pub(super) fn update(&mut self, mut object: Object<'_>) {
        let mut take = |key: &str, count: &mut u64| {
            if let Some(told) = object.take(key).and_then(|item| item.unsigned().ok()) {
                *count = told;
            }
        };
        take("input_tokens", &mut self.input);
        take("cache_creation_input_tokens", &mut self.cache_write);
        take("cache_read_input_tokens", &mut self.cached_input);
        take("output_tokens", &mut self.output);
        if let Ok(Some(mut details)) = object.object("cache_creation") {
            self.cache_write_1h = details.count("ephemeral_1h_input_tokens");
        }
        if let Ok(Some(mut details)) = object.object("output_tokens_details") {
            self.reasoning = details.count("thinking_tokens");
        }
        if let Ok(Some(mut tools)) = object.object("server_tool_use") {
            self.web_searches = tools.count("web_search_requests");
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            input: self.input.saturating_add(self.cached_input).saturating_add(self.cache_write),
            output: self.output,
            cached_input: self.cached_input,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h.min(self.cache_write),
            reasoning: self.reasoning,
            web_searches: self.web_searches,
            ..Usage::default()
        }
    }
}

pub(super) fn decode(object: Object<'_>) -> Usage {
    let mut told = Told::default();
    told.update(object);
    told.usage()
}
