//! One round of discovery after the other, with a memory for the rounds in which DNS is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Resolver, Seed};

/// No more addresses than this are dialled for the sake of seeds.
pub const MAX_ADDRESSES: usize = 512;

/// What a seed stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The seed.
    pub seed: Seed,
    /// Its addresses, by the last round that told any.
    pub addresses: Vec<SocketAddr>,
    /// Why the present round told none.
    pub problem: Option<String>,
}

/// Resolves the seeds, round by round.
#[derive(Debug)]
pub struct Finder {
    resolver: Resolver,
    seeds: Vec<Seed>,
    /// We can dial only what our own socket can send to.
    ipv4_only: bool,
    known: BTreeMap<usize, Vec<SocketAddr>>,
}

impl Finder {
    /// A finder for a node that listens on `local`.
    pub fn new(seeds: Vec<Seed>, local: SocketAddr) -> Finder {
        Finder { resolver: Resolver::default(), seeds, ipv4_only: local.is_ipv4(), known: BTreeMap::new() }
    }

    /// Resolves every seed once more. A seed that fails keeps the addresses it had: a DNS server that is down must not
    /// take the peers with it.
    pub async fn round(&mut self) -> Vec<Found> {
        let resolved = futures_util::future::join_all(self.seeds.iter().map(|seed| self.resolver.resolve(seed))).await;
        let mut taken = BTreeSet::new();
        let mut found = Vec::with_capacity(self.seeds.len());
        for (index, (seed, result)) in self.seeds.iter().zip(resolved).enumerate() {
            let problem = match result {
                Ok(mut addresses) => {
                    addresses.retain(|address| address.is_ipv4() || !self.ipv4_only);
                    let nothing = addresses.is_empty().then(|| format!("{seed} names no address that can be dialled"));
                    self.known.insert(index, addresses);
                    nothing
                }
                Err(error) => Some(error.to_string()),
            };
            let mut addresses = self.known.get(&index).cloned().unwrap_or_default();
            addresses.retain(|address| taken.len() < MAX_ADDRESSES && taken.insert(*address));
            found.push(Found { seed: seed.clone(), addresses, problem });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_round_keeps_what_was_known_and_the_number_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers");
        let lines: Vec<String> = (0..600).map(|n| format!("10.0.{}.{}:1", n / 250, n % 250 + 1)).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let seeds = vec!["10.0.0.1:1".parse().unwrap(), Seed::File(path.clone()), "[::1]:1".parse().unwrap()];
        let mut finder = Finder::new(seeds, "0.0.0.0:7946".parse().unwrap());

        let first = finder.round().await;
        assert_eq!(first[0].addresses.len(), 1);
        assert_eq!(first[1].addresses.len(), MAX_ADDRESSES - 1, "without the one that the first seed has");
        assert!(first[2].addresses.is_empty() && first[2].problem.is_some(), "IPv6 from an IPv4 socket");

        std::fs::remove_file(&path).unwrap();
        let second = finder.round().await;
        assert_eq!(second[1].addresses, first[1].addresses);
        assert!(second[1].problem.is_some() && first[1].problem.is_none());

        std::fs::write(&path, "# nobody\n").unwrap();
        assert!(finder.round().await[1].addresses.is_empty());
    }
}
