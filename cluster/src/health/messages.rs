//! What nodes say to one another about targets.
//!
//! Golden bytes below hold the types to what was released. A changed type is a new kind of message.

use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::breaker::Phase;
use super::target::Target;
use crate::wire::{Kind, Message, Request};

/// No message carries more reports.
pub const MAX_REPORTS: usize = 64;

/// What a node knows first-hand of some targets: those that changed since it told last.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct News {
    /// Of which life of the sender; the versions in it begin anew with each.
    pub epoch: u64,
    /// The oldest change first.
    pub reports: Vec<Report>,
}

/// All that a node reports, in short: it still holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    /// Of which life of the sender.
    pub epoch: u64,
    /// The sum of [`Report::fingerprint`] of all targets of which there is something to tell.
    pub sum: u64,
}

/// The answer to both.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Heard {
    /// The receiver holds what the sender reports; if not, the sender tells all of it again.
    pub agrees: bool,
}

/// What a node knows first-hand of a target.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// See [`Target::provider`].
    pub provider: String,
    /// See [`Target::key`].
    pub key: String,
    /// See [`Target::model`].
    pub model: String,
    /// Grows with every change; of two reports of one target the later holds.
    pub version: u64,
    /// What is said of it.
    pub said: Said,
}

/// What is said of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Said {
    /// The breaker.
    pub phase: Phase,
    /// Failures in a row, up to the number that opens a breaker.
    pub failures: u32,
    /// The breaker is open by what the sender saw itself.
    pub first_hand: bool,
    /// Calls so far that tried whether the target is back.
    pub probes: u32,
    /// Those since the breaker opened that failed.
    pub failed_probes: u32,
    /// Those so far that succeeded.
    pub recoveries: u32,
    /// The target is to be left alone.
    pub cool: Option<Cool>,
    /// Calls in a thousand seconds that the target is believed to bear from all nodes; 0: there is no belief.
    pub believed: u32,
    /// Calls in a thousand seconds from the sender; told while there is a belief.
    pub sent: u32,
}

/// A target or a key is to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cool {
    /// How much longer, when it is told.
    pub left_ms: u32,
    /// Why.
    pub why: Why,
}

/// Why a target is to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Why {
    /// It is full.
    Capacity,
    /// The key was refused.
    Key,
}

impl Why {
    /// Its name in logs and status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Capacity => "capacity",
            Why::Key => "key",
        }
    }
}

impl Message for News {
    const KIND: Kind = Kind::HealthNews;
}

impl Message for Digest {
    const KIND: Kind = Kind::HealthDigest;
}

impl Message for Heard {
    const KIND: Kind = Kind::HealthHeard;
}

impl Request for News {
    type Response = Heard;
}

impl Request for Digest {
    type Response = Heard;
}

impl Report {
    pub(super) fn new(target: &Target, version: u64, said: Said) -> Report {
        let [provider, key, model] = [&target.provider, &target.key, &target.model].map(|name| name.to_string());
        Report { provider, key, model, version, said }
    }

    /// What it is about.
    pub fn target(&self) -> Target {
        let [provider, key, model] = [&self.provider, &self.key, &self.model].map(|name| Arc::from(name.as_str()));
        Target { provider, key, model }
    }

    /// Its part in a [`Digest`].
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.target(), self.version)
    }
}

/// The part of a report of this version in a [`Digest`].
pub(super) fn fingerprint(target: &Target, version: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("peerway 2026-11 health report fingerprint");
    for name in [&target.provider, &target.key, &target.model] {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    hasher.update(&version.to_le_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

impl Said {
    /// Nothing speaks against the target.
    pub(super) fn is_clean(&self) -> bool {
        self.phase == Phase::Closed && self.failures == 0
    }

    /// There is nothing to tell: what was told before may be forgotten.
    pub(super) fn is_nothing(&self) -> bool {
        self.is_clean() && self.cool.is_none() && self.believed == 0
    }

    /// The same but for what passes by itself.
    pub(super) fn same(&self, other: &Said) -> bool {
        let settled = |said: &Said| Said { cool: None, sent: 0, ..*said };
        let moved = |one: u32, two: u32| one.abs_diff(two) > one.max(two) / 4;
        settled(self) == settled(other) && !moved(self.sent, other.sent)
    }
}

impl Cool {
    pub(super) fn new(left: Duration, why: Why) -> Cool {
        Cool { left_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX), why }
    }

    pub(super) fn left(&self) -> Duration {
        Duration::from_millis(u64::from(self.left_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[track_caller]
    fn golden<M: Message + PartialEq + std::fmt::Debug>(message: &M, expected: &str) {
        let bytes = wire::encode(message).unwrap();
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
        assert_eq!(wire::decode::<M>(&bytes).unwrap(), *message);
    }

    fn report() -> Report {
        let said = Said {
            phase: Phase::Open,
            failures: 5,
            first_hand: true,
            probes: 3,
            failed_probes: 2,
            recoveries: 1,
            cool: Some(Cool { left_ms: 2_000, why: Why::Capacity }),
            believed: 8_000,
            sent: 250,
        };
        Report { provider: "openai".into(), key: "main".into(), model: "gpt-4o".into(), version: 9, said }
    }

    #[test]
    fn the_bytes_of_messages_never_change() {
        golden(
            &News { epoch: 7, reports: vec![report()] },
            "0701066f70656e6169046d61696e066770742d346f0902050103020101fbd00700fb401ffa",
        );
        golden(&News { epoch: 7, reports: vec![] }, "0700");
        golden(&Digest { epoch: 7, sum: u64::MAX }, "07fdffffffffffffffff");
        golden(&Heard { agrees: true }, "01");
    }

    #[test]
    fn the_fingerprints_of_reports_never_change() {
        // Nodes of two versions compare their sums.
        assert_eq!(report().fingerprint(), 139504937249668692);
    }

    #[test]
    fn the_largest_news_fits_into_its_message() {
        let long = || "x".repeat(super::super::target::MAX_NAME);
        let said = Said { probes: u32::MAX, recoveries: u32::MAX, believed: u32::MAX, sent: u32::MAX, ..report().said };
        let report = Report { provider: long(), key: long(), model: long(), version: u64::MAX, said };
        wire::encode(&News { epoch: u64::MAX, reports: vec![report; MAX_REPORTS] }).unwrap();
    }
}
