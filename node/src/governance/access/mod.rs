//! Who may use the gateway: virtual keys, their teams and customers, with their budgets and limits as numbers.
//!
//! Two layers: the configuration file ([`base`]) and, over it, what was made or changed at run time: the records of the
//! registry ([`record`]). [`overlay`] puts one over the other, [`build`] makes an [`Access`] of it: the one table that a
//! request looks at. [`current`] holds the one in force; a change swaps it, and touches no provider. Values of keys are
//! nowhere in it, only their hashes ([`secret`]).

mod base;
mod build;
mod cap;
mod current;
mod difference;
mod overlay;
pub mod record;
pub mod secret;
mod virtual_key;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use peerway_cluster::ledger::allowance::Tier;
use peerway_cluster::registry::{RecordKind, Snapshot};
use peerway_dialect::bedrock::sigv4::parse_authorization;

use super::charges::{Charge, Charges, Owner, Reserve};

pub use base::Base;
pub use cap::{Cap, UnknownCap, caps};
pub use current::CurrentAccess;
pub use difference::{Difference, Differences, Over};
pub use overlay::Source;
pub use secret::{KeyHash, KeyHasher};
pub use virtual_key::{Customer, KeyProvider, Team, Unusable, VirtualKey};

/// Headers that SDKs put a key into, besides `Authorization: Bearer`.
static KEY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-peerway-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-bf-vk"),
];

/// Who may use the gateway, at one moment.
#[derive(Debug)]
pub struct Access {
    by_hash: HashMap<KeyHash, Arc<VirtualKey>>,
    pub keys: BTreeMap<Arc<str>, Arc<VirtualKey>>,
    pub teams: BTreeMap<Arc<str>, Arc<Team>>,
    pub customers: BTreeMap<Arc<str>, Arc<Customer>>,
    /// Records that hold but are not understood. What they name cannot be used.
    pub unreadable: Vec<Unreadable>,
    /// Entries of the file that were removed at run time.
    pub hidden: Vec<Hidden>,
    /// The names of the providers, to which keys may refer.
    pub providers: Arc<[String]>,
    pub hasher: KeyHasher,
    /// Of the registry's snapshot that it was made of.
    pub number: u64,
    /// All budgets and limits, once a ledger was told of them.
    charges: OnceLock<Box<[Charge]>>,
}

/// A record that is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub kind: RecordKind,
    pub id: Arc<str>,
    pub reason: String,
}

/// An entry of the file that was removed at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    pub kind: RecordKind,
    pub id: Arc<str>,
}

/// Why a request has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMissing {
    NotSent,
    Unknown,
    Unusable(Unusable),
}

impl Access {
    /// `before` is what it takes over unchanged entries from.
    pub fn new(base: &Base, snapshot: &Snapshot, before: Option<&Access>) -> Self {
        build::build(base, snapshot, before)
    }

    /// The virtual key that the request carries, in whichever header. A client that signs its requests as AWS wants it has
    /// the virtual key for its access key id: it is that alone that is looked at, like any other key that is sent; only a
    /// hash of it is kept here, with which no signature can be checked.
    pub fn key_of(&self, headers: &HeaderMap) -> Result<Arc<VirtualKey>, KeyMissing> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()).or_else(|| signer(value)));
        let others = KEY_HEADERS.iter().filter_map(|name| headers.get(name)).map(|value| value.as_bytes());
        let mut missing = KeyMissing::NotSent;
        for sent in bearer.into_iter().chain(others).filter(|sent| !sent.is_empty()) {
            // A look-up by hash takes the same time whatever is sent.
            match self.by_hash.get(&self.hasher.hash(sent)) {
                Some(key) => {
                    return key.check(now_unix).map(|()| Arc::clone(key)).map_err(KeyMissing::Unusable);
                }
                None => missing = KeyMissing::Unknown,
            }
        }
        Err(missing)
    }

    /// Tells the ledger of all budgets and limits, with what they are.
    pub(super) fn charge_to(&self, ledger: &dyn Reserve) {
        let customers = self.customers.values().map(|it| Owner { tier: Tier::Customer, name: &it.id, caps: &it.caps });
        let teams = self.teams.values().map(|it| Owner { tier: Tier::Team, name: &it.id, caps: &it.caps });
        let mut all: Vec<Charge> = customers.chain(teams).flat_map(|owner| owner.charges(ledger)).collect();
        for key in self.keys.values() {
            let charges = key.charges.get_or_init(|| Charges::compile(key, ledger));
            all.extend(charges.own().cloned());
        }
        // Only the first time counts, and there is only one.
        let _ = self.charges.set(all.into());
    }

    /// All budgets and limits, with who has them.
    pub fn charges(&self) -> &[Charge] {
        self.charges.get().map_or(&[], |charges| charges)
    }

    /// The key with this hash, whether it may be used or not.
    pub fn with_hash(&self, hash: &KeyHash) -> Option<&Arc<VirtualKey>> {
        self.by_hash.get(hash)
    }
}

/// Of the wall clock.
pub(crate) fn now_unix() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() as i64)
}

/// Whose signature it is.
fn signer(value: &HeaderValue) -> Option<&[u8]> {
    parse_authorization(value.to_str().ok()?).map(|presented| presented.access_key_id.as_bytes())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests;
