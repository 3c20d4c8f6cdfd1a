//! Looks for peers at the seeds, also when there are some: two halves that started apart find each other so.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use rand::RngExt as _;

use super::keeper::{Keeper, lock};
use crate::discovery::{self, Finder, Found, SeedStatus, Verdict};
use crate::membership::Membership as _;

const EVERY: Duration = Duration::from_secs(10);
const TESTS_AT_ONCE: usize = 32;

pub(super) async fn seek(keeper: Arc<Keeper>, mut finder: Finder) {
    let mut dialled = BTreeSet::new();
    loop {
        let found = finder.round().await;
        take_in(&keeper, &found);
        dialled = dial(&keeper, &found, &dialled);
        test(&keeper).await;
        keeper.seeds_had_their_chance();
        // A cluster that starts as one should not ask its DNS server as one for ever after.
        let pause = EVERY.mul_f64(rand::rng().random_range(0.9..1.1));
        tokio::time::sleep(pause).await;
    }
}

/// Brings the list of statuses in step with the seeds; what is known about an address stays.
fn take_in(keeper: &Keeper, found: &[Found]) {
    let own = [keeper.link.advertised(), keeper.link.local_addr()];
    let mut seeds = lock(&keeper.seeds);
    let mut now = Vec::new();
    for Found { seed, addresses, problem } in found {
        if let (true, Some(problem)) = (addresses.is_empty(), problem) {
            let status = (Verdict::Unresolved, problem.clone());
            now.push(entry(&seeds, seed, None, status));
        }
        for address in addresses {
            let first = if own.contains(address) {
                (Verdict::Oneself, format!("{address} is this node"))
            } else {
                (Verdict::Testing, format!("{address} is being tried"))
            };
            let known = seeds.iter().find(|status| status.address == Some(*address));
            let status = known.map_or(first, |status| (status.verdict, status.message.clone()));
            now.push(entry(&seeds, seed, Some(*address), status));
        }
    }
    *seeds = now;
}

fn entry(
    before: &[SeedStatus],
    seed: &discovery::Seed,
    address: Option<SocketAddr>,
    (verdict, message): (Verdict, String),
) -> SeedStatus {
    let status = SeedStatus { seed: seed.clone(), address, verdict, message };
    if verdict == Verdict::Unresolved && !before.contains(&status) {
        tracing::warn!(seed = %status.seed, "{}", status.message);
    }
    status
}

/// Dials and meets what is new, forgets what no seed names any more.
fn dial(keeper: &Keeper, found: &[Found], before: &BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
    let oneself: BTreeSet<SocketAddr> = lock(&keeper.seeds)
        .iter()
        .filter(|status| status.verdict == Verdict::Oneself)
        .filter_map(|status| status.address)
        .collect();
    let wanted: BTreeSet<SocketAddr> = found
        .iter()
        .flat_map(|found| found.addresses.iter().copied())
        .filter(|address| !oneself.contains(address))
        .collect();
    let view = keeper.gossip.view();
    for address in &wanted {
        if !before.contains(address) {
            keeper.link.connect(*address);
        }
        if !view.members.iter().any(|member| member.address == *address) {
            keeper.gossip.meet(*address);
        }
    }
    for address in before.difference(&wanted).filter(|address| !keeper.is_member_address(address)) {
        keeper.link.forget(*address);
    }
    for address in keeper.gone_for_long(&view).iter().filter(|address| !wanted.contains(address)) {
        keeper.link.forget(*address);
    }
    wanted
}

/// Tries the way to every address that is not known to be good.
async fn test(keeper: &Keeper) {
    let untested: Vec<SocketAddr> = lock(&keeper.seeds)
        .iter()
        .filter(|status| !matches!(status.verdict, Verdict::Reachable | Verdict::Oneself))
        .filter_map(|status| status.address)
        .collect();
    futures_util::stream::iter(untested)
        .for_each_concurrent(TESTS_AT_ONCE, async |address| {
            let (verdict, message) = discovery::test(&keeper.link, address).await;
            let mut news = false;
            for status in lock(&keeper.seeds).iter_mut().filter(|status| status.address == Some(address)) {
                news |= status.verdict != verdict;
                status.verdict = verdict;
                status.message.clone_from(&message);
            }
            match verdict {
                _ if !news => {}
                Verdict::Reachable | Verdict::Oneself => tracing::info!("{message}"),
                _ => tracing::warn!("{message}"),
            }
        })
        .await;
}
