//! `usage` of chat and text completions.

use serde::Serialize;

use crate::canonical::Usage;
use crate::json::Object;

#[derive(Debug, Serialize)]
pub(crate) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

pub(crate) fn encode(usage: &Usage) -> WireUsage {
    WireUsage {
        prompt_tokens: usage.input,
        completion_tokens: usage.output,
        total_tokens: usage.total(),
        prompt_tokens_details: PromptDetails {
            cached_tokens: usage.cached_input,
            audio_tokens: usage.input_audio,
            cache_write_tokens: usage.cache_write,
            image_tokens: usage.input_image,
        },
        completion_tokens_details: CompletionDetails {
            reasoning_tokens: usage.reasoning,
            audio_tokens: usage.output_audio,
        },
    }
}

/// Lenient: what is odd counts as not told. A total that is more than its parts is thought that is not in
/// `completion_tokens` (xAI counts so), and is paid for as output.
pub(crate) fn decode(mut object: Object<'_>) -> Usage {
    let mut usage =
        Usage { input: object.count("prompt_tokens"), output: object.count("completion_tokens"), ..Usage::default() };
    let total = object.count("total_tokens");
    if let Ok(Some(mut details)) = object.object("prompt_tokens_details") {
        usage.cached_input = details.count("cached_tokens");
        usage.input_audio = details.count("audio_tokens");
        usage.input_image = details.count("image_tokens");
        usage.cache_write = details.count("cache_write_tokens");
    }
    // DeepSeek's name for it, and Moonshot's.
    for name in ["prompt_cache_hit_tokens", "cached_tokens"] {
        if usage.cached_input == 0 {
            usage.cached_input = object.count(name);
        }
    }
    if let Ok(Some(mut details)) = object.object("completion_tokens_details") {
        usage.reasoning = details.count("reasoning_tokens");
        usage.output_audio = details.count("audio_tokens");
    }
    if total == usage.total().saturating_add(usage.reasoning) {
        usage.output = usage.output.saturating_add(usage.reasoning);
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Usage {
        decode(Object::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn odd_details_do_not_spoil_the_sums() {
        for details in ["null", "[]", "7", r#"{"cached_tokens":-1,"reasoning_tokens":"x"}"#] {
            let usage = read(&format!(
                r#"{{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{details},"completion_tokens_details":{details}}}"#
            ));
            assert_eq!(usage, Usage { input: 3, output: 1, ..Usage::default() }, "{details}");
        }
    }

    #[test]
    fn thoughts_beside_the_completion_are_output() {
        let usage = read(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"completion_tokens_details":{"reasoning_tokens":100}}"#,
        );
        assert_eq!((usage.output, usage.reasoning), (105, 100));
        let usage = read(
            r#"{"prompt_tokens":10,"completion_tokens":105,"total_tokens":115,"completion_tokens_details":{"reasoning_tokens":100}}"#,
        );
        assert_eq!((usage.output, usage.reasoning), (105, 100));
    }
}
