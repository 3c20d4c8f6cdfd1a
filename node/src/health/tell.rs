//! The health of targets as people and Prometheus are told it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use utoipa::ToSchema;

use super::TargetStatus;
use crate::telemetry::exposition::{Kind, Page};

/// Targets beyond this are in `/api/providers` only.
const MAX_SERIES: usize = 500;

/// A model at a provider with one of its keys, as this node knows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProviderStatus {
    /// The provider.
    pub name: String,
    /// The id of the key; `null` where the provider needs none.
    pub key: Option<String>,
    /// `null`: the key as a whole.
    pub model: Option<String>,
    /// `closed`, `open`, or `half_open`: to be tried or being tried by one call.
    pub breaker: &'static str,
    /// The part of the calls that did not fail by the provider's fault, lately; `null` before there was one.
    pub success: Option<f64>,
    /// From begin to end of a call, lately.
    pub latency_ms: Option<f64>,
    /// To the first output of a stream, lately.
    pub first_output_ms: Option<f64>,
    /// The share of calls that it deserves, 0 to 1; 0 while it cannot be used.
    pub weight: f64,
    /// Why, in words.
    pub reason: String,
    /// How long it is left alone because it is full or its key was refused.
    pub cooldown_ms: Option<u64>,
    /// `capacity` or `key`.
    pub cooldown_reason: Option<&'static str>,
    /// The calls a second that it is believed to bear from all nodes together.
    pub believed_rate: Option<f64>,
    /// Calls a second from this node.
    pub calls_per_s: f64,
    /// Calls of this node that have not ended.
    pub in_flight: u64,
    /// Peers that complain of it.
    pub reported_by: Vec<String>,
}

fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

impl From<TargetStatus> for ProviderStatus {
    fn from(status: TargetStatus) -> Self {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let milliseconds = |time: std::time::Duration| round(time.as_secs_f64() * 1e3);
        Self {
            name: status.target.provider.to_string(),
            key: name(&status.target.key),
            model: name(&status.target.model),
            breaker: status.breaker,
            success: status.success.map(round),
            latency_ms: status.latency.map(milliseconds),
            first_output_ms: status.first_output.map(milliseconds),
            weight: round(status.weight),
            reason: status.reason,
            cooldown_ms: status.cools_for.map(|(left, _)| left.as_millis() as u64),
            cooldown_reason: status.cools_for.map(|(_, why)| why.as_str()),
            believed_rate: status.believed_rate.map(round),
            calls_per_s: round(status.calls_per_second),
            in_flight: status.in_flight,
            reported_by: status.witnesses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What the page of metrics says of a target, or of all of a key's that have no name of their own there.
struct Row<'t> {
    labels: [(&'static str, &'t str); 3],
    breaker: f64,
    success: f64,
    weight: f64,
    latency: Option<f64>,
    cooldown: f64,
    in_flight: f64,
}

impl<'t> Row<'t> {
    fn of(status: &'t TargetStatus, success: f64, model: &'t str) -> Self {
        Self {
            labels: [("provider", &*status.target.provider), ("key", &*status.target.key), ("model", model)],
            breaker: match status.breaker {
                "closed" => 0.0,
                "half_open" => 1.0,
                _ => 2.0,
            },
            success,
            weight: status.weight,
            latency: status.latency.map(|latency| latency.as_secs_f64()),
            cooldown: status.cools_for.map_or(0.0, |(left, _)| left.as_secs_f64()),
            in_flight: status.in_flight as f64,
        }
    }

    /// The worse of both.
    fn join(&mut self, other: &Self) {
        self.breaker = self.breaker.max(other.breaker);
        self.success = self.success.min(other.success);
        self.weight = self.weight.min(other.weight);
        self.latency = self.latency.into_iter().chain(other.latency).reduce(f64::max);
        self.cooldown = self.cooldown.max(other.cooldown);
        self.in_flight += other.in_flight;
    }
}

/// The targets on the page of metrics; those that have never answered are left out. `label` is a model's name there: what
/// clients ask for at will has none, and of those the worst is told.
pub fn write_metrics<'t>(targets: &'t [TargetStatus], label: impl Fn(&'t TargetStatus) -> &'t str, page: &mut Page) {
    let mut rows: BTreeMap<[&str; 3], Row<'_>> = BTreeMap::new();
    for status in targets.iter().filter(|status| !status.target.is_key()) {
        let Some(success) = status.success else { continue };
        let row = Row::of(status, success, label(status));
        match rows.entry(row.labels.map(|(_, value)| value)) {
            Entry::Occupied(mut known) => known.get_mut().join(&row),
            Entry::Vacant(free) => {
                free.insert(row);
            }
        }
    }
    let mut family = |name: &str, help: &str, value: &dyn Fn(&Row<'_>) -> Option<f64>| {
        page.family(name, Kind::Gauge, help);
        for row in rows.values().take(MAX_SERIES) {
            if let Some(value) = value(row) {
                page.sample(name, &row.labels, value);
            }
        }
    };
    family(
        "peerway_provider_breaker_state",
        "The breaker of a model at a provider with a key: 0 closed, 1 half open, 2 open.",
        &|row| Some(row.breaker),
    );
    family("peerway_provider_success_ratio", "Calls that did not fail by the provider's fault, lately.", &|row| {
        Some(row.success)
    });
    family("peerway_provider_weight", "The share of calls that it deserves; 0 while it cannot be used.", &|row| {
        Some(row.weight)
    });
    family("peerway_provider_latency_seconds", "From begin to end of a call, lately.", &|row| row.latency);
    family(
        "peerway_provider_cooldown_seconds",
        "How long it is left alone as it is full or its key was refused.",
        &|row| Some(row.cooldown),
    );
    family("peerway_provider_in_flight", "Calls of this node that have not ended.", &|row| Some(row.in_flight));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peerway_cluster::health::Target;

    use super::*;

    fn status(model: &str, breaker: &'static str, success: f64) -> TargetStatus {
        TargetStatus {
            target: Target { provider: "p".into(), key: "main".into(), model: Arc::from(model) },
            breaker,
            success: Some(success),
            latency: None,
            first_output: None,
            weight: success,
            reason: String::new(),
            cools_for: None,
            believed_rate: None,
            calls_per_second: 0.0,
            in_flight: 1,
            witnesses: Vec::new(),
        }
    }

    /// However many models clients make up.
    #[test]
    fn clients_make_no_series() {
        let made_up = (0..600).map(|number| status(&format!("a-{number}"), "closed", 1.0));
        let named = [status("known", "open", 0.25), status("z", "half_open", 0.5)];
        let targets: Vec<TargetStatus> = made_up.chain(named).collect();
        let mut page = Page::default();
        write_metrics(&targets, |it| if &*it.target.model == "known" { "known" } else { "other" }, &mut page);
        let page = page.finish();
        for line in [
            r#"peerway_provider_breaker_state{provider="p",key="main",model="known"} 2"#,
            r#"peerway_provider_breaker_state{provider="p",key="main",model="other"} 1"#,
            r#"peerway_provider_success_ratio{provider="p",key="main",model="other"} 0.5"#,
            r#"peerway_provider_in_flight{provider="p",key="main",model="other"} 601"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert_eq!(page.matches("peerway_provider_weight{").count(), 2);
    }
}
