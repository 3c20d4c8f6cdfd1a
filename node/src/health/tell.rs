//! The health of targets as people and Prometheus are told it.

use serde::Serialize;
use utoipa::ToSchema;

use super::TargetStatus;
use crate::telemetry::exposition::{Kind, Page};

/// Targets beyond this are in `/api/providers` only: what models there are is the clients' choice where a provider takes any.
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

/// The targets on the page of metrics; those that have never answered are left out.
pub fn write_metrics(targets: &[TargetStatus], page: &mut Page) {
    let shown = || {
        let known = |status: &&TargetStatus| status.success.is_some() && !status.target.is_key();
        targets.iter().filter(known).take(MAX_SERIES)
    };
    let mut family = |name: &str, help: &str, value: &dyn Fn(&TargetStatus) -> Option<f64>| {
        page.family(name, Kind::Gauge, help);
        for status in shown() {
            let target = &status.target;
            if let Some(value) = value(status) {
                let labels = [("provider", &*target.provider), ("key", &*target.key), ("model", &*target.model)];
                page.sample(name, &labels, value);
            }
        }
    };
    family(
        "peerway_provider_breaker_state",
        "The breaker of a model at a provider with a key: 0 closed, 1 half open, 2 open.",
        &|status| {
            Some(match status.breaker {
                "closed" => 0.0,
                "half_open" => 1.0,
                _ => 2.0,
            })
        },
    );
    family("peerway_provider_success_ratio", "Calls that did not fail by the provider's fault, lately.", &|status| {
        status.success
    });
    family("peerway_provider_weight", "The share of calls that it deserves; 0 while it cannot be used.", &|status| {
        Some(status.weight)
    });
    family("peerway_provider_latency_seconds", "From begin to end of a call, lately.", &|status| {
        status.latency.map(|latency| latency.as_secs_f64())
    });
    family(
        "peerway_provider_cooldown_seconds",
        "How long it is left alone as it is full or its key was refused.",
        &|status| Some(status.cools_for.map_or(0.0, |(left, _)| left.as_secs_f64())),
    );
    family("peerway_provider_in_flight", "Calls of this node that have not ended.", &|status| {
        Some(status.in_flight as f64)
    });
}
