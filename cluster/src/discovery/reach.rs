//! Whether packets get through between us and a seed, in both directions.
//!
//! A peer that answers proves only that replies reach us: NAT and firewalls let those pass. So the peer is asked to
//! send from a fresh socket to the address we advertise; only that shows that others can dial us.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Seed;
use crate::identity::NodeId;
use crate::link::{Link, RefusedPeer};

/// How long a seed has to answer, and then to reach us.
const TEST_PATIENCE: Duration = Duration::from_secs(5);

/// What is known about the way to a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Not known yet.
    Testing,
    /// The name has no address.
    Unresolved,
    /// It is this node.
    Oneself,
    /// Packets get through in both directions.
    Reachable,
    /// It answers us, but cannot dial us.
    OneWay,
    /// It is there, and does not take us for a peer, or we do not take it for one.
    Refused,
    /// It does not answer.
    NoAnswer,
}

impl Verdict {
    /// Its name in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Testing => "testing",
            Verdict::Unresolved => "unresolved",
            Verdict::Oneself => "oneself",
            Verdict::Reachable => "reachable",
            Verdict::OneWay => "one_way",
            Verdict::Refused => "refused",
            Verdict::NoAnswer => "no_answer",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A seed, one address of it, and the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedStatus {
    /// The seed.
    pub seed: Seed,
    /// One of its addresses; none when it has none.
    pub address: Option<SocketAddr>,
    /// What is known.
    pub verdict: Verdict,
    /// The same in words, with what to do.
    pub message: String,
}

/// Tries the way to an address that the link is already dialling.
pub(crate) async fn test(link: &Link, address: SocketAddr) -> (Verdict, String) {
    let Ok(peer) = tokio::time::timeout(TEST_PATIENCE, answered(link, address)).await else {
        return silent(link, address);
    };
    match link.reached_by(&peer, TEST_PATIENCE).await {
        Ok(true) => (Verdict::Reachable, format!("{peer} at {address} is reachable in both directions")),
        Ok(false) => (
            Verdict::OneWay,
            format!(
                "peer {peer} at {address} answers us, but cannot reach our advertised address {}/udp: open that UDP \
                 port inbound, or set cluster.advertise",
                link.advertised()
            ),
        ),
        Err(error) => (
            Verdict::Testing,
            format!("{peer} at {address} answers us; whether it can reach us is not known yet ({error})"),
        ),
    }
}

async fn answered(link: &Link, address: SocketAddr) -> NodeId {
    let mut changes = link.watch();
    loop {
        changes.mark_unchanged();
        let dialled = link.dials().into_iter().find(|dial| dial.address == address).and_then(|dial| dial.connected);
        let connected = || link.peers().into_iter().find(|peer| peer.address == address).map(|peer| peer.id);
        if let Some(peer) = dialled.or_else(connected) {
            return peer;
        }
        if changes.changed().await.is_err() {
            // The link is closed; the caller's patience ends this.
            std::future::pending::<()>().await;
        }
    }
}

fn silent(link: &Link, address: SocketAddr) -> (Verdict, String) {
    if link.dials().iter().any(|dial| dial.address == address && dial.oneself) {
        return (Verdict::Oneself, format!("{address} is this node"));
    }
    // An old refusal says nothing about today's silence.
    let lately = |refused: &RefusedPeer| refused.address == address && refused.ago <= TEST_PATIENCE * 2;
    match link.refusals().into_iter().find(lately) {
        Some(refused) => {
            (Verdict::Refused, format!("{address} is not a peer of ours ({}): {}", refused.reason, refused.detail))
        }
        None => (
            Verdict::NoAnswer,
            format!(
                "no answer from {address}/udp within {} s: is the node up, and is UDP open in both directions?",
                TEST_PATIENCE.as_secs()
            ),
        ),
    }
}
