use proptest::prelude::*;
use serde_json::Value;

use super::*;

const KEY: [u8; 32] = [9; 32];

fn id_of(body: &str) -> Result<EntryId, IdentityError> {
    entry_id(&KEY, &TenantScope::key("demo"), "faq", "chat/completions", body.as_bytes())
}

fn form(body: &str) -> String {
    String::from_utf8_lossy(&canonical::append(Vec::new(), body.as_bytes()).unwrap()).replace('\0', "")
}

#[test]
fn golden_ids() {
    let chat = r#"{"model":"demo/echo","messages":[{"role":"user","content":"Hello, wörld\n"}],"temperature":0.7,"max_tokens":100}"#;
    assert_eq!(id_of("{}").unwrap().to_string(), GOLDEN_EMPTY);
    assert_eq!(id_of(chat).unwrap().to_string(), GOLDEN_CHAT);
    assert_eq!(GOLDEN_CHAT.parse(), id_of(chat).map_err(|_| NotAnEntryId));
    assert_eq!("12".parse::<EntryId>(), Err(NotAnEntryId));
    let namespace = NamespaceId::new(&KEY, &TenantScope::key("demo"), "faq");
    assert_eq!(format!("{namespace:?}"), GOLDEN_NAMESPACE);
}

const GOLDEN_EMPTY: &str = "727bd7bd04741e711c2865e93be94d99c6c296412f87c6d5c16d119d388e6013";
const GOLDEN_CHAT: &str = "1e88138dd99fcbe44015c59bb102fba3f70b717b69cf7afabafd02c2dc22814c";
const GOLDEN_NAMESPACE: &str = "2d2ffb5163d87780252a5e662af50418/8e576dd5a3ada5ea6727f76e4af552d1";

#[test]
fn the_canonical_form_as_it_is_described() {
    assert_eq!(form(r#" { "b" : [ 1 , true , null ] , "a" : { } } "#), "{\"\u{1}a{}\"\u{1}b[#1;tn]}");
    let numbers = "[100,1.50,-0.0,0,1e2,-12.5E-1,1e-7,0.10e+3,123456789012345678901234567890]";
    assert_eq!(
        form(&format!(r#"{{"n":{numbers}}}"#)),
        "{\"\u{1}n[#1e2;#15e-1;#0;#0;#1e2;#-125e-2;#1e-7;#1e2;#12345678901234567890123456789e1;]}"
    );
}

#[test]
fn spelling_does_not_matter_but_case_order_and_type_do() {
    let same = [
        r#"{"a":"é/\n\"","b":1.0,"c":[1,2]}"#,
        r#"{"c":[1.0,20e-1],"b":1,"a":"\u00e9\/\u000a\u0022"}"#,
        "{\n\t\"\\u0061\" : \"\\u00E9/\\n\\\"\" ,\r \"b\":10e-1,\"c\": [ 1,2 ] }",
    ];
    assert!(same.iter().all(|body| id_of(body) == id_of(same[0])));
    let others = [
        r#"{"a":"É/\n\"","b":1.0,"c":[1,2]}"#,
        r#"{"a":"é/\n\"","b":1.0,"c":[2,1]}"#,
        r#"{"a":"é/\n\"","b":"1","c":[1,2]}"#,
        r#"{"a":"é/\n\"","b":1.0,"c":[1,2],"d":null}"#,
        r#"{"a":"é/\n\"","b":1.0,"c":[[1,2]]}"#,
        r#"{"a":"é/\n\" ","b":1.0,"c":[1,2]}"#,
    ];
    assert!(others.iter().all(|body| id_of(body).is_ok() && id_of(body) != id_of(same[0])));
    assert_eq!(id_of(r#"{"a":"\ud83d\ude00"}"#), id_of(r#"{"a":"😀"}"#));
}

#[test]
fn bookkeeping_is_left_out_at_the_top_and_only_there() {
    let plain = r#"{"model":"m","x":{"user":"u"}}"#;
    for name in EXCLUDED {
        let with = format!(r#"{{"model":"m","{name}":{{"a":[1]}},"x":{{"user":"u"}}}}"#);
        assert_eq!(id_of(&with), id_of(plain), "{name}");
    }
    assert_ne!(id_of(plain), id_of(r#"{"model":"m","x":{"user":"v"}}"#));
    for name in ["store", "seed", "service_tier", "n", "unknown_to_us", "Stream"] {
        assert_ne!(id_of(plain), id_of(&format!(r#"{{"model":"m","{name}":true,"x":{{"user":"u"}}}}"#)), "{name}");
    }
}

#[test]
fn what_is_around_the_request_is_in_the_id_and_nothing_flows_together() {
    let body = b"{}";
    let id = |scope: &TenantScope, namespace, operation| entry_id(&KEY, scope, namespace, operation, body).unwrap();
    let demo = TenantScope::key("demo");
    let base = id(&demo, "faq", "chat/completions");
    assert_ne!(base, id(&TenantScope::key("other"), "faq", "chat/completions"));
    assert_ne!(base, id(&TenantScope::team("demo"), "faq", "chat/completions"));
    assert_ne!(base, id(&demo, "fa", "chat/completions"));
    assert_ne!(base, id(&demo, "faq", "messages"));
    assert_ne!(id(&demo, "ab", "c"), id(&demo, "a", "bc"));
    assert_ne!(base, entry_id(&[8; 32], &demo, "faq", "chat/completions", body).unwrap());
}

#[test]
fn what_is_not_one_clear_request_has_no_id() {
    for twice in [r#"{"a":1,"a":1}"#, r#"{"b":{"x":1,"y":2,"\u0078":1}}"#, r#"{"stream":true,"stream":true}"#] {
        assert!(matches!(id_of(twice), Err(IdentityError::DuplicateKey { .. })), "{twice}");
    }
    for broken in [
        "",
        "[]",
        "\"a\"",
        "{",
        "{}x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":NaN}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\u+041\"}",
        "{\"a\":1e9999999999}",
    ] {
        assert!(matches!(id_of(broken), Err(IdentityError::Syntax { .. })), "{broken}");
    }
    let not_text = entry_id(&KEY, &TenantScope::cluster(), "", "", b"{\"a\":\"\xff\"}");
    assert_eq!(not_text, Err(IdentityError::NotUtf8));
    let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(id_of(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(id_of(&nested(MAX_DEPTH + 1)), Err(IdentityError::TooDeep));
}

#[test]
fn a_tangled_request_is_refused_instead_of_sorted_again_and_again() {
    // At each level the long member comes last but belongs first.
    let mut body = format!("\"{}\"", "x".repeat(1024 * 1024));
    for _ in 0..MAX_DEPTH - 1 {
        body = format!(r#"{{"b":0,"a":{body}}}"#);
    }
    assert_eq!(id_of(&body), Err(IdentityError::TooCostly));
    let small = format!(r#"{{"b":0,"a":{{"d":0,"c":"{}"}}}}"#, "x".repeat(1024));
    assert!(id_of(&small).is_ok());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn request() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-z_]{1,12}", value(), 1..8)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
        .prop_filter("something must be in the id", |value| {
            value.as_object().is_some_and(|map| map.keys().any(|key| !EXCLUDED.contains(&key.as_str())))
        })
}

/// Writes a value in one of its many spellings.
struct Spelling(u64);

impl Spelling {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn gap(&mut self, out: &mut String) {
        for _ in 0..self.roll(3) {
            out.push([' ', '\n', '\t', '\r'][self.roll(4) as usize]);
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            let must = character < ' ' || character == '"' || character == '\\';
            if must || self.roll(5) == 0 {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    fn write(&mut self, value: &Value, out: &mut String) {
        self.gap(out);
        match value {
            Value::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                for index in 1..members.len() {
                    members.swap(index, self.roll(index as u64 + 1) as usize);
                }
                out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    self.gap(out);
                    self.text(key, out);
                    self.gap(out);
                    out.push(':');
                    self.write(value, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    self.write(item, out);
                }
                self.gap(out);
                out.push(']');
            }
            Value::String(text) => self.text(text, out),
            Value::Number(number) if number.is_i64() => match self.roll(3) {
                0 => out.push_str(&format!("{number}.000")),
                1 => out.push_str(&format!("{number}0e-1")),
                _ => out.push_str(&number.to_string()),
            },
            other => out.push_str(&other.to_string()),
        }
        self.gap(out);
    }
}

fn spelled(value: &Value, seed: u64) -> String {
    let mut out = String::new();
    Spelling(seed).write(value, &mut out);
    out
}

/// All places in a request, as JSON pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter().filter(|(key, _)| !at.is_empty() || !EXCLUDED.contains(&key.as_str())) {
                places(inner, &format!("{at}/{}", escape(key)), out);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{at}/{index}"), out));
        }
        _ => {}
    }
    if !at.is_empty() {
        out.push(at.to_owned());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_request_has_one_id_however_it_is_spelled(request in request(), seed in any::<u64>()) {
        let plain = id_of(&request.to_string()).unwrap();
        prop_assert_eq!(id_of(&spelled(&request, seed)).unwrap(), plain);
    }

    #[test]
    fn another_value_anywhere_gives_another_id(request in request(), other in value(), pick in any::<prop::sample::Index>()) {
        let mut all = Vec::new();
        places(&request, "", &mut all);
        let mut changed = request.clone();
        let place = changed.pointer_mut(pick.get(&all[..]).as_str()).unwrap();
        prop_assume!(*place != other && place.as_f64() != other.as_f64().or(Some(f64::NAN)));
        *place = other;
        prop_assert_ne!(id_of(&changed.to_string()).unwrap(), id_of(&request.to_string()).unwrap());
    }

    #[test]
    fn we_read_what_a_json_parser_reads(body in r#"\{"a":[\[\]{}":,0-9eE.+\-truefalsn\\ ]{0,12}\}"#) {
        let other = serde_json::from_str::<Value>(&body);
        match id_of(&body) {
            Ok(_) => prop_assert!(other.is_ok() || body.contains(['e', 'E']), "{body}"),
            Err(IdentityError::Syntax { .. }) => prop_assert!(other.is_err() || body.contains(['e', 'E']), "{body}"),
            Err(_) => {}
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = entry_id(&KEY, &TenantScope::cluster(), "", "", &body);
    }
}

#[test]
fn numbers_that_differ_in_a_digit_too_small_for_a_float_differ() {
    assert_ne!(id_of(r#"{"seed":9007199254740993}"#), id_of(r#"{"seed":9007199254740992}"#));
}
