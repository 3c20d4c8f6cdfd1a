//! AWS Signature Version 4, checked: "Create a signed AWS API request" of the IAM user guide, for the service `bedrock`.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use sha2::{Digest, Sha256};

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What an `authorization` header says.
#[derive(Debug)]
pub(crate) struct Signature<'a> {
    pub(crate) access_key_id: &'a str,
    /// `date/region/service/aws4_request`
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Signature<'a> {
    pub(crate) fn read(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let (access_key_id, scope) = field("Credential")?.split_once('/')?;
        Some(Self { access_key_id, scope, signed_headers: field("SignedHeaders")?, signature: field("Signature")? })
    }

    /// Whether the signature is the one that the secret gives for this request.
    pub(crate) fn fits(&self, secret: &str, parts: &Parts, body: &[u8]) -> bool {
        self.expected(secret, parts, body).is_some_and(|expected| expected == self.signature)
    }

    fn expected(&self, secret: &str, parts: &Parts, body: &[u8]) -> Option<String> {
        let mut scope = self.scope.split('/');
        let (date, region, service, end) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let time = parts.headers.get("x-amz-date")?.to_str().ok()?;
        if service != "bedrock" || end != "aws4_request" || !time.starts_with(date) {
            return None;
        }
        let request = hex(&Sha256::digest(self.canonical_request(parts, body)?));
        let to_sign = format!("{ALGORITHM}\n{time}\n{}\n{request}", self.scope);
        let mut key = mac(format!("AWS4{secret}").as_bytes(), date.as_bytes())?;
        for part in [region, service, end] {
            key = mac(&key, part.as_bytes())?;
        }
        Some(hex(&mac(&key, to_sign.as_bytes())?))
    }

    fn canonical_request(&self, parts: &Parts, body: &[u8]) -> Option<String> {
        // Every service but S3 encodes the path once more.
        let path: Vec<String> = parts.uri.path().split('/').map(encoded).collect();
        let mut query: Vec<(String, String)> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (encoded(&crate::door::decoded(name)), encoded(&crate::door::decoded(value))))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = format!("{}\n{}\n{}\n", parts.method, path.join("/"), query.join("&"));
        for name in self.signed_headers.split(';') {
            let values: Vec<&str> = parts
                .headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().ok().map(str::trim))
                .collect::<Option<_>>()?;
            if values.is_empty() {
                return None;
            }
            let joined = values.join(",");
            let words: Vec<&str> = joined.split(' ').filter(|word| !word.is_empty()).collect();
            let _ = writeln!(request, "{name}:{}", words.join(" "));
        }
        let digest = hex(&Sha256::digest(body));
        let claimed = parts.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
        if claimed.is_some_and(|claimed| claimed != digest) {
            return None;
        }
        let _ = write!(request, "\n{}\n{digest}", self.signed_headers);
        Some(request)
    }
}

fn mac(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}
