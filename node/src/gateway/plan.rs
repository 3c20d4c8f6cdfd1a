//! A checked configuration, compiled for the request path: hashes instead of keys, prepared upstreams, routes.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use peerway_cluster::ledger::allowance::Tier;

use crate::config::{self, Config, ConfigErrors};
use crate::governance::charges::{self, Owner};
use crate::governance::{Charges, PriceBook, Reserve};
use crate::provider::{ClientFactory, Pattern, Upstream, UpstreamError};
use crate::routing::Routes;

/// Headers that SDKs put a key into, besides `Authorization: Bearer`.
const KEY_HEADERS: [&str; 5] = ["x-peerway-key", "x-api-key", "x-goog-api-key", "api-key", "x-bf-vk"];

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("TLS to providers cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Prices(#[from] ConfigErrors),
}

/// A client's key, without its value.
#[derive(Debug)]
pub struct VirtualKey {
    pub id: Arc<str>,
    pub team: Option<Arc<str>>,
    pub customer: Option<Arc<str>>,
    models: Vec<Pattern>,
    /// What its requests are charged to.
    pub charges: Charges,
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
}

#[derive(Debug)]
pub struct Plan {
    pub routes: Routes,
    pub require_key: bool,
    pub max_body: u64,
    pub cache: config::Cache,
    pub prices: PriceBook,
    /// Output tokens that are reckoned with where neither the request nor the model's price bounds them.
    pub default_output: u64,
    /// Hashed with a key that lives as long as this plan: a look-up takes the same time whatever is sent, and the
    /// table is of no use to whoever gets to see it.
    keys: HashMap<[u8; 32], Arc<VirtualKey>>,
    hash_key: [u8; 32],
}

impl Plan {
    /// Reads the price file, if one is configured.
    pub fn compile(config: &Config, workers: usize, ledger: &dyn Reserve) -> Result<Self, PlanError> {
        let factory = ClientFactory::new()?;
        let upstreams = config
            .providers
            .iter()
            .map(|provider| Upstream::prepare(provider, workers, &factory).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let governance = &config.governance;
        let hash_key: [u8; 32] = rand::random();
        let keys = governance
            .keys
            .iter()
            .map(|key| {
                let team = governance.teams.iter().find(|team| Some(&team.id) == key.team.as_ref());
                let customer = team.and_then(|team| team.customer.as_ref());
                let customer = governance.customers.iter().find(|known| Some(&known.id) == customer);
                let customer_caps = customer.map(|customer| charges::caps(&customer.budgets, &[])).unwrap_or_default();
                let team_caps = team.map(|team| charges::caps(&team.budgets, &[])).unwrap_or_default();
                let key_caps = charges::caps(&key.budgets, &key.limits);
                let owners = [
                    customer.map(|customer| (Tier::Customer, &customer.id, &customer_caps)),
                    team.map(|team| (Tier::Team, &team.id, &team_caps)),
                    Some((Tier::Key, &key.id, &key_caps)),
                ];
                let owners: Vec<Owner<'_>> =
                    owners.into_iter().flatten().map(|(tier, name, caps)| Owner { tier, name, caps }).collect();
                let compiled = VirtualKey {
                    charges: Charges::compile(&owners, &[], ledger),
                    id: key.id.as_str().into(),
                    team: key.team.as_deref().map(Arc::from),
                    customer: team.and_then(|team| team.customer.as_deref()).map(Arc::from),
                    models: key.models.iter().map(Pattern::new).collect(),
                };
                let hash = *blake3::keyed_hash(&hash_key, key.value.expose().as_bytes()).as_bytes();
                (hash, Arc::new(compiled))
            })
            .collect();
        Ok(Self {
            routes: Routes::new(&config.routes, upstreams),
            require_key: governance.require_key,
            max_body: config.http.max_body.get(),
            cache: config.cache.clone(),
            prices: PriceBook::load(config)?,
            default_output: governance.default_max_output_tokens,
            keys,
            hash_key,
        })
    }

    /// The virtual key that the request carries, in whichever header: `Err` tells whether one was sent at all.
    pub fn key_of(&self, headers: &HeaderMap) -> Result<Arc<VirtualKey>, KeyMissing> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let others = KEY_HEADERS.iter().filter_map(|name| headers.get(*name)).map(|value| value.as_bytes());
        let mut missing = KeyMissing::NotSent;
        for sent in bearer.into_iter().chain(others).filter(|sent| !sent.is_empty()) {
            match self.keys.get(blake3::keyed_hash(&self.hash_key, sent).as_bytes()) {
                Some(key) => return Ok(Arc::clone(key)),
                None => missing = KeyMissing::Unknown,
            }
        }
        Err(missing)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMissing {
    NotSent,
    Unknown,
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let config: Config = serde_json::from_value(serde_json::json!({
            "governance": {
                "teams": [{"id": "search", "customer": "acme"}],
                "keys": [{"id": "a", "team": "search", "value": "sk-a", "models": ["smart", "demo/*"]}],
            },
        }))
        .unwrap();
        Plan::compile(&config, 1, &crate::governance::local::LocalLedger::default()).unwrap()
    }

    #[test]
    fn a_key_is_found_in_any_header() {
        let plan = plan();
        for (name, value) in [
            ("authorization", "Bearer sk-a"),
            ("authorization", "bearer  sk-a"),
            ("x-api-key", "sk-a"),
            ("x-goog-api-key", "sk-a"),
            ("api-key", "sk-a"),
            ("x-peerway-key", "sk-a"),
            ("x-bf-vk", "sk-a"),
        ] {
            let headers: HeaderMap = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            let key = plan.key_of(&headers).unwrap();
            assert_eq!((&*key.id, key.team.as_deref(), key.customer.as_deref()), ("a", Some("search"), Some("acme")));
        }
    }

    #[test]
    fn no_key_and_a_wrong_key_are_told_apart() {
        let plan = plan();
        assert_eq!(plan.key_of(&HeaderMap::new()).unwrap_err(), KeyMissing::NotSent);
        let headers = [(AUTHORIZATION, "Bearer sk-b".parse().unwrap())].into_iter().collect();
        assert_eq!(plan.key_of(&headers).unwrap_err(), KeyMissing::Unknown);
    }

    #[test]
    fn a_key_is_allowed_what_its_patterns_say() {
        let headers = [(AUTHORIZATION, "Bearer sk-a".parse().unwrap())].into_iter().collect();
        let key = plan().key_of(&headers).unwrap();
        assert!(key.allows(&["smart"]) && key.allows(&["echo", "demo/echo"]));
        assert!(!key.allows(&["echo", "other/echo"]));
    }
}
