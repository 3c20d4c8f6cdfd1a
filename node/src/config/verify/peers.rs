//! The `cluster` block: names, trust, addresses, seeds.

use std::collections::HashSet;

use peerway_cluster::discovery::Seed;
use peerway_cluster::identity::{ClusterName, NodeId};
use peerway_cluster::trust::MIN_SECRET;

use super::Verdict;
use crate::config::model::{Cluster, Config};

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let Some(cluster) = &config.cluster else { return };
    if let Err(error) = cluster.name.parse::<ClusterName>() {
        verdict.error("cluster.name", error.to_string());
    }
    trust(cluster, verdict);
    addresses(cluster, verdict);
    founders(cluster, verdict);
    verdict.weight("cluster.weight".to_owned(), cluster.weight);
}

fn trust(cluster: &Cluster, verdict: &mut Verdict) {
    match (&cluster.secret, &cluster.tls) {
        (None, None) => verdict.error_with(
            "cluster",
            "peers prove themselves by `secret` or by `tls`, and neither is set",
            "add `secret: ${PEERWAY_CLUSTER_SECRET}`, the same on all nodes".to_owned(),
        ),
        (Some(_), Some(_)) => {
            verdict.error("cluster.tls", "`secret` and `tls` exclude each other: keep one of them");
        }
        (Some(secret), None) if secret.expose().chars().count() < MIN_SECRET => verdict.error_with(
            "cluster.secret",
            format!("the secret has fewer than {MIN_SECRET} characters and could be guessed"),
            "make one with `openssl rand -hex 32`".to_owned(),
        ),
        _ => {}
    }
}

fn addresses(cluster: &Cluster, verdict: &mut Verdict) {
    if let Some(advertise) = &cluster.advertise
        && !matches!(advertise.parse(), Ok(Seed::Static { .. }))
    {
        let hint = "write what peers dial, e.g. 10.0.0.5:7946".to_owned();
        verdict.error_with("cluster.advertise", format!("`{advertise}` is not `host:port`"), hint);
    }
    for (index, seed) in cluster.join.iter().enumerate() {
        if let Err(error) = seed.parse::<Seed>() {
            let hint = "write host:port, dns:name:port, srv:name or file:path".to_owned();
            verdict.error_with(format!("cluster.join[{index}]"), format!("`{seed}`: {}", error.reason), hint);
        }
    }
}

fn founders(cluster: &Cluster, verdict: &mut Verdict) {
    let mut seen = HashSet::new();
    for (index, founder) in cluster.founders.iter().enumerate() {
        let path = format!("cluster.founders[{index}]");
        match founder.parse::<NodeId>() {
            Err(error) => verdict.error(path, error.to_string()),
            Ok(id) => {
                if !seen.insert(id) {
                    verdict.error(path, format!("`{founder}` is named twice"));
                }
            }
        }
    }
    match cluster.expect {
        Some(0) => verdict.error("cluster.expect", "at least this node must be expected"),
        Some(_) if !cluster.founders.is_empty() => {
            verdict.error("cluster.expect", "`founders` and `expect` exclude each other: keep one of them");
        }
        _ => {}
    }
}
