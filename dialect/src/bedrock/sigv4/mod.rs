//! AWS Signature Version 4: signing a request for Bedrock, and reading whose signature a client's request carries.
//!
//! A client's signature itself cannot be checked here: only who holds its secret could.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::path::escape;

mod presented;

pub use presented::{Presented, parse_authorization};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    /// Of temporary credentials.
    pub session_token: Option<&'a str>,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Where and when a signature holds.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub region: &'a str,
    /// `bedrock`, whatever the host is called.
    pub service: &'a str,
    /// AWS takes it for five minutes around.
    pub unix_seconds: u64,
}

/// What is signed, as it goes over the wire.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    pub method: &'a str,
    /// Escaped as it is sent, see [`super::encode_model_id`].
    pub path: &'a str,
    /// Without the `?`, escaped as it is sent.
    pub query: &'a str,
    /// At least `host`. Headers that a proxy may touch are better left out.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

/// The headers to add to what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub authorization: String,
    pub x_amz_date: String,
    pub x_amz_security_token: Option<String>,
}

/// Signs a request.
pub fn sign(request: &ToSign<'_>, credentials: &Credentials<'_>, scope: &Scope<'_>) -> Signed {
    let time = amz_date(scope.unix_seconds);
    let date = &time[..8];
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), one_spaced(value))).collect();
    headers.push(("x-amz-date".to_owned(), time.clone()));
    if let Some(token) = credentials.session_token {
        headers.push(("x-amz-security-token".to_owned(), token.to_owned()));
    }
    let (canonical_headers, signed_headers) = canonical_headers(headers);
    let canonical = format!(
        "{}\n{}\n{}\n{canonical_headers}\n{signed_headers}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        hex(&Sha256::digest(request.body)),
    );
    let Scope { region, service, .. } = scope;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = mac(format!("AWS4{}", credentials.secret_access_key).as_bytes(), date);
    let key = mac(&mac(&mac(&key, region), service), "aws4_request");
    let signature = hex(&mac(&key, &to_sign));
    let id = credentials.access_key_id;
    Signed {
        authorization: format!(
            "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
        ),
        x_amz_date: time,
        x_amz_security_token: credentials.session_token.map(str::to_owned),
    }
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of any length: an error cannot be, and would only make a signature that AWS refuses.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A String takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn one_spaced(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `name:value` lines in the order of names, values of one name joined, and the names.
fn canonical_headers(mut headers: Vec<(String, String)>) -> (String, String) {
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    let (mut lines, mut names, mut last) = (String::new(), String::new(), None);
    for (name, value) in &headers {
        if last == Some(name) {
            lines.pop();
            lines.push(',');
        } else {
            if last.is_some() {
                names.push(';');
            }
            names.push_str(name);
            lines.push_str(name);
            lines.push(':');
        }
        lines.push_str(value);
        lines.push('\n');
        last = Some(name);
    }
    (lines, names)
}

/// Without `.`, `..` and doubled slashes, and escaped once more: what is `%3A` on the wire is signed as `%253A`.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 8);
    for segment in &segments {
        canonical.push('/');
        escape(segment.as_bytes(), &mut canonical);
    }
    if canonical.is_empty() || path.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `20150830T123600Z`. Days to a date as in Howard Hinnant's `civil_from_days`, with years that begin in March.
fn amz_date(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400 + 719_468, unix_seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests;
