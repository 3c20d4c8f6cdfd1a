//! Who may do what, ready for the request path.

use std::sync::{Arc, OnceLock};

use peerway_cluster::registry::Record;

use super::cap::Cap;
use super::overlay::Source;
use super::secret::KeyHash;
use crate::config;
use crate::governance::Charges;
use crate::provider::Pattern;

/// Who pays.
#[derive(Debug)]
pub struct Customer {
    pub id: Arc<str>,
    pub caps: Box<[Cap]>,
    /// As it was written.
    pub definition: Arc<config::Customer>,
    pub source: Source,
    pub(super) origin: Origin<config::Customer>,
}

/// A part of a customer.
#[derive(Debug)]
pub struct Team {
    pub id: Arc<str>,
    pub customer: Option<Arc<Customer>>,
    pub caps: Box<[Cap]>,
    /// As it was written.
    pub definition: Arc<config::Team>,
    pub source: Source,
    /// It names a customer that is not there.
    pub(super) orphan: bool,
    pub(super) origin: Origin<config::Team>,
}

/// One provider as one key may use it.
#[derive(Debug)]
pub struct KeyProvider {
    pub provider: Arc<str>,
    pub weight: f64,
    pub caps: Box<[Cap]>,
}

/// A client's key, without its value.
#[derive(Debug)]
pub struct VirtualKey {
    pub id: Arc<str>,
    pub team: Option<Arc<Team>>,
    /// Its team's.
    pub customer: Option<Arc<Customer>>,
    pub(super) models: Box<[Pattern]>,
    pub caps: Box<[Cap]>,
    pub providers: Box<[KeyProvider]>,
    /// How many of its requests may be in progress at once, at this node.
    pub max_concurrent: Option<u32>,
    pub enabled: bool,
    /// In unix seconds.
    pub expires_at: Option<i64>,
    /// As it was written, without its value.
    pub definition: Arc<config::VirtualKey>,
    pub source: Source,
    /// None: nobody can use it, as there is no value for it.
    pub hash: Option<KeyHash>,
    /// It names a team that is not there, or whose customer is not there.
    pub(super) orphan: bool,
    pub(super) origin: Origin<config::VirtualKey>,
    /// Said before anybody can use the key.
    pub(super) charges: OnceLock<Charges>,
}

/// What something was made of; the same allocation is the same content.
#[derive(Debug)]
pub(super) enum Origin<T> {
    File(Arc<T>),
    Record(Arc<Record>),
}

impl<T> Origin<T> {
    pub(super) fn is_file(&self, entry: &Arc<T>) -> bool {
        matches!(self, Origin::File(mine) if Arc::ptr_eq(mine, entry))
    }

    pub(super) fn is_record(&self, record: &Arc<Record>) -> bool {
        matches!(self, Origin::Record(mine) if Arc::ptr_eq(mine, record))
    }
}

/// Why a known key may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is disabled")]
    Disabled,
    #[error("it has expired")]
    Expired,
    /// Its team's budgets would not be charged.
    #[error("it belongs to a team or customer that does not exist any more")]
    Orphan,
}

impl VirtualKey {
    /// Whether the key may use a model, by the name that was asked for or by `provider/model`.
    pub fn allows(&self, names: &[&str]) -> bool {
        self.models.iter().any(|pattern| names.iter().any(|name| pattern.matches(name)))
    }

    /// The patterns, for error messages.
    pub fn models(&self) -> String {
        let patterns: Vec<&str> = self.models.iter().take(8).map(Pattern::as_str).collect();
        if patterns.is_empty() { "no model".to_owned() } else { patterns.join(", ") }
    }

    /// What its requests are charged to. None: no ledger was told of it, so it may spend nothing.
    pub fn charges(&self) -> Option<&Charges> {
        self.charges.get()
    }

    pub fn team_id(&self) -> Option<&str> {
        self.team.as_ref().map(|team| &*team.id)
    }

    pub fn customer_id(&self) -> Option<&str> {
        self.customer.as_ref().map(|customer| &*customer.id)
    }

    /// What the key may spend and use at one provider, if anything is said of that.
    pub fn provider(&self, name: &str) -> Option<&KeyProvider> {
        self.providers.iter().find(|provider| &*provider.provider == name)
    }

    /// Whether the key may be used now. Asks `now_unix` only for a key that expires.
    pub fn check(&self, now_unix: impl FnOnce() -> i64) -> Result<(), Unusable> {
        if !self.enabled {
            return Err(Unusable::Disabled);
        }
        if self.orphan {
            return Err(Unusable::Orphan);
        }
        match self.expires_at {
            Some(end) if end <= now_unix() => Err(Unusable::Expired),
            _ => Ok(()),
        }
    }
}
