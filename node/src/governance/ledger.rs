//! The cluster's ledger, as far as requests need it.

use std::sync::Arc;

use peerway_cluster::ledger::allowance::Allowance;
use peerway_cluster::ledger::counting::WaitsFor;
use peerway_cluster::ledger::hot::{Part, Slot};
use peerway_cluster::ledger::service::LedgerService;

use super::charges::{Granting, Reserve};

impl Reserve for LedgerService {
    fn slot(&self, allowance: Allowance) -> Arc<Slot> {
        Self::slot(self, allowance)
    }

    fn hold<'a>(&'a self, parts: &'a [Part<'a>]) -> Granting<'a> {
        Box::pin(Self::hold(self, parts))
    }

    fn not_ready(&self) -> Option<String> {
        let status = self.status();
        if status.fenced {
            return Some(
                "this node's journal is older than what its peers know of it; it begins anew as another incarnation"
                    .to_owned(),
            );
        }
        // A newcomer that has met the cluster lives on transfers: what it is refused nobody had.
        match &status.waits_for {
            Some(waits @ (WaitsFor::Quorum { .. } | WaitsFor::Cluster | WaitsFor::Journal)) => Some(waits.to_string()),
            Some(WaitsFor::Words(_)) | None => None,
        }
    }
}
