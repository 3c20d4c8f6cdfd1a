//! Keys, teams and customers as records of the registry, version 1: JSON with the names of the configuration.
//!
//! A record that a newer version wrote, or with a field that is not known here, is not read in part: what is left out
//! could be what forbids something. It hides the entry of the same name, and nobody may use it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::secret::KeyHash;
use crate::config::{Budget, Customer, KeyProvider, Limit, Moment, Team, VirtualKey};

const VERSION: u16 = 1;

/// Why a record is of no use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRecord {
    #[error("it was written by a newer version (format {0}, this version knows {VERSION}): upgrade this node")]
    Newer(u64),
    #[error("it is not what this version writes ({0}): upgrade this node, or write it again")]
    Malformed(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyV1 {
    v: u16,
    /// None: the value of the file's key of the same name stays valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    models: Vec<String>,
    budgets: Vec<Budget>,
    limits: Vec<Limit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<u32>,
    providers: Vec<KeyProvider>,
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TeamV1 {
    v: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    budgets: Vec<Budget>,
    limits: Vec<Limit>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerV1 {
    v: u16,
    budgets: Vec<Budget>,
    limits: Vec<Limit>,
}

pub(super) trait Recorded: Sized {
    fn read(id: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord>;
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnreadableRecord> {
    serde_json::from_slice(bytes).map_err(|error| {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        match value["v"].as_u64() {
            Some(version) if version > u64::from(VERSION) => UnreadableRecord::Newer(version),
            _ => UnreadableRecord::Malformed(error.to_string()),
        }
    })
}

fn known(version: u16) -> Result<(), UnreadableRecord> {
    if version == VERSION { Ok(()) } else { Err(UnreadableRecord::Newer(version.into())) }
}

impl Recorded for VirtualKey {
    fn read(id: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let KeyV1 { v, hash, team, models, budgets, limits, max_concurrent, providers, enabled, expires_at } =
            parse(bytes)?;
        known(v)?;
        let id = id.to_owned();
        Ok(Self {
            id,
            team,
            value: None,
            hash,
            models,
            budgets,
            limits,
            max_concurrent,
            providers,
            enabled,
            expires_at,
        })
    }
}

impl Recorded for Team {
    fn read(id: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let TeamV1 { v, customer, budgets, limits } = parse(bytes)?;
        known(v)?;
        Ok(Self { id: id.to_owned(), customer, budgets, limits })
    }
}

impl Recorded for Customer {
    fn read(id: &str, bytes: &[u8]) -> Result<Self, UnreadableRecord> {
        let CustomerV1 { v, budgets, limits } = parse(bytes)?;
        known(v)?;
        Ok(Self { id: id.to_owned(), budgets, limits })
    }
}

/// The record of a key. Its value is not in it: `hash` stands for it, or for the file's when there is none.
pub fn of_key(key: &VirtualKey, hash: Option<KeyHash>) -> Vec<u8> {
    let VirtualKey { team, models, budgets, limits, max_concurrent, providers, enabled, expires_at, .. } = key.clone();
    let hash = hash.map(|hash| hash.to_string());
    bytes(&KeyV1 { v: VERSION, hash, team, models, budgets, limits, max_concurrent, providers, enabled, expires_at })
}

/// The record of a team.
pub fn of_team(team: &Team) -> Vec<u8> {
    let Team { customer, budgets, limits, .. } = team.clone();
    bytes(&TeamV1 { v: VERSION, customer, budgets, limits })
}

/// The record of a customer.
pub fn of_customer(customer: &Customer) -> Vec<u8> {
    let Customer { budgets, limits, .. } = customer.clone();
    bytes(&CustomerV1 { v: VERSION, budgets, limits })
}

fn bytes(record: &impl Serialize) -> Vec<u8> {
    // Only maps with keys that are no texts fail, and there are none.
    serde_json::to_vec(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_records_never_change() {
        let key: VirtualKey = serde_json::from_value(serde_json::json!({
            "id": "k", "value": "never-written", "team": "t", "models": ["demo/*"], "expires_at": "2027-01-31T00:00:00Z",
            "budgets": [{"limit_usd": "0.01", "window": "1d"}], "limits": [{"unit": "requests", "limit": 5, "window": "1m"}],
            "providers": [{"provider": "demo", "budgets": [{"limit_usd": "1", "window": "1M"}]}],
        }))
        .unwrap();
        let hash = super::super::secret::KeyHasher::of_cluster("test").hash(b"x");
        let written = of_key(&key, Some(hash));
        let golden = format!(
            r#"{{"v":1,"hash":"{hash}","team":"t","models":["demo/*"],"budgets":[{{"limit_usd":"0.01","window":"1d"}}],"limits":[{{"unit":"requests","limit":5,"window":"1m"}}],"providers":[{{"provider":"demo","weight":1.0,"budgets":[{{"limit_usd":"1","window":"1M"}}],"limits":[]}}],"enabled":true,"expires_at":"2027-01-31T00:00:00Z"}}"#
        );
        assert_eq!(String::from_utf8(written.clone()).unwrap(), golden);
        let read = VirtualKey::read("k", &written).unwrap();
        assert_eq!(read, VirtualKey { value: None, hash: Some(hash.to_string()), ..key });

        let few = VirtualKey { max_concurrent: Some(3), ..read };
        let written = of_key(&few, Some(hash));
        assert!(String::from_utf8_lossy(&written).contains(r#""max_concurrent":3,"providers""#));
        assert_eq!(VirtualKey::read("k", &written).unwrap(), few);

        let team = Team { id: "t".into(), customer: None, budgets: vec![], limits: vec![] };
        assert_eq!(of_team(&team), br#"{"v":1,"budgets":[],"limits":[]}"#);
        assert_eq!(Team::read("t", &of_team(&team)), Ok(team));
        let customer = Customer { id: "c".into(), budgets: vec![], limits: vec![] };
        assert_eq!(Customer::read("c", &of_customer(&customer)), Ok(customer));
    }

    #[test]
    fn what_is_not_understood_is_not_read_in_part() {
        let newer = br#"{"v":2,"models":["*"],"only_on_mondays":true}"#;
        assert_eq!(VirtualKey::read("k", newer), Err(UnreadableRecord::Newer(2)));
        let unknown = br#"{"v":1,"budgets":[],"limits":[],"paused":true}"#;
        assert!(matches!(Team::read("t", unknown), Err(UnreadableRecord::Malformed(_))));
        assert!(VirtualKey::read("k", b"").is_err());
    }
}
