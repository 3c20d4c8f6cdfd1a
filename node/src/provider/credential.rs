//! What a provider is shown to know who asks: a key in a header, a signature, or an access token.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request};
use peerway_dialect::bedrock::sigv4::{self, Credentials, Scope, ToSign};

use super::service_account::{BadServiceAccount, ServiceAccount};
use super::table::{Auth, Row};
use super::token::{TokenError, TokenSource};
use super::url::Names;
use crate::config::ProviderKey;

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What is wrong with a configured key.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    #[error("the key's value is empty")]
    Empty,
    #[error("the value holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII)")]
    Characters,
    #[error(transparent)]
    ServiceAccount(#[from] BadServiceAccount),
}

/// A key as it was read.
#[derive(Debug)]
pub(super) enum KeyMaterial {
    Header(HeaderName, HeaderValue),
    Aws(AwsKey),
    Google(ServiceAccount),
}

pub(super) struct AwsKey {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl KeyMaterial {
    pub(super) fn read(row: &Row, key: &ProviderKey) -> Result<Self, BadKey> {
        let value = key.value.expose().trim();
        if value.is_empty() {
            return Err(BadKey::Empty);
        }
        if row.auth == Auth::Google && value.starts_with('{') {
            return Ok(Self::Google(ServiceAccount::parse(value)?));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey::Characters);
        }
        match (row.auth, &key.access_key_id) {
            (Auth::Header(name), _) => Ok(Self::Header(HeaderName::from_static(name), secret(value)?)),
            (Auth::Aws, Some(id)) => Ok(Self::Aws(AwsKey {
                access_key_id: id.clone(),
                secret_access_key: value.to_owned(),
                session_token: key.session_token.as_ref().map(|token| token.expose().to_owned()),
            })),
            _ => Ok(Self::Header(AUTHORIZATION, bearer(value)?)),
        }
    }

    /// The project that a service account belongs to.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            Self::Google(account) => account.project.as_deref(),
            _ => None,
        }
    }
}

/// What is wrong with a key of a provider of this kind, if anything is.
pub fn check_key(row: &Row, key: &ProviderKey, allow_private: bool, names: Names) -> Result<(), BadKey> {
    if let KeyMaterial::Google(account) = KeyMaterial::read(row, key)? {
        account.token_url(allow_private, names)?;
    }
    match &key.session_token {
        Some(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => Err(BadKey::Characters),
        _ => Ok(()),
    }
}

fn secret(value: &str) -> Result<HeaderValue, BadKey> {
    let mut value = HeaderValue::from_str(value).map_err(|_| BadKey::Characters)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Bearer` and a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, BadKey> {
    secret(&format!("Bearer {token}"))
}

/// A key that is ready for use.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    Header(HeaderName, HeaderValue),
    Aws { key: Arc<AwsKey>, region: Arc<str> },
    Google(Arc<TokenSource>),
}

impl Credential {
    /// Puts the credential on a request that lacks nothing else. Only a token may have to be waited for.
    pub(super) async fn show<B>(&self, request: &mut Request<B>, body: &[u8]) -> Result<(), TokenError> {
        match self {
            Self::Header(name, value) => {
                request.headers_mut().insert(name, value.clone());
            }
            Self::Aws { key, region } => key.sign(request, body, region, SystemTime::now()),
            Self::Google(source) => {
                let token = source.token().await?;
                request.headers_mut().insert(AUTHORIZATION, token);
            }
        }
        Ok(())
    }

    /// The provider has refused it. What can be had anew is not shown again.
    pub(super) fn refused(&self) {
        if let Self::Google(source) = self {
            source.refused();
        }
    }
}

impl AwsKey {
    fn sign<B>(&self, request: &mut Request<B>, body: &[u8], region: &str, now: SystemTime) {
        let host = match (request.uri().host(), request.uri().port_u16()) {
            (Some(host), Some(port)) if !is_default_port(request.uri().scheme_str(), port) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let signed = sigv4::sign(
            &ToSign {
                method: request.method().as_str(),
                path: request.uri().path(),
                query: request.uri().query().unwrap_or_default(),
                headers: &[(HOST.as_str(), &host), (CONTENT_TYPE.as_str(), kind)],
                body,
            },
            &Credentials {
                access_key_id: &self.access_key_id,
                secret_access_key: &self.secret_access_key,
                session_token: self.session_token.as_deref(),
            },
            &Scope {
                region,
                service: "bedrock",
                unix_seconds: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            },
        );
        // What was signed is ASCII, as the key was checked to be; a signature that is left out is refused by AWS.
        let headers = request.headers_mut();
        let mut set = |name: HeaderName, text: &str| {
            if let Ok(mut value) = HeaderValue::from_str(text) {
                value.set_sensitive(name != X_AMZ_DATE);
                headers.insert(name, value);
            }
        };
        set(AUTHORIZATION, &signed.authorization);
        set(X_AMZ_DATE, &signed.x_amz_date);
        if let Some(token) = &signed.x_amz_security_token {
            set(X_AMZ_SECURITY_TOKEN, token);
        }
    }
}

/// Whether a URL need not name the port, and a `host` header does not.
pub(super) fn is_default_port(scheme: Option<&str>, port: u16) -> bool {
    matches!((scheme, port), (Some("http"), 80) | (Some("https"), 443))
}
