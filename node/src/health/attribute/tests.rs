use peerway_dialect::{anthropic, bedrock, cohere, gemini, openai};

use super::*;

type Decode = fn(u16, &[u8]) -> Failure;

const OPENAI: Decode = openai::chat::decode_error;
const ANTHROPIC: Decode = anthropic::decode_error;
const GEMINI: Decode = gemini::decode_error;
const BEDROCK: Decode = bedrock::decode_error;
const COHERE: Decode = cohere::decode_error;

/// What providers answer, in their own words, and whose fault it is.
const TABLE: &[(Decode, u16, &str, Fault)] = &[
    // OpenAI and those that speak like it.
    (
        OPENAI,
        400,
        r#"{"error":{"message":"bad","type":"invalid_request_error","param":"messages","code":null}}"#,
        Fault::Client,
    ),
    (
        OPENAI,
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
        Fault::Client,
    ),
    (
        OPENAI,
        500,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"server_error"}}"#,
        Fault::Client,
    ),
    (OPENAI, 500, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, Fault::Client),
    (OPENAI, 403, r#"{"error":{"message":"Your request was flagged by moderation","code":403}}"#, Fault::Client),
    (
        OPENAI,
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","status":400}}"#,
        Fault::Client,
    ),
    (
        OPENAI,
        400,
        r#"{"error":{"message":"Your request was rejected as a result of our safety system.","code":"content_policy_violation"}}"#,
        Fault::Client,
    ),
    (OPENAI, 403, r#"{"error":{"message":"no","code":"content_policy_violation"}}"#, Fault::Client),
    (
        OPENAI,
        404,
        r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#,
        Fault::Client,
    ),
    (OPENAI, 405, "", Fault::Client),
    (OPENAI, 409, "", Fault::Client),
    (OPENAI, 410, "", Fault::Client),
    (OPENAI, 413, "", Fault::Client),
    (OPENAI, 414, "", Fault::Client),
    (OPENAI, 415, "", Fault::Client),
    (OPENAI, 422, r#"{"detail":[{"loc":["body"]}]}"#, Fault::Client),
    (OPENAI, 431, "", Fault::Client),
    (OPENAI, 451, "", Fault::Client),
    (OPENAI, 401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, Fault::Key),
    (
        OPENAI,
        401,
        r#"{"error":{"message":"OpenAI-Organization header should match","code":"mismatched_organization"}}"#,
        Fault::Client,
    ),
    (OPENAI, 401, "", Fault::Key),
    (OPENAI, 402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, Fault::Key),
    (OPENAI, 403, r#"{"error":{"message":"You are not allowed to sample from this model"}}"#, Fault::Key),
    (
        OPENAI,
        403,
        r#"{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}"#,
        Fault::Client,
    ),
    (
        OPENAI,
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","code":"rate_limit_exceeded"}}"#,
        Fault::Capacity,
    ),
    (
        OPENAI,
        429,
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        Fault::Capacity,
    ),
    (
        OPENAI,
        403,
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        Fault::Capacity,
    ),
    (
        OPENAI,
        429,
        r#"{"error":{"message":"Request too large: reduce the length of the messages","code":"rate_limit_exceeded"}}"#,
        Fault::Capacity,
    ),
    (OPENAI, 429, "", Fault::Capacity),
    (OPENAI, 498, r#"{"error":{"message":"flex tier capacity exceeded"}}"#, Fault::Capacity),
    (OPENAI, 400, r#"{"error":"model is loading"}"#, Fault::Client),
    (OPENAI, 408, "", Fault::Provider),
    (OPENAI, 424, "", Fault::Provider),
    (OPENAI, 500, r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, Fault::Provider),
    (OPENAI, 501, "", Fault::Provider),
    (OPENAI, 502, "<html>Bad Gateway</html>", Fault::Provider),
    (
        OPENAI,
        503,
        r#"{"error":{"message":"The engine is currently overloaded","type":"server_error"}}"#,
        Fault::Provider,
    ),
    (OPENAI, 504, "", Fault::Provider),
    (OPENAI, 520, "", Fault::Provider),
    (OPENAI, 529, "", Fault::Capacity),
    (OPENAI, 302, "", Fault::Provider),
    // In place of an answer, or within a stream.
    (OPENAI, 200, r#"{"error":{"message":"Rate limit exceeded","code":429}}"#, Fault::Capacity),
    (OPENAI, 200, r#"{"error":{"message":"Provider returned error","code":502}}"#, Fault::Provider),
    (OPENAI, 200, r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, Fault::Provider),
    (
        OPENAI,
        200,
        r#"{"error":{"message":"maximum context length is 10","code":"context_length_exceeded"}}"#,
        Fault::Client,
    ),
    (OPENAI, 200, r#"{"error":{"message":"blocked","code":"content_filter"}}"#, Fault::Client),
    (
        OPENAI,
        200,
        r#"{"error":{"message":"the request exceeds the available context size","code":400,"type":"exceed_context_size_error"}}"#,
        Fault::Client,
    ),
    (
        OPENAI,
        500,
        r#"{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length of 8192."}}"#,
        Fault::Client,
    ),
    (OPENAI, 502, r#"{"error":{"message":"`inputs` tokens + `max_new_tokens` must be <= 4097"}}"#, Fault::Client),
    // Anthropic.
    (
        ANTHROPIC,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        Fault::Client,
    ),
    (
        ANTHROPIC,
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        Fault::Key,
    ),
    (
        ANTHROPIC,
        402,
        r#"{"type":"error","error":{"type":"billing_error","message":"Your credit balance is too low"}}"#,
        Fault::Key,
    ),
    (ANTHROPIC, 403, r#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#, Fault::Key),
    (ANTHROPIC, 404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, Fault::Client),
    (
        ANTHROPIC,
        413,
        r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
        Fault::Client,
    ),
    (
        ANTHROPIC,
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit"}}"#,
        Fault::Capacity,
    ),
    (
        ANTHROPIC,
        500,
        r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
        Fault::Provider,
    ),
    (ANTHROPIC, 504, r#"{"type":"error","error":{"type":"timeout_error","message":"late"}}"#, Fault::Provider),
    (ANTHROPIC, 529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Fault::Capacity),
    // Gemini and Vertex.
    (
        GEMINI,
        400,
        r#"{"error":{"code":400,"message":"The input token count (1500000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
        Fault::Client,
    ),
    (
        GEMINI,
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        Fault::Key,
    ),
    (
        GEMINI,
        400,
        r#"{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}"#,
        Fault::Key,
    ),
    (GEMINI, 401, r#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#, Fault::Key),
    (GEMINI, 403, r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#, Fault::Key),
    (GEMINI, 404, r#"{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}"#, Fault::Client),
    (
        GEMINI,
        429,
        r#"{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}"#,
        Fault::Capacity,
    ),
    (
        GEMINI,
        500,
        r#"{"error":{"code":500,"message":"An internal error has occurred","status":"INTERNAL"}}"#,
        Fault::Provider,
    ),
    (
        GEMINI,
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}"#,
        Fault::Provider,
    ),
    (GEMINI, 504, r#"{"error":{"code":504,"message":"late","status":"DEADLINE_EXCEEDED"}}"#, Fault::Provider),
    // Bedrock.
    (
        BEDROCK,
        400,
        r#"{"__type":"ValidationException","message":"Input is too long for requested model."}"#,
        Fault::Client,
    ),
    (BEDROCK, 400, r#"{"__type":"ThrottlingException","message":"Too many requests"}"#, Fault::Capacity),
    (BEDROCK, 400, r#"{"__type":"ServiceQuotaExceededException","message":"no more"}"#, Fault::Capacity),
    (BEDROCK, 400, r#"{"__type":"UnrecognizedClientException","message":"The security token is invalid"}"#, Fault::Key),
    (BEDROCK, 403, r#"{"__type":"ExpiredTokenException","message":"expired"}"#, Fault::Key),
    (BEDROCK, 403, r#"{"__type":"AccessDeniedException","message":"You don't have access to the model"}"#, Fault::Key),
    (BEDROCK, 404, r#"{"__type":"ResourceNotFoundException","message":"no"}"#, Fault::Client),
    (BEDROCK, 408, r#"{"__type":"ModelTimeoutException","message":"late"}"#, Fault::Provider),
    (BEDROCK, 424, r#"{"__type":"ModelErrorException","message":"no"}"#, Fault::Provider),
    (BEDROCK, 429, r#"{"__type":"ModelNotReadyException","message":"wait"}"#, Fault::Capacity),
    (BEDROCK, 500, r#"{"__type":"InternalServerException","message":"no"}"#, Fault::Provider),
    (BEDROCK, 503, r#"{"__type":"ServiceUnavailableException","message":"no"}"#, Fault::Provider),
    // Cohere.
    (
        COHERE,
        400,
        r#"{"message":"too many tokens: total number of tokens in the prompt cannot exceed the maximum context length"}"#,
        Fault::Client,
    ),
    (COHERE, 401, r#"{"message":"invalid api token"}"#, Fault::Key),
    (COHERE, 402, r#"{"message":"billing"}"#, Fault::Key),
    (COHERE, 404, r#"{"message":"model 'x' not found"}"#, Fault::Client),
    (COHERE, 422, r#"{"message":"bad"}"#, Fault::Client),
    (
        COHERE,
        429,
        r#"{"message":"You are using a Trial key, which is limited to 10 API calls / minute"}"#,
        Fault::Capacity,
    ),
    (COHERE, 498, r#"{"message":"invalid token"}"#, Fault::Key),
    (COHERE, 500, r#"{"message":"internal"}"#, Fault::Provider),
];

#[test]
fn faults_by_what_providers_say() {
    let wrong: Vec<String> = TABLE
        .iter()
        .filter_map(|(decode, status, body, fault)| {
            let failure = decode(*status, body.as_bytes());
            let found = attribute(&Outcome::Status { status: *status, failure: &failure });
            (found != *fault).then(|| format!("{status} {body}: {found}, not {fault} ({failure:?})"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(TABLE.len() >= 80);
}

#[test]
fn faults_of_what_is_no_answer() {
    for (outcome, fault) in [
        (Outcome::Ok, Fault::None),
        (Outcome::Transport, Fault::Provider),
        (Outcome::Deadline, Fault::Provider),
        (Outcome::Cut, Fault::Provider),
        (Outcome::Malformed, Fault::Provider),
    ] {
        assert_eq!(attribute(&outcome), fault, "{outcome:?}");
    }
}

#[test]
fn every_status_has_a_fault_that_fits_its_hundred() {
    for status in 300..600 {
        let failure = Failure::new(FailureKind::of_status(status), "m");
        let fault = attribute(&Outcome::Status { status, failure: &failure });
        let fits = match status {
            401..=403 => fault == Fault::Key,
            429 | 529 => fault == Fault::Capacity,
            407 | 408 | 424 | 425 => fault == Fault::Provider,
            400..=499 => fault == Fault::Client,
            _ => fault == Fault::Provider,
        };
        assert!(fits, "{status}: {fault}");
    }
}

#[test]
fn what_may_still_help() {
    for (status, expected) in [
        (400, Retry::Never),
        (404, Retry::Never),
        (422, Retry::Never),
        (401, Retry::OtherKey),
        (402, Retry::OtherKey),
        (403, Retry::OtherKey),
        (429, Retry::OtherKey),
        (529, Retry::OtherKey),
        (500, Retry::SameKey),
        (503, Retry::SameKey),
    ] {
        let failure = Failure::new(FailureKind::of_status(status), "m");
        assert_eq!(Verdict::of(&Outcome::Status { status, failure: &failure }).retry(), expected, "{status}");
    }
    assert_eq!(Verdict::of(&Outcome::Transport).retry(), Retry::SameKey);
    assert_eq!(Verdict::NOBODY.retry(), Retry::Never);
}

#[test]
fn a_key_is_out_as_a_whole_unless_it_may_only_lack_the_model() {
    for (status, whole) in [(401, true), (402, true), (403, false), (429, false), (500, false)] {
        let failure = Failure::new(FailureKind::of_status(status), "m");
        assert_eq!(Verdict::of(&Outcome::Status { status, failure: &failure }).is_whole_key, whole, "{status}");
    }
}
