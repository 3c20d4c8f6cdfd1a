//! The ledger in the cluster's status: who is counted, what is waited for, what is locked in whom.

use std::collections::BTreeMap;

use peerway_cluster::ledger::allowance::AllowanceId;
use peerway_cluster::ledger::service::LedgerStatus;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use crate::governance::{Charge, rfc3339};

/// Budgets and limits as this node counts them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ledger {
    /// Nodes over which limits are divided, as `node/incarnation` where one name has several.
    counted: Vec<String>,
    /// Whether this node has a share; without one it lives on what others give.
    active: bool,
    /// Why not.
    waits_for: Option<String>,
    /// `ok`, or `degraded`: what is spent is not on the disk.
    durability: &'static str,
    /// Why it is degraded.
    durability_reason: Option<String>,
    /// Counters that have changed and not reached their replicas.
    unsynced_rows: usize,
    /// By unit: what a crash at this moment would charge without knowing whether it was spent, at most.
    open: BTreeMap<&'static str, u64>,
    /// What nobody can use, as its node is not there.
    locked: Vec<Locked>,
    /// What somebody must do.
    alarms: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Locked {
    tier: &'static str,
    id: String,
    unit: &'static str,
    window: &'static str,
    node: String,
    incarnation: u64,
    amount: u64,
    /// What frees it.
    hint: String,
}

pub(super) fn ledger(admin: &Admin) -> Ledger {
    let status = admin.ledger.status();
    let access = admin.gateway.access.load();
    let find = |id: &AllowanceId| access.charges().iter().find(|charge| charge.slot.allowance().id == *id);
    let durability_reason = match &status.durability {
        peerway_cluster::journal::Durability::Ok => None,
        peerway_cluster::journal::Durability::Degraded(why) => Some(why.to_string()),
    };
    let cliffs = status.cliffs.iter().map(|cliff| {
        let nodes: Vec<&str> = cliff.unless_forgotten.iter().map(|node| node.as_str()).collect();
        let from = rfc3339(cliff.from).unwrap_or_else(|| "later on".to_owned());
        let what = find(&cliff.allowance).map_or_else(|| cliff.allowance.to_string(), name);
        format!("from {from} no live node has a share of {what} unless {} is back or forgotten", nodes.join(", "))
    });
    Ledger {
        counted: counted(&status),
        active: status.is_active(),
        waits_for: status.waits_for.as_ref().map(ToString::to_string),
        durability: if durability_reason.is_none() { "ok" } else { "degraded" },
        durability_reason,
        unsynced_rows: status.unsynced_rows,
        open: status.open.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect(),
        locked: status
            .locked
            .iter()
            .filter_map(|locked| {
                let charge = find(&locked.counter.allowance)?;
                Some(Locked {
                    tier: charge.tier.as_str(),
                    id: charge.owner.to_string(),
                    unit: locked.unit.as_str(),
                    window: charge.slot.allowance().window.as_str(),
                    node: locked.actor.node.to_string(),
                    incarnation: locked.actor.incarnation.0,
                    amount: locked.amount,
                    hint: format!(
                        "it comes back with the node; if that is gone for good: peerway cluster forget {}",
                        locked.actor.node
                    ),
                })
            })
            .collect(),
        alarms: status.alarms.iter().map(ToString::to_string).chain(cliffs).collect(),
    }
}

/// `tier id, unit a window`.
fn name(charge: &Charge) -> String {
    let allowance = charge.slot.allowance();
    format!("{} {} ({} per {})", charge.tier, charge.owner, allowance.unit, allowance.window)
}

fn counted(status: &LedgerStatus) -> Vec<String> {
    let is_only = |node: &str| status.counted.iter().filter(|actor| actor.node.as_str() == node).count() == 1;
    let name = |actor: &peerway_cluster::actor::Actor| {
        let node = actor.node.as_str();
        if is_only(node) { node.to_owned() } else { format!("{node}/{}", actor.incarnation) }
    };
    status.counted.iter().map(name).collect()
}
