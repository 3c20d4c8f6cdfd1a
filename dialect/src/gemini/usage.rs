//! `usageMetadata`.

use serde::Serialize;

use crate::canonical::Usage;

use super::fields::Fields;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    prompt_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    total_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<WireDetail>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<WireDetail>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDetail {
    modality: &'static str,
    token_count: u64,
}

fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// Nothing if there is no more to tell than that all of it is text.
pub(super) fn details(total: u64, image: u64, audio: u64) -> Vec<WireDetail> {
    if image == 0 && audio == 0 {
        return Vec::new();
    }
    let text = total.saturating_sub(image).saturating_sub(audio);
    let each = [("TEXT", text), ("IMAGE", image), ("AUDIO", audio)];
    let told = each.into_iter().filter(|(_, count)| *count > 0);
    told.map(|(modality, token_count)| WireDetail { modality, token_count }).collect()
}

pub(super) fn encode(usage: &Usage) -> WireUsage {
    let said = usage.output.saturating_sub(usage.reasoning);
    WireUsage {
        prompt_token_count: usage.input,
        candidates_token_count: said,
        thoughts_token_count: some(usage.reasoning),
        cached_content_token_count: some(usage.cached_input),
        total_token_count: usage.total(),
        prompt_tokens_details: details(usage.input, usage.input_image, usage.input_audio),
        candidates_tokens_details: details(said, 0, usage.output_audio),
    }
}

/// Lenient: what is odd counts as not told. A total that is more than its parts counts as output, which is what Google
/// bills it as.
pub(super) fn decode(mut fields: Fields<'_>) -> Usage {
    let input = fields.count("promptTokenCount").saturating_add(fields.count("toolUsePromptTokenCount"));
    let reasoning = fields.count("thoughtsTokenCount");
    let told = fields.count("candidatesTokenCount").saturating_add(reasoning);
    let mut usage = Usage {
        input,
        output: told.max(fields.count("totalTokenCount").saturating_sub(input)),
        cached_input: fields.count("cachedContentTokenCount"),
        reasoning,
        ..Usage::default()
    };
    for (modality, count) in modalities(&mut fields, "promptTokensDetails") {
        match modality.as_str() {
            "AUDIO" => usage.input_audio = count,
            "IMAGE" => usage.input_image = count,
            _ => {}
        }
    }
    for (modality, count) in modalities(&mut fields, "candidatesTokensDetails") {
        if modality == "AUDIO" {
            usage.output_audio = count;
        }
    }
    usage
}

pub(super) fn modalities(fields: &mut Fields<'_>, key: &str) -> Vec<(String, u64)> {
    let read = |item| {
        let mut detail = Fields::of(item).ok()?;
        Some((detail.string("modality").ok()??, detail.count("tokenCount")))
    };
    fields.list(key).unwrap_or_default().into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn thoughts_and_tools_are_counted() {
        let body = br#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"candidatesTokenCount":7,
            "thoughtsTokenCount":20,"cachedContentTokenCount":4,"totalTokenCount":42,
            "promptTokensDetails":[{"modality":"IMAGE","tokenCount":3},{"modality":"TEXT","tokenCount":7}]}"#;
        let usage = decode(Fields::parse(body).unwrap());
        let expected =
            Usage { input: 15, output: 27, cached_input: 4, reasoning: 20, input_image: 3, ..Usage::default() };
        assert_eq!(usage, expected);
        let bytes = json::bytes(&encode(&usage));
        assert_eq!(decode(Fields::parse(&bytes).unwrap()), expected);
    }

    #[test]
    fn what_the_parts_do_not_say_is_output() {
        let usage = decode(Fields::parse(br#"{"prompt_token_count":10,"total_token_count":30}"#).unwrap());
        assert_eq!((usage.input, usage.output), (10, 20));
    }
}
