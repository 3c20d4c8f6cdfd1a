//! Which upstreams answer: every attempt is judged and observed here, and asked for here before it is made.
//!
//! - [`attribute`]: whose fault an attempt is, and what may still help; pure, one table.
//! - [`limits`]: what providers say of their own limits.
//! - [`observed`]: the same for the choice between targets.
//! - [`target`], [`call`]: a target as the request path uses it, and one call to it.
//! - [`tell`]: the same for people and for Prometheus.
//!
//! What is learned is kept and shared by [`peerway_cluster::health`].

mod attribute;
mod call;
mod limits;
mod observed;
mod target;
mod tell;

use std::sync::Arc;

use peerway_cluster::cluster::Cluster;
use peerway_cluster::health::{HealthService, Settings, Target};
use peerway_cluster::identity::Identity;

use crate::config;

pub use attribute::{Outcome, Retry, Verdict, attribute};
pub use call::Call;
pub use limits::{quota, retry_after};
pub use peerway_cluster::health::entry::{Barred, Closed};
pub use peerway_cluster::health::{Admission, Fault, InFlight, Probe, Quota, TargetStatus};
pub use target::{Observation, TargetHealth};
pub use tell::{ProviderStatus, write_metrics};

/// The health of all targets, as this node knows it. Cheap to clone; one a node.
#[derive(Debug, Clone)]
pub struct Health {
    service: HealthService,
}

impl Health {
    pub fn new(identity: &Identity, settings: &config::Health) -> Self {
        Self { service: HealthService::new(identity, bounds(settings)) }
    }

    /// What answers the peers' messages.
    pub fn service(&self) -> HealthService {
        self.service.clone()
    }

    /// Follows a changed configuration.
    pub fn reload(&self, settings: &config::Health) {
        self.service.board().set_settings(bounds(settings));
    }

    /// The provider's key of this id has another value: it is not the one that was refused.
    pub fn renew_key(&self, provider: &str, key: &str) {
        self.service.board().renew_key(self.service.now(), provider, key);
    }

    /// Keeps averages and weights, writes the log and tells the peers, until it is dropped.
    pub async fn run(self, cluster: Option<Cluster>) {
        self.service.run(cluster).await;
    }

    /// A model at a provider with one of its keys. `key` is empty where the provider needs none.
    pub fn target(&self, provider: &Arc<str>, key: Option<&Arc<str>>, model: &Arc<str>) -> TargetHealth {
        let key = key.map(Arc::clone).unwrap_or_default();
        let target = Target { provider: Arc::clone(provider), key, model: Arc::clone(model) };
        TargetHealth::new(self.service.board().target(self.service.now(), &target), self.service.clone())
    }

    /// All targets that calls were meant for, here or at a peer, by name; and the keys that are out.
    pub fn snapshot(&self) -> Vec<TargetStatus> {
        let mut statuses = self.service.board().statuses(self.service.now());
        statuses.retain(|status| !status.target.is_key() || status.cools_for.is_some());
        statuses
    }
}

fn bounds(settings: &config::Health) -> Settings {
    Settings {
        failures: settings.failures,
        ratio: settings.ratio,
        min_calls: settings.min_calls,
        window: settings.window.get(),
        probe_interval: settings.probe_interval.get(),
    }
}
