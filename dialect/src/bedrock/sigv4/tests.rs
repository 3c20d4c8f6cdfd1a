//! AWS's own examples, and what must hold for any request.

use super::*;
const KEY: Credentials<'_> = Credentials {
    access_key_id: "AKIDEXAMPLE",
    secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session_token: None,
};
const HOST: (&str, &str) = ("Host", "example.amazonaws.com");

fn signature(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
    key: &Credentials<'_>,
) -> String {
    let scope = Scope { region: "us-east-1", service: "service", unix_seconds: 1_440_938_160 };
    let signed = sign(&ToSign { method, path, query, headers, body: body.as_bytes() }, key, &scope);
    assert_eq!(signed.x_amz_date, "20150830T123600Z");
    let read = parse_authorization(&signed.authorization).unwrap();
    assert_eq!((read.access_key_id, read.date, read.region), ("AKIDEXAMPLE", "20150830", "us-east-1"));
    read.signature.to_owned()
}

/// The signature test suite that AWS publishes, in its own names.
#[test]
fn agrees_with_the_published_vectors() {
    const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
    let unreserved = format!("/{UNRESERVED}");
    let own = |extra: &[(&'static str, &'static str)]| [&[HOST], extra].concat();
    let same = own(&[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")]);
    let wide = own(&[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")]);
    let form = own(&[FORM]);
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    for (path, expected) in [
        ("/", vanilla),
        ("/example/..", vanilla),
        ("/./", vanilla),
        ("//example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        (unreserved.as_str(), "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        ("/\u{1234}", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ] {
        assert_eq!(signature("GET", path, "", &own(&[]), "", &KEY), expected, "{path}");
    }
    for (name, method, query, headers, body, expected) in [
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "Param2=value2&Param1=value1",
            own(&[]),
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "",
            same,
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "",
            wide,
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        ("post-vanilla", "POST", "", own(&[]), "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "post-vanilla-query",
            "POST",
            "Param1=value1",
            own(&[]),
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "",
            form,
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        assert_eq!(signature(method, "/", query, &headers, body, &KEY), expected, "{name}");
    }
}

#[test]
fn signs_the_session_token_of_temporary_credentials() {
    let token = "AQoDYXdzEPT//////////wEXAMPLE";
    let scope = Scope { region: "us-east-1", service: "service", unix_seconds: 1_440_938_160 };
    let request = ToSign { method: "POST", path: "/", query: "", headers: &[HOST], body: b"" };
    let signed = sign(&request, &Credentials { session_token: Some(token), ..KEY }, &scope);
    assert_eq!(signed.x_amz_security_token.as_deref(), Some(token));
    let read = parse_authorization(&signed.authorization).unwrap();
    assert_eq!(read.signed_headers, "host;x-amz-date;x-amz-security-token");
    assert_ne!(read.signature, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

/// Made with botocore's `SigV4Auth`.
#[test]
fn signs_an_escaped_model_id_as_the_sdk_does() {
    let scope = Scope { region: "eu-central-1", service: "bedrock", unix_seconds: 1_793_534_400 };
    let request = ToSign {
        method: "POST",
        path: "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        query: "",
        headers: &[("host", "bedrock-runtime.eu-central-1.amazonaws.com"), ("content-type", "application/json")],
        body: br#"{"messages":[]}"#,
    };
    let signed = sign(&request, &KEY, &scope);
    assert_eq!(signed.x_amz_date, "20261101T120000Z");
    assert_eq!(
        parse_authorization(&signed.authorization).unwrap().signature,
        "1c1b84d386cd707acc5294202754477380de5d1347bf35785a2143aeea0e33a6"
    );
}

#[test]
fn dates_over_the_centuries() {
    for (seconds, date) in [
        (0, "19700101T000000Z"),
        (951_782_399, "20000228T235959Z"),
        (951_782_400, "20000229T000000Z"),
        (1_709_164_800, "20240229T000000Z"),
        (1_735_689_599, "20241231T235959Z"),
        (4_107_542_400, "21000301T000000Z"),
    ] {
        assert_eq!(amz_date(seconds), date);
    }
}

#[test]
fn debug_keeps_the_secret() {
    assert!(!format!("{KEY:?}").contains("wJalr"));
}
