//! Purges: a growing number per tenant scope, per namespace and for all, that every entry is measured against.
//!
//! A purge raises a number; entries stamped below it are dead wherever they lie. Numbers only grow and merge by the
//! higher one, so the nodes agree in whatever order they hear of purges. They come from the clock as far as it goes, so
//! that a node which forgot everything in a restart does not begin below what others know.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use bincode::{Decode, Encode};

use crate::entry::MAX_LIFE;
use crate::identity::NamespaceId;

/// How many purges of scopes and namespaces are told apart; beyond this the oldest becomes a purge of all.
const MAX_TARGETS: usize = PARTS * PART_TARGETS;
/// The gossip takes values of 8 KiB, so the list goes out in parts of this many targets.
const PART_TARGETS: usize = 96;
const PARTS: usize = 4;
/// When no entry from before a purge can be alive any more, not even one that was under way, the purge is forgotten.
const RETENTION_MS: u64 = (MAX_LIFE.as_millis() + 3_600_000) as u64;

/// What a purge is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) enum Target {
    All,
    /// All namespaces of a tenant.
    Scope([u8; 16]),
    /// The namespaces of that name at all tenants.
    Name([u8; 16]),
    /// One namespace of one tenant.
    Namespace(NamespaceId),
}

/// The numbers, and nothing else: no clock, no lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GenerationMap {
    all: u64,
    targets: BTreeMap<Target, u64>,
}

impl GenerationMap {
    fn of(&self, target: Target) -> u64 {
        self.targets.get(&target).copied().unwrap_or(0)
    }

    /// The number below which the namespace's entries are dead.
    pub(crate) fn current(&self, namespace: &NamespaceId) -> u64 {
        if self.targets.is_empty() {
            return self.all;
        }
        self.all
            .max(self.of(Target::Scope(namespace.scope)))
            .max(self.of(Target::Name(namespace.name)))
            .max(self.of(Target::Namespace(*namespace)))
    }

    fn highest(&self) -> u64 {
        self.targets.values().copied().fold(self.all, u64::max)
    }

    /// Takes over what is higher.
    pub(crate) fn merge(&mut self, target: Target, generation: u64) {
        if generation <= self.all || generation <= self.of(target) {
            return;
        }
        if target == Target::All {
            self.all = generation;
        } else {
            self.targets.insert(target, generation);
        }
        self.fold();
    }

    /// Forgets the purges that no entry can remember.
    fn forget(&mut self, now_ms: u64) {
        self.targets.retain(|_, generation| !is_forgotten(*generation, now_ms));
    }

    fn fold(&mut self) {
        while self.targets.len() > MAX_TARGETS {
            self.all = self.targets.values().copied().fold(u64::MAX, u64::min).max(self.all);
            let all = self.all;
            self.targets.retain(|_, generation| *generation > all);
        }
        let all = self.all;
        self.targets.retain(|_, generation| *generation > all);
    }

    /// The lines for the gossip; each can be read alone.
    pub(crate) fn to_texts(&self) -> Vec<String> {
        let targets: Vec<_> = self.targets.iter().collect();
        let parts = targets.len().div_ceil(PART_TARGETS).max(1);
        let part = |part| targets.iter().skip(part * PART_TARGETS).take(PART_TARGETS);
        (0..parts).map(|number| part(number).fold(format!("{:x}", self.all), write_target)).collect()
    }

    /// What such a line says; parts that do not read are passed over, because a newer node may know more targets.
    pub(crate) fn parse(text: &str) -> Vec<(Target, u64)> {
        let mut parts = text.split(';');
        let all = parts.next().and_then(|all| u64::from_str_radix(all, 16).ok()).unwrap_or(0);
        let mut found = vec![(Target::All, all)];
        found.extend(parts.take(PART_TARGETS).filter_map(|part| {
            let (target, generation) = part.split_once('=')?;
            Some((parse_target(target)?, u64::from_str_radix(generation, 16).ok()?))
        }));
        found
    }
}

fn is_forgotten(generation: u64, now_ms: u64) -> bool {
    generation.saturating_add(RETENTION_MS) < now_ms
}

fn write_target(text: String, (target, generation): &(&Target, &u64)) -> String {
    let hex = |digest: &[u8; 16]| format!("{:032x}", u128::from_be_bytes(*digest));
    match target {
        Target::All => text,
        Target::Scope(scope) => format!("{text};s{}={generation:x}", hex(scope)),
        Target::Name(name) => format!("{text};n{}={generation:x}", hex(name)),
        Target::Namespace(NamespaceId { scope, name }) => format!("{text};b{}{}={generation:x}", hex(scope), hex(name)),
    }
}

fn parse_target(text: &str) -> Option<Target> {
    let digest = |hex: &str| Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes());
    let (kind, hex) = text.split_at_checked(1)?;
    match (kind, hex.len()) {
        ("s", 32) => Some(Target::Scope(digest(hex)?)),
        ("n", 32) => Some(Target::Name(digest(hex)?)),
        ("b", 64) => {
            let (scope, name) = hex.split_at_checked(32)?;
            Some(Target::Namespace(NamespaceId { scope: digest(scope)?, name: digest(name)? }))
        }
        _ => None,
    }
}

/// The numbers as the request's way reads them: without a lock.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    known: ArcSwap<GenerationMap>,
    writing: Mutex<()>,
    changes: AtomicU64,
    published: AtomicU64,
}

impl Generations {
    pub(crate) fn current(&self, namespace: &NamespaceId) -> u64 {
        self.known.load().current(namespace)
    }

    /// What is to be published, when it is not what was given out here the last time.
    pub(crate) fn news(&self) -> Option<Vec<String>> {
        let changes = self.changes.load(Ordering::Acquire);
        (self.published.swap(changes, Ordering::AcqRel) != changes).then(|| self.known.load().to_texts())
    }

    /// Takes over what others know.
    pub(crate) fn learn(&self, heard: &[(Target, u64)], now_ms: u64) {
        self.change(|map| {
            map.forget(now_ms);
            for (target, generation) in heard {
                // Or a node that forgets later than this one would bring it back for ever.
                if *target == Target::All || !is_forgotten(*generation, now_ms) {
                    map.merge(*target, *generation);
                }
            }
        });
    }

    /// A purge: raises the target above everything there is, and gives its new number.
    pub(crate) fn raise(&self, target: Target, now_ms: u64) -> u64 {
        self.change(|map| {
            let generation = now_ms.max(map.highest().saturating_add(1));
            map.forget(now_ms);
            map.merge(target, generation);
            generation
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut GenerationMap) -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = GenerationMap::clone(&self.known.load());
        let result = change(&mut map);
        if map != **self.known.load() {
            self.known.store(map.into());
            self.changes.fetch_add(1, Ordering::Release);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use peerway_cluster::membership::MAX_PUBLISHED_VALUE;
    use proptest::prelude::*;

    use super::*;

    fn namespace(scope: u8, name: u8) -> NamespaceId {
        NamespaceId { scope: [scope; 16], name: [name; 16] }
    }

    #[test]
    fn a_purge_reaches_its_target_and_nothing_else() {
        let (one, other) = (namespace(1, 1), namespace(2, 2));
        for target in [Target::Scope(one.scope), Target::Name(one.name), Target::Namespace(one)] {
            let generations = Generations::default();
            let raised = generations.raise(target, 1_000);
            assert_eq!((raised, generations.current(&one), generations.current(&other)), (1_000, 1_000, 0));
        }
        let generations = Generations::default();
        generations.raise(Target::All, 1_000);
        assert_eq!((generations.current(&one), generations.current(&other)), (1_000, 1_000));
    }

    #[test]
    fn numbers_grow_when_the_clock_steps_back() {
        let generations = Generations::default();
        assert_eq!(generations.raise(Target::Scope([1; 16]), 5_000), 5_000);
        assert_eq!(generations.raise(Target::Scope([1; 16]), 4_000), 5_001);
        assert_eq!(generations.raise(Target::All, 4_000), 5_002);
    }

    #[test]
    fn more_targets_than_are_told_apart_become_a_purge_of_all() {
        let generations = Generations::default();
        for number in 0..=MAX_TARGETS as u64 + 9 {
            let mut scope = [0; 16];
            scope[..8].copy_from_slice(&number.to_le_bytes());
            generations.raise(Target::Scope(scope), 1_000 + number);
        }
        assert_eq!(generations.known.load().targets.len(), MAX_TARGETS);
        assert_eq!(generations.current(&namespace(255, 255)), 1_009);
        let published = generations.news().unwrap();
        assert_eq!(published.len(), PARTS);
        assert_eq!(generations.news(), None, "said once");
    }

    #[test]
    fn every_part_fits_the_gossip_and_all_of_them_are_all() {
        let mut map = GenerationMap::default();
        for number in 0..MAX_TARGETS as u64 {
            let (mut scope, generation) = ([0xff; 16], u64::MAX - number);
            scope[..8].copy_from_slice(&number.to_le_bytes());
            map.merge(Target::Namespace(NamespaceId { scope, name: [0xff; 16] }), generation);
        }
        let mut back = GenerationMap::default();
        for text in map.to_texts() {
            assert!(text.len() <= MAX_PUBLISHED_VALUE, "{}", text.len());
            GenerationMap::parse(&text).into_iter().for_each(|(target, generation)| back.merge(target, generation));
        }
        assert_eq!(back, map);
    }

    #[test]
    fn a_purge_is_forgotten_when_nothing_from_before_it_can_live() {
        let (generations, target) = (Generations::default(), Target::Scope([1; 16]));
        let purged = generations.raise(target, 1_000);
        generations.learn(&[], purged + RETENTION_MS);
        assert_eq!(generations.current(&namespace(1, 1)), purged);
        let later = purged + RETENTION_MS + 1;
        generations.learn(&[(target, purged)], later);
        assert_eq!(generations.current(&namespace(1, 1)), 0);
        generations.learn(&[(Target::All, 7)], later);
        assert_eq!(generations.current(&namespace(1, 1)), 7, "a purge of all is one number and is never forgotten");
    }

    fn target() -> impl Strategy<Value = Target> {
        prop_oneof![
            Just(Target::All),
            (0..4_u8).prop_map(|n| Target::Scope([n; 16])),
            (0..4_u8).prop_map(|n| Target::Name([n; 16])),
            (0..4_u8, 0..4_u8).prop_map(|(scope, name)| Target::Namespace(namespace(scope, name))),
        ]
    }

    proptest! {
        #[test]
        fn nodes_agree_in_whatever_order_they_hear(
            purges in proptest::collection::vec((target(), 0..20_u64), 0..20),
            seed in any::<u64>(),
        ) {
            let mut shuffled = purges.clone();
            let len = shuffled.len();
            for index in 1..len {
                shuffled.swap(index, (seed.rotate_left(index as u32) % (index as u64 + 1)) as usize);
            }
            let (one, other, third) = (Generations::default(), Generations::default(), Generations::default());
            one.learn(&purges, 0);
            shuffled.iter().for_each(|purge| other.learn(&[*purge], 0));
            one.known.load().to_texts().iter().for_each(|text| third.learn(&GenerationMap::parse(text), 0));
            prop_assert_eq!(&**one.known.load(), &**other.known.load());
            prop_assert_eq!(&**one.known.load(), &**third.known.load());
            one.news();
            one.learn(&shuffled, 0);
            prop_assert_eq!(one.news(), None);
        }

        #[test]
        fn any_gossip_is_read_without_harm(text in "[0-9a-fsnb;=é]{0,200}") {
            GenerationMap::parse(&text);
        }
    }
}
