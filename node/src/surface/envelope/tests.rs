use bytes::Bytes;

use super::*;
use crate::operation::Operation;

fn scan(body: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::scan(&chat(), body.as_bytes())
}

fn chat() -> Call {
    Call::new(Dialect::OpenAiChat, Operation::Chat)
}

fn rewritten(body: &str, rewrite: Rewrite<'_>) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    String::from_utf8(scan(body).unwrap().rewrite(&bytes, rewrite).to_vec()).unwrap()
}

#[test]
fn a_key_that_cannot_be_read_hides_no_bound() {
    let mut call = Call::new(Dialect::Bedrock, Operation::Chat);
    (call.model, call.stream) = (Some("m".to_owned()), Some(false));
    let body = br#"{"inferenceConfig":{"\ud800":1,"maxTokens":100000}}"#;
    assert!(matches!(Envelope::scan(&call, body), Err(EnvelopeError::Malformed(_))));
    let body = Bytes::from_static(br#"{"inferenceConfig":{"\u0061":1,"maxTokens":100000}}"#);
    let rewrite = Rewrite { max_output: Some(7), ..Rewrite::default() };
    let edited = Envelope::scan(&call, &body).unwrap().rewrite(&body, rewrite);
    assert_eq!(edited, r#"{"inferenceConfig":{"\u0061":1,"maxTokens":7}}"#);
}

#[test]
fn reads_what_the_gateway_needs() {
    let envelope = scan(
        r#"{"messages":[{"role":"user","content":"\"model\":\"x\""}],"model":"openai\/gpt-4o","stream":true,
           "stream_options":{"include_usage":true},"n":3,"tools":[{}]}"#,
    )
    .unwrap();
    assert_eq!(envelope.model, "openai/gpt-4o");
    assert!(envelope.stream && envelope.include_usage);
}

#[test]
fn names_the_field_that_is_wrong() {
    for (body, message) in [
        (r#"{"messages":[]}"#, "`model` is missing"),
        (r#"{"model":7}"#, "`model` must be a non-empty string"),
        (r#"{"model":"a","model":"b"}"#, "`model` is given twice"),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "`model` is given twice"),
        (r#"{"model":"a","stream":"yes"}"#, "`stream` must be true or false"),
        (r#"{"model":"a","stream_options":[]}"#, "`stream_options` must be an object"),
        (r#"{"model":"a","max_tokens":true}"#, "`max_tokens` must be a number of tokens"),
        (r#"{"model":"a","max_completion_tokens":"some"}"#, "`max_completion_tokens` must be a number of tokens"),
        (r#"{"model":"a","max_tokens":5,"max_tokens":50}"#, "`max_tokens` is given twice"),
        (r#"{"model":"a""#, "the body is not valid JSON: expected `,` or `}` at byte 12"),
    ] {
        assert_eq!(scan(body).unwrap_err().to_string(), message, "{body}");
    }
}

#[test]
fn leaves_the_bytes_alone_without_an_edit() {
    let body = Bytes::from_static(br#"{ "model" : "gpt-4o", "stream":false }"#);
    let edit = Rewrite { model: Some("gpt-4o"), ask_for_usage: true, ..Rewrite::default() };
    let same = Envelope::scan(&chat(), &body).unwrap().rewrite(&body, edit);
    assert_eq!(same.as_ptr(), body.as_ptr(), "not even copied");
}

#[test]
fn puts_in_a_bound_where_there_is_none() {
    let edit = Rewrite { max_output: Some(64), ..Rewrite::default() };
    assert_eq!(rewritten(r#"{"model":"echo"}"#, edit), r#"{"max_tokens":64,"model":"echo"}"#);
    for nothing in ["null", "-1", "-1e6", "\"-1\""] {
        let body = format!("{{\"model\":\"m\",\"max_tokens\":{nothing}}}");
        assert_eq!(rewritten(&body, edit), r#"{"model":"m","max_tokens":64}"#);
    }
    assert_eq!(
        rewritten(r#"{"max_completion_tokens" : -1 ,"model":"m"}"#, edit),
        r#"{"max_tokens":64 ,"model":"m"}"#,
        "under the name that the provider knows"
    );
    let newer = Rewrite { max_completion_tokens: true, ..edit };
    assert_eq!(
        rewritten(r#"{"max_tokens":-1,"model":"m","max_completion_tokens":null}"#, newer),
        r#"{"max_tokens":null,"model":"m","max_completion_tokens":64}"#
    );
    let edit = Rewrite { ask_for_usage: true, ..edit };
    assert_eq!(
        rewritten(r#" {"stream":true,"model":"echo"}"#, edit),
        r#" {"stream_options":{"include_usage":true},"max_tokens":64,"stream":true,"model":"echo"}"#
    );
}

#[test]
fn edits_only_the_model_and_the_stream_options() {
    let edit = Rewrite { model: Some("echo"), ask_for_usage: true, ..Rewrite::default() };
    for (body, expected) in [
        (
            r#"{"z":1, "model":"demo/echo","x":[ 1 ],"stream":false}"#,
            r#"{"z":1, "model":"echo","x":[ 1 ],"stream":false}"#,
        ),
        (
            r#" {"model":"demo/echo","stream":true}"#,
            r#" {"stream_options":{"include_usage":true},"model":"echo","stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{},"model":"demo/echo"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"echo"}"#,
        ),
        (
            r#"{"stream_options":{"a":[1, 2],"include_usage":false},"stream":true,"model":"demo/echo"}"#,
            r#"{"stream_options":{"include_usage":true,"a":[1, 2]},"stream":true,"model":"echo"}"#,
        ),
        (
            r#"{"model":"demo/echo","stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"demo/echo","stream":true,"stream_options":null}"#,
            r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(rewritten(body, edit), expected, "{body}");
    }
}

fn bounded(call: &Call, body: &str) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let envelope = Envelope::scan(call, &bytes).unwrap();
    let edited = envelope.rewrite(&bytes, Rewrite { model: Some("m"), max_output: Some(64), ..Rewrite::default() });
    String::from_utf8(edited.to_vec()).unwrap()
}

#[test]
fn puts_in_a_bound_where_each_dialect_has_it() {
    let gemini = Call::gemini("v1/models/m:generateContent", None).unwrap();
    let bedrock = Call::bedrock("m/converse").unwrap();
    let responses = Call::new(Dialect::OpenAiResponses, Operation::Responses);
    for (call, body, expected) in [
        (&gemini, "{}", r#"{"generationConfig":{"maxOutputTokens":64}}"#),
        (&gemini, r#"{"contents":[]}"#, r#"{"generationConfig":{"maxOutputTokens":64},"contents":[]}"#),
        (&gemini, r#"{"generation_config":{"topK":1}}"#, r#"{"generation_config":{"maxOutputTokens":64,"topK":1}}"#),
        (&gemini, r#"{"generationConfig":{"maxOutputTokens":null}}"#, r#"{"generationConfig":{"maxOutputTokens":64}}"#),
        (&gemini, r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":64}}"#),
        (&bedrock, r#"{"inferenceConfig":{ }}"#, r#"{"inferenceConfig":{"maxTokens":64 }}"#),
        (&responses, r#"{"model":"m"}"#, r#"{"max_output_tokens":64,"model":"m"}"#),
    ] {
        assert_eq!(bounded(call, body), expected, "{body}");
        serde_json::from_str::<serde_json::Value>(expected).unwrap();
    }
}

#[test]
fn a_path_tells_more_than_a_body() {
    let gemini = Call::gemini("v1/models/demo/echo:generateContent", None).unwrap();
    let body = Bytes::from_static(br#"{"model":"models/dearer","contents":[]}"#);
    let envelope = Envelope::scan(&gemini, &body).unwrap();
    assert_eq!(envelope.model, "demo/echo");
    let edited = envelope.rewrite(&body, Rewrite { model: Some("echo"), ..Rewrite::default() });
    assert_eq!(edited, &br#"{"model":"models/echo","contents":[]}"#[..]);
}

#[test]
fn fallbacks_stay_here() {
    let edit = Rewrite { model: Some("echo"), max_output: Some(64), ..Rewrite::default() };
    for (body, expected) in [
        (r#"{"model":"a" , "fallbacks":["b"]}"#, r#"{"max_tokens":64,"model":"echo"}"#),
        (r#"{"fallbacks": ["b", {"model":"c"}] , "model":"a"}"#, r#"{"max_tokens":64,"model":"echo"}"#),
        (r#"{ "x":1,"fallbacks":[],"model":"a"}"#, r#"{"max_tokens":64, "x":1,"model":"echo"}"#),
    ] {
        assert_eq!(rewritten(body, edit), expected, "{body}");
    }
    let body = br#"{"model":"a","fallbacks":["b", {}]}"#;
    assert_eq!(Envelope::scan(&chat(), body).unwrap().fallbacks(body), Some(&br#"["b", {}]"#[..]));
    assert_eq!(scan(r#"{"model":"a","fallbacks":[],"fallbacks":[]}"#).unwrap_err().field(), Some("fallbacks"));
}
