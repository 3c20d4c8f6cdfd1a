//! Headers of an operator's own that requests to a provider carry.

use http::HeaderName;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::table::{Auth, Row};

/// Headers that say how a request is sent or who sends it, which is the gateway's to say.
const OWNED: [HeaderName; 15] = [
    ACCEPT,
    ACCEPT_ENCODING,
    AUTHORIZATION,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const OWNED_TOO: [&str; 4] = ["keep-alive", "proxy-connection", "x-request-id", "http2-settings"];

/// Why a header cannot be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("not the name of a header")]
    Name,
    #[error("the gateway sets this header itself")]
    Owned,
    #[error("this header carries the key")]
    Credential,
}

/// The name of a header that a provider of this kind may be given.
pub fn custom(name: &str, row: &Row) -> Result<HeaderName, BadHeader> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadHeader::Name)?;
    let credential = match row.auth {
        Auth::Header(own) => name == own,
        Auth::Aws => name.as_str().starts_with("x-amz-"),
        Auth::Bearer | Auth::Google => false,
    };
    if credential || name == AUTHORIZATION {
        Err(BadHeader::Credential)
    } else if OWNED.contains(&name) || OWNED_TOO.contains(&name.as_str()) {
        Err(BadHeader::Owned)
    } else {
        Ok(name)
    }
}
