//! A Google service account: who it is, and the signed claim by which it gets an access token (RFC 7523).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::url::{self, BadUrl, Names};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The longest that Google takes.
const CLAIM_SECONDS: u64 = 3600;

/// What is wrong with a service account. The text never repeats the input: it holds a private key.
#[derive(Debug, thiserror::Error)]
pub enum BadServiceAccount {
    #[error("the service account is not the JSON of one: `{field}` is missing or no text")]
    Json { field: &'static str },
    #[error("the service account's `private_key` is not an RSA key in PKCS #8 PEM")]
    Key,
    #[error("the service account's `token_uri`: {0}")]
    TokenUri(BadUrl),
    #[error("the service account's key does not sign")]
    Sign,
}

#[derive(Clone)]
pub(super) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: Arc<RsaKeyPair>,
    token_uri: String,
    pub(super) project: Option<String>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct File {
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    project_id: Option<String>,
}

impl ServiceAccount {
    pub(super) fn parse(json: &str) -> Result<Self, BadServiceAccount> {
        let missing = |field| BadServiceAccount::Json { field };
        let file: File = serde_json::from_str(json).map_err(|_| missing("client_email"))?;
        let pem = file.private_key.ok_or_else(|| missing("private_key"))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadServiceAccount::Key)?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| BadServiceAccount::Key)?;
        Ok(Self {
            email: file.client_email.ok_or_else(|| missing("client_email"))?,
            key_id: file.private_key_id,
            key: Arc::new(key),
            token_uri: file.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned()),
            project: file.project_id,
        })
    }

    /// Where tokens are asked for. It comes with the file, so it is judged as any other URL of the configuration.
    pub(super) fn token_url(&self, allow_private: bool, names: Names) -> Result<Uri, BadServiceAccount> {
        url::target(&self.token_uri, allow_private, names).map_err(BadServiceAccount::TokenUri)
    }

    /// The claim in its signed form (JWT, RS256).
    pub(super) fn assertion(&self, unix_seconds: u64) -> Result<String, BadServiceAccount> {
        let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = serde_json::json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": unix_seconds,
            "exp": unix_seconds + CLAIM_SECONDS,
        });
        let mut text = URL_SAFE_NO_PAD.encode(header.to_string());
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| BadServiceAccount::Sign)?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(text)
    }
}
