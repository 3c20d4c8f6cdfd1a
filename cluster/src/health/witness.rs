//! What the peers say of one target, and how much of it counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breaker::Phase;
use super::messages::Said;
use super::settings::Settings;
use crate::identity::NodeId;

/// Failures that a peer had with a target that it still uses count for so long.
const FRESH: Duration = Duration::from_secs(30);

/// What one peer said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) said: Said,
    pub(super) version: u64,
    /// When it came.
    since: Duration,
    /// This node has seen a call succeed that began after the peer began to complain. Holds until the peer itself has
    /// nothing to complain of any more: a node whose own way out is broken goes on complaining.
    contradicted: bool,
}

/// The peers that may know something of one target.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    by_node: BTreeMap<NodeId, Word>,
}

/// What speaks against a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) nodes: u32,
    pub(super) failures: u32,
}

impl Evidence {
    pub(super) fn add(&mut self, failures: u32) {
        if failures > 0 {
            self.nodes += 1;
            self.failures = self.failures.saturating_add(failures);
        }
    }
}

impl Witnesses {
    /// Takes a peer's word; `None` when it has said something later before. Else what it said before.
    pub(super) fn hear(&mut self, now: Duration, from: &NodeId, version: u64, said: Said) -> Option<Said> {
        let before = self.by_node.get(from);
        if before.is_some_and(|word| version <= word.version) {
            return None;
        }
        // An open breaker is a stronger claim than the failures before it; one that opens again is the same claim.
        let persists = |word: &Word| {
            word.contradicted && !said.is_clean() && (word.said.phase != Phase::Closed || said.phase == Phase::Closed)
        };
        let contradicted = before.is_some_and(persists);
        let known = before.map(|word| word.said).unwrap_or(Said {
            probes: said.probes,
            recoveries: said.recoveries,
            ..Said::default()
        });
        self.by_node.insert(from.clone(), Word { said, version, since: now, contradicted });
        Some(known)
    }

    /// A call that began at `began` has succeeded here.
    pub(super) fn contradict(&mut self, began: Duration) {
        for word in self.by_node.values_mut() {
            word.contradicted |= word.since <= began && !word.said.is_clean();
        }
    }

    /// What counts of it for a node that had so many failures in a row itself. After some of its own it no longer holds
    /// against the others that a call succeeded before.
    pub(super) fn weigh(&self, now: Duration, settings: &Settings, own: u32) -> Evidence {
        let mut evidence = Evidence::default();
        let is_shaken = own.saturating_mul(2) > settings.failures;
        for word in self.by_node.values().filter(|word| !word.contradicted || is_shaken) {
            let said = &word.said;
            evidence.add(match said.phase {
                Phase::Open if said.first_hand => settings.failures,
                Phase::Open => said.failures.min(settings.failures),
                Phase::Closed | Phase::Recovering if now.saturating_sub(word.since) < FRESH => {
                    said.failures.min(settings.failures)
                }
                Phase::Closed | Phase::Recovering => 0,
            });
        }
        evidence
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Word)> {
        self.by_node.iter()
    }

    /// Whether a success here would say anything that is not known.
    pub(super) fn complain(&self) -> bool {
        self.by_node.values().any(|word| !word.said.is_clean() && !word.contradicted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    pub(super) fn keep(&mut self, mut live: impl FnMut(&NodeId) -> bool) {
        self.by_node.retain(|node, _| live(node));
    }

    /// Words that say nothing any more and are old enough that no earlier one can still come.
    pub(super) fn forget(&mut self, now: Duration) {
        self.by_node.retain(|_, word| !word.said.is_nothing() || now.saturating_sub(word.since) < FRESH);
    }
}
