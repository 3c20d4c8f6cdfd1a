//! What a node says of itself, as gossip's keys and values.

use std::collections::BTreeMap;
use std::sync::Arc;

use chitchat::NodeState;

use super::MembershipError;
use super::view::{Heard, Member, State};
use crate::identity::{Generation, Incarnation};

/// The longest key that can be published.
pub const MAX_PUBLISHED_KEY: usize = 64;
/// The longest value that can be published.
pub const MAX_PUBLISHED_VALUE: usize = 8 * 1024;
/// How many keys a node can publish.
pub const MAX_PUBLISHED_KEYS: usize = 64;

pub(super) const STATE: &str = "state";
const INCARNATION: &str = "incarnation";
const ZONE: &str = "zone";
const HTTP: &str = "http";
const VERSION: &str = "version";
const WEIGHT: &str = "weight";
// Published keys stand in a room of their own, so that none is ever taken for one of the above.
const PUBLISHED: &str = "p.";

/// What this node tells of itself from the first message on.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Where it stands.
    pub zone: Option<Arc<str>>,
    /// Where its data plane listens.
    pub http: String,
    /// The version of its program.
    pub version: String,
    /// Its share of the ring relative to the others'.
    pub weight: f64,
}

/// The keys without which a node is not a member yet.
pub(super) fn initial(presence: &Presence, incarnation: Incarnation) -> BTreeMap<String, String> {
    [
        (INCARNATION, incarnation.to_string()),
        (STATE, State::Starting.to_string()),
        (ZONE, presence.zone.as_deref().unwrap_or_default().to_owned()),
        (HTTP, presence.http.clone()),
        (VERSION, presence.version.clone()),
        (WEIGHT, presence.weight.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The gossip key for a published one.
pub(super) fn published(own: &BTreeMap<String, String>, key: &str, value: &str) -> Result<String, MembershipError> {
    if key.is_empty() || key.len() > MAX_PUBLISHED_KEY || value.len() > MAX_PUBLISHED_VALUE {
        return Err(MembershipError::TooLong { key: key.to_owned(), len: value.len() });
    }
    let name = format!("{PUBLISHED}{key}");
    let others = own.keys().filter(|held| held.starts_with(PUBLISHED) && **held != name).count();
    if others >= MAX_PUBLISHED_KEYS { Err(MembershipError::TooMany { key: key.to_owned() }) } else { Ok(name) }
}

/// The member that a node's keys describe, once all that are needed have arrived.
pub(super) fn member(node: &NodeState, heard: Heard) -> Option<Member> {
    let id = node.chitchat_id();
    let zone = node.get(ZONE)?;
    Some(Member {
        id: id.node_id.parse().ok()?,
        incarnation: Incarnation(node.get(INCARNATION)?.parse().ok()?),
        generation: Generation(id.generation_id),
        // A word from a later version: the node is there, but what it does is not ours to judge.
        state: node.get(STATE)?.parse().unwrap_or(State::Starting),
        zone: (!zone.is_empty()).then(|| zone.into()),
        http: node.get(HTTP)?.to_owned(),
        address: id.gossip_advertise_addr,
        version: node.get(VERSION)?.to_owned(),
        weight: node.get(WEIGHT)?.parse().ok()?,
        published: node
            .iter_prefix(PUBLISHED)
            .filter(|(_, value)| value.value.len() <= MAX_PUBLISHED_VALUE)
            .take(MAX_PUBLISHED_KEYS)
            .map(|(key, value)| (key[PUBLISHED.len()..].to_owned(), value.value.clone()))
            .collect(),
        heard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_bounded() {
        let mut own = BTreeMap::new();
        assert!(published(&own, "", "x").is_err());
        assert!(published(&own, &"k".repeat(65), "x").is_err());
        assert!(published(&own, "k", &"v".repeat(8193)).is_err());
        for number in 0..64 {
            own.insert(published(&own, &format!("k{number}"), "v").unwrap(), "v".into());
        }
        assert!(matches!(published(&own, "one-more", "v"), Err(MembershipError::TooMany { .. })));
        assert!(published(&own, "k7", "again").is_ok());
    }

    #[test]
    fn a_member_needs_all_of_its_keys() {
        let presence = Presence { zone: Some("east".into()), http: "h:1".into(), version: "1".into(), weight: 1.5 };
        let keys = initial(&presence, Incarnation(9));
        let heard = Heard::now(tokio::time::Instant::now());
        for missing in keys.keys() {
            let mut node = NodeState::for_test();
            keys.iter().filter(|(key, _)| *key != missing).for_each(|(key, value)| node.set(key, value));
            assert!(member(&node, heard.clone()).is_none(), "{missing}");
        }
        let mut node = NodeState::for_test();
        keys.iter().for_each(|(key, value)| node.set(key, value));
        node.set("p.state", "busy");
        let seen = member(&node, heard.clone()).unwrap();
        assert_eq!((seen.incarnation, seen.state, seen.weight), (Incarnation(9), State::Starting, 1.5));
        assert_eq!((seen.zone.as_deref(), seen.published["state"].as_str()), (Some("east"), "busy"));
        node.set(STATE, "hibernating");
        assert_eq!(member(&node, heard).unwrap().state, State::Starting);
    }
}
