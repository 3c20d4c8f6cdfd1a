//! What an answer other than a chat says it took: each family of providers has its own words for tokens.

use serde::Deserialize;

use crate::dialect::openai::Usage;

#[derive(Debug, Default, Deserialize)]
struct Body {
    usage: Option<Told>,
    #[serde(rename = "usageMetadata")]
    gemini: Option<Gemini>,
    /// Cohere's.
    meta: Option<Meta>,
    /// Titan's.
    #[serde(rename = "inputTextTokenCount")]
    titan: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(alias = "output_tokens")]
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    #[serde(alias = "input_tokens_details")]
    input_token_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    audio_tokens: u64,
    #[serde(default)]
    image_tokens: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gemini {
    prompt_token_count: u64,
    #[serde(default)]
    candidates_token_count: u64,
    #[serde(default)]
    thoughts_token_count: u64,
}

#[derive(Debug, Deserialize)]
struct Meta {
    billed_units: Option<Units>,
}

#[derive(Debug, Deserialize)]
struct Units {
    input_tokens: Option<f64>,
    image_tokens: Option<f64>,
}

/// `None`: it does not say so in tokens. Seconds and searches are not tokens.
pub(in crate::gateway) fn stated(body: &[u8]) -> Option<Usage> {
    let Body { usage, gemini, meta, titan } = serde_json::from_slice(body).ok()?;
    if let Some(told) = usage {
        let prompt = told.prompt_tokens.or(told.total_tokens)?;
        let details = told.input_token_details.unwrap_or_default();
        return Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: told.completion_tokens.unwrap_or(0),
            prompt_audio_tokens: details.audio_tokens,
            prompt_image_tokens: details.image_tokens,
            ..Usage::default()
        });
    }
    if let Some(told) = gemini {
        let completion_tokens = told.candidates_token_count.saturating_add(told.thoughts_token_count);
        return Some(Usage { prompt_tokens: told.prompt_token_count, completion_tokens, ..Usage::default() });
    }
    if let Some(prompt_tokens) = titan {
        return Some(Usage { prompt_tokens, ..Usage::default() });
    }
    let Units { input_tokens, image_tokens } = meta?.billed_units?;
    let prompt = input_tokens? + image_tokens.unwrap_or(0.0);
    // A float becomes the nearest whole number that fits.
    Some(Usage { prompt_tokens: prompt.ceil() as u64, ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_familys_words() {
        for (body, expected) in [
            (r#"{"usage":{"prompt_tokens":5,"total_tokens":5}}"#, Some((5, 0))),
            (r#"{"usage":{"total_tokens":7}}"#, Some((7, 0))),
            (r#"{"usage":{"type":"tokens","input_tokens":3,"output_tokens":4,"total_tokens":7}}"#, Some((3, 4))),
            (r#"{"usage":{"type":"duration","seconds":9}}"#, None),
            (r#"{"meta":{"billed_units":{"input_tokens":6}}}"#, Some((6, 0))),
            (r#"{"meta":{"billed_units":{"search_units":1}}}"#, None),
            (r#"{"usageMetadata":{"promptTokenCount":8}}"#, Some((8, 0))),
            (
                r#"{"usageMetadata":{"promptTokenCount":8,"candidatesTokenCount":2,"thoughtsTokenCount":1}}"#,
                Some((8, 3)),
            ),
            (r#"{"embedding":[0.5],"inputTextTokenCount":4}"#, Some((4, 0))),
            (r#"{"results":[]}"#, None),
            ("no JSON", None),
        ] {
            let told = stated(body.as_bytes()).map(|usage| (usage.prompt_tokens, usage.completion_tokens));
            assert_eq!(told, expected, "{body}");
        }
    }
}
