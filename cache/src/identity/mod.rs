//! Which requests are the same: the id of an entry.
//!
//! An id is a keyed BLAKE3 over the tenant scope, the namespace, the operation and the canonical request. It is the
//! same under another order of object members, other whitespace and another spelling of a number or an escape; it is
//! another one under any change of a value, so that two requests that may be answered differently never share one.

mod canonical;
mod number;
mod scope;
mod text;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use bincode::{Decode, Encode};

pub use canonical::MAX_DEPTH;
pub(crate) use scope::name_digest;
pub use scope::{NamespaceId, TenantScope};

/// The rules of this file and of the canonical form; a change of them is another version, and so other ids.
const VERSION: u8 = 1;

/// The members of a request that say how an answer travels or who is to be written into a log, and never what the
/// answer is. Everything else is part of the id, also `store` (what the provider does differs), `seed`,
/// `service_tier` (the answer names it) and all members that this gateway does not know.
pub const EXCLUDED: [&str; 8] = [
    "fallbacks",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "stream",
    "stream_options",
    "user",
];

/// Why a request has no id. It is then passed by the cache, and the provider has the word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not UTF-8.
    #[error("the request is not UTF-8 text")]
    NotUtf8,
    /// Not JSON.
    #[error("the request is not valid JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Two members of one object have one name; which of them counts is each provider's own choice.
    #[error("the request names an object member twice before byte {at}; remove one of them")]
    DuplicateKey {
        /// The end of the object.
        at: usize,
    },
    /// Nested beyond [`MAX_DEPTH`].
    #[error("the request is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too long, or so nested and disordered that the canonical form costs too much.
    #[error("the request is too long or too tangled for the cache")]
    TooCostly,
}

/// The name of one answer in the cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct EntryId([u8; 32]);

impl EntryId {
    /// The bytes, by which the ring places the entry.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for EntryId {
    fn from(bytes: [u8; 32]) -> EntryId {
        EntryId(bytes)
    }
}

// An id is a keyed hash already: eight bytes of it are as good as all for a table.
impl Hash for EntryId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an entry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry id is 64 hexadecimal digits")]
pub struct NotAnEntryId;

impl FromStr for EntryId {
    type Err = NotAnEntryId;

    fn from_str(text: &str) -> Result<EntryId, NotAnEntryId> {
        blake3::Hash::from_hex(text).map(|hash| EntryId(*hash.as_bytes())).map_err(|_| NotAnEntryId)
    }
}

/// The id of the answer to `body`, a JSON object.
///
/// `operation` says what is asked of whom (`chat/completions`), because one body may be valid for two of them.
pub fn entry_id(
    cluster_key: &[u8; 32],
    scope: &TenantScope,
    namespace: &str,
    operation: &str,
    body: &[u8],
) -> Result<EntryId, IdentityError> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 4 + 256);
    out.push(VERSION);
    for part in [scope.as_str(), namespace, operation] {
        text::append(&mut out, part.as_bytes());
    }
    let out = canonical::append(out, body)?;
    Ok(EntryId(*blake3::keyed_hash(cluster_key, &out).as_bytes()))
}

#[cfg(test)]
mod tests;
