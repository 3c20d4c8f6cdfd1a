//! `GET /metrics`: the Prometheus page of this node.

use peerway_cluster::journal;
use peerway_cluster::membership::State;
use peerway_cluster::registry::service::Durability;

use super::Admin;
use crate::governance::access::now_unix;
use crate::health::{TargetStatus, write_metrics};
use crate::telemetry::exposition::{Kind, Page};

/// Budgets and limits beyond this are in `/api/budgets` only.
const MAX_ALLOWANCES: usize = 1_000;

pub(super) fn page(admin: &Admin) -> String {
    let mut page = Page::default();
    page.family("peerway_build_info", Kind::Gauge, "The running version, as a label; always 1.");
    page.sample("peerway_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    admin.shards.write(&mut page);
    page.family("peerway_requests_in_flight", Kind::Gauge, "Requests whose answer is not finished.");
    page.sample("peerway_requests_in_flight", &[], admin.gateway.drain.in_flight());
    page.family(
        "peerway_access_log_dropped_total",
        Kind::Counter,
        "Access log lines dropped because the sink was slow.",
    );
    page.sample("peerway_access_log_dropped_total", &[], admin.gateway.access_log.dropped());
    page.family("peerway_config_reload_success", Kind::Gauge, "1 if the last configuration that was read is in force.");
    page.sample("peerway_config_reload_success", &[], u8::from(admin.reloaded()));
    admin.gateway.cache.write_metrics(&mut page);
    admin.gateway.admission.write_metrics(&mut page);
    page.family("peerway_connections", Kind::Gauge, "Open client connections.");
    page.sample("peerway_connections", &[], admin.edge.connections.open());
    budgets(admin, &mut page);
    let registry = admin.registry.status();
    page.family("peerway_registry_records", Kind::Gauge, "Records of what was changed at run time, removals included.");
    page.sample("peerway_registry_records", &[], registry.records);
    page.family(
        "peerway_registry_durability",
        Kind::Gauge,
        "1 for what holds: ok, degraded (the disk failed) or none (no data directory).",
    );
    for durability in [Durability::Ok, Durability::Degraded, Durability::None] {
        let holds = u8::from(registry.durability == durability);
        page.sample("peerway_registry_durability", &[("durability", durability.as_str())], holds);
    }
    page.family("peerway_registry_refused_total", Kind::Counter, "Records of peers that were not taken: see the log.");
    page.sample("peerway_registry_refused_total", &[], registry.refused);
    let (targets, plan) = (admin.gateway.health.snapshot(), admin.gateway.plan.load());
    let label = |status| {
        let TargetStatus { target, .. }: &TargetStatus = status;
        plan.routes.label_of(&target.provider, &target.model)
    };
    write_metrics(&targets, label, &mut page);
    cluster(admin, &mut page);
    page.finish()
}

fn budgets(admin: &Admin, page: &mut Page) {
    let access = admin.gateway.access.load();
    let now = now_unix();
    let name = "peerway_budget_used_ratio";
    page.family(name, Kind::Gauge, "Spent part of a budget or limit in its running window, as this node knows it.");
    for charge in access.charges().iter().take(MAX_ALLOWANCES) {
        let (allowance, view) = (charge.slot.allowance(), charge.slot.view(now));
        let label = format!("{}/{}/{}/{}", charge.tier, charge.owner, allowance.unit, allowance.window);
        let ratio = if view.limit == 0 { 1.0 } else { view.spent as f64 / view.limit as f64 };
        page.sample(name, &[("allowance", &label)], ratio);
    }
    admin.alerts.write_metrics(page);
    let transfers = admin.ledger.transfers();
    let name = "peerway_ledger_transfers_total";
    page.family(name, Kind::Counter, "Rights to spend that were asked of peers and given to them, by result.");
    for (result, count) in [
        ("asked", transfers.asked),
        ("received", transfers.received),
        ("given", transfers.given),
        ("refused", transfers.refused),
    ] {
        page.sample(name, &[("result", result)], count);
    }
    let status = admin.ledger.status();
    for (name, help, value) in [
        ("peerway_ledger_active", "1 if this node has a share of the limits.", u64::from(status.is_active())),
        (
            "peerway_ledger_durability",
            "1 if what is spent is on the disk, 0 if only in memory and with the peers.",
            u64::from(status.durability == journal::Durability::Ok),
        ),
        (
            "peerway_ledger_unsynced_rows",
            "Changed counters that have not reached their replicas.",
            status.unsynced_rows as u64,
        ),
        (
            "peerway_ledger_alarms",
            "What the status of the ledger asks somebody to do.",
            (status.alarms.len() + status.cliffs.len()) as u64,
        ),
        (
            "peerway_answers_unattended",
            "Answers that are read to their end for their cost, as their clients are gone.",
            admin.gateway.unattended.running() as u64,
        ),
    ] {
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], value);
    }
}

fn cluster(admin: &Admin, page: &mut Page) {
    let Some(cluster) = &admin.peers.cluster else { return };
    let view = cluster.view();
    let oneself = &cluster.identity().node_id;
    page.family("peerway_cluster_peers", Kind::Gauge, "Live peers by state, this node not counted.");
    for state in [State::Starting, State::Ready, State::Draining] {
        let count = view.members.iter().filter(|member| member.state == state && member.id != *oneself).count();
        page.sample("peerway_cluster_peers", &[("state", state.as_str())], count);
    }
    page.family(
        "peerway_cluster_gossip_lag_seconds",
        Kind::Gauge,
        "Age of the oldest last sign of life among live peers.",
    );
    let lag = view.members.iter().map(|member| member.gossip_age()).max().unwrap_or_default();
    page.sample("peerway_cluster_gossip_lag_seconds", &[], lag.as_secs_f64());
    page.family("peerway_ring_ownership_ratio", Kind::Gauge, "Share of the ring's partitions that this node owns.");
    page.sample("peerway_ring_ownership_ratio", &[], cluster.ring().share(oneself));

    let counters = cluster.link().counters();
    page.family("peerway_cluster_connections_total", Kind::Counter, "Connections that became a peer's.");
    page.sample("peerway_cluster_connections_total", &[], counters.connected);
    page.family("peerway_cluster_refused_total", Kind::Counter, "Connections that were refused or cut, by reason.");
    for (reason, count) in [
        ("trust", counters.refused_trust),
        ("hello", counters.refused_hello),
        ("malformed_frame", counters.malformed_frames),
        ("oversized_frame", counters.oversized_frames),
        ("flood", counters.floods),
    ] {
        page.sample("peerway_cluster_refused_total", &[("reason", reason)], count);
    }
    page.family("peerway_cluster_gossip_messages_total", Kind::Counter, "Gossip messages by what became of them.");
    for (result, count) in
        [("sent", counters.gossip_sent), ("received", counters.gossip_received), ("dropped", counters.gossip_dropped)]
    {
        page.sample("peerway_cluster_gossip_messages_total", &[("result", result)], count);
    }
    page.family("peerway_cluster_calls_total", Kind::Counter, "Calls to and from peers by what became of them.");
    for (result, count) in [
        ("answered", counters.calls_answered),
        ("timed_out", counters.calls_timed_out),
        ("failed", counters.calls_failed),
        ("served", counters.calls_served),
        ("shed", counters.calls_shed),
    ] {
        page.sample("peerway_cluster_calls_total", &[("result", result)], count);
    }
}
