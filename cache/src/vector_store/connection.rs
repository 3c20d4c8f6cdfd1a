//! Where a vector database is, and by which key it lets in.

use std::fmt;

use http::{HeaderValue, Uri};

/// The longest name of a collection before the embedder's is added.
const MAX_COLLECTION: usize = 64;

/// Where a vector database is. Checked as far as that goes without asking there.
#[derive(Clone)]
pub struct Connection {
    pub(super) url: Uri,
    pub(super) api_key: Option<String>,
    pub(super) collection: String,
}

/// Why a database cannot be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Not a URL of a server.
    #[error("the url must be http:// or https:// with a host, without user, password or query")]
    Url,
    /// Not what can be sent as a header.
    #[error("the api_key has characters that no header can carry, perhaps a line break at its end")]
    ApiKey,
    /// A name that not every database takes.
    #[error(
        "the collection must be of at most {MAX_COLLECTION} letters, digits and underscores, and begin with a letter"
    )]
    Collection,
}

impl Connection {
    /// The database at this URL (`http://` or `https://`); `collection` is what its collections' names begin with.
    pub fn new(url: &str, api_key: Option<&str>, collection: &str) -> Result<Connection, ConnectionError> {
        let url: Uri = url.trim_end_matches('/').parse().map_err(|_| ConnectionError::Url)?;
        let is_plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        if !matches!(url.scheme_str(), Some("http" | "https")) || !is_plain || !has_host || url.query().is_some() {
            return Err(ConnectionError::Url);
        }
        if api_key.is_some_and(|key| key.is_empty() || !key.is_ascii() || HeaderValue::from_str(key).is_err()) {
            return Err(ConnectionError::ApiKey);
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = collection.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !begins || collection.len() > MAX_COLLECTION || !collection.bytes().all(fits) {
            return Err(ConnectionError::Collection);
        }
        Ok(Connection { url, api_key: api_key.map(str::to_owned), collection: collection.to_owned() })
    }

    /// Host and port, for logs.
    pub(super) fn place(&self) -> &str {
        self.url.authority().map_or("", |authority| authority.as_str())
    }

    /// The URL with nothing at its end.
    pub(super) fn base(&self) -> String {
        self.url.to_string().trim_end_matches('/').to_owned()
    }
}

// The key is a secret.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("place", &self.place())
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_connection_is_said_by_name() {
        let url = |url| Connection::new(url, None, "peerway").map(|connection| connection.base());
        assert_eq!(url("http://127.0.0.1:6334/"), Ok("http://127.0.0.1:6334".to_owned()));
        assert_eq!(url("https://db.example.com/vectors"), Ok("https://db.example.com/vectors".to_owned()));
        for bad in
            ["", "127.0.0.1:6334", "redis://host", "http://", "http://user:word@host", "http://host/?a=b", "/path"]
        {
            assert_eq!(url(bad), Err(ConnectionError::Url), "{bad}");
        }
        let key = |key| Connection::new("http://host", Some(key), "peerway").map(drop);
        assert_eq!(key("k-1"), Ok(()));
        for bad in ["", "k\n", "schlüssel"] {
            assert_eq!(key(bad), Err(ConnectionError::ApiKey), "{bad:?}");
        }
        for bad in ["", "1a", "_a", "a-b", "a/b", &"x".repeat(65)] {
            let built = Connection::new("http://host", None, bad).map(drop);
            assert_eq!(built, Err(ConnectionError::Collection), "{bad}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let connection = Connection::new("http://host:1", Some("k-secret"), "peerway").unwrap();
        assert_eq!(format!("{connection:?}"), r#"Connection { place: "host:1", collection: "peerway", .. }"#);
    }
}
