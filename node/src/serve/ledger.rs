//! The ledger of budgets and limits in a node's life: how it begins, and how it begins anew.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use peerway_cluster::identity::{DataDirLock, Identity};
use peerway_cluster::journal::{JournalError, Tag, repair};
use peerway_cluster::ledger::counting::Begin;
use peerway_cluster::ledger::service::{LedgerService, LedgerStatus, ServiceConfig, set_aside};
use tracing::{error, info, warn};

use super::ServeError;
use super::setup::data_dir;
use crate::config::{self, Config};

/// Where the journal lies in the data directory.
const DIRECTORY: &str = "ledger";

/// Opens the journal and takes up what it holds.
pub(super) fn start(config: &Config, identity: &Identity, is_repair: bool) -> Result<LedgerService, ServeError> {
    let data_dir = data_dir(config);
    if is_repair {
        repair_journal(&data_dir.join(DIRECTORY), identity)?;
    }
    let gather = config.governance.gather.get();
    let (identity, begin) = (identity.clone(), begin(config.cluster.as_ref())?);
    Ok(LedgerService::start(ServiceConfig { identity, begin, data_dir: Some(data_dir), gather })?)
}

/// Says what was dropped: nobody else can.
fn repair_journal(dir: &Path, identity: &Identity) -> Result<(), JournalError> {
    if !dir.exists() {
        return Ok(());
    }
    let repaired = repair(dir, Tag::of(identity))?;
    if repaired.dropped.is_empty() {
        info!(dir = %dir.display(), "the ledger's journal is whole: nothing to repair");
    }
    for dropped in &repaired.dropped {
        let (file, kept_as, reason) = (&dropped.name, &dropped.kept_as, &dropped.reason);
        let (from, through) = (dropped.from, dropped.through.map(|through| through.to_string()));
        error!(
            file, kept_as, reason, offset = dropped.offset, bytes = dropped.bytes, %from, ?through,
            "a part of the ledger's journal is dropped: what was spent in these records may be spent again"
        );
    }
    Ok(())
}

/// Who may begin to spend when nobody has begun yet.
fn begin(cluster: Option<&config::Cluster>) -> Result<Begin, ServeError> {
    let Some(cluster) = cluster else { return Ok(Begin::Alone) };
    if !cluster.founders.is_empty() {
        let founders = cluster.founders.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        return Ok(Begin::Founders(founders));
    }
    if let Some(expect) = cluster.expect {
        return Ok(Begin::Expect(expect));
    }
    // A majority of the join list and this node, which may be in the list.
    let others = cluster.join.iter().filter(|seed| Some(seed.as_str()) != cluster.advertise.as_deref());
    let nodes = others.count() + 1;
    Ok(if nodes == 1 { Begin::Alone } else { Begin::Expect(nodes / 2 + 1) })
}

/// Resolves when this node can only go on as another actor.
pub(super) async fn begins_anew(ledger: &LedgerService) -> &'static str {
    let mut status = ledger.watch();
    let why = |status: &LedgerStatus| {
        if status.fenced {
            Some("its journal is older than what its peers know of it")
        } else {
            status.leaves_from.map(|_| "it has left the cluster for good before")
        }
    };
    match status.wait_for(|status| why(status).is_some()).await {
        Ok(status) => why(&status).unwrap_or("it cannot go on"),
        Err(_) => std::future::pending().await,
    }
}

/// Makes the next start of this node another actor without a past. The ledger must be closed.
pub(super) fn renew(config: &Config, identity: &Identity, held: &DataDirLock) -> Result<(), ServeError> {
    let data_dir = data_dir(config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
    let incarnation = identity.renew(&data_dir, held, now)?.incarnation;
    let aside = set_aside(&data_dir)
        .map_err(|source| ServeError::Io { what: "the ledger's journal could not be set aside", source })?;
    warn!(%incarnation, aside = ?aside, "this node begins anew as another incarnation; its old journal is kept aside");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_begins_with_its_founders_or_a_majority_of_what_it_was_told_of() {
        let cluster = |join: usize, founders: &[&str], expect: Option<usize>| config::Cluster {
            join: (0..join).map(|node| format!("10.0.0.{node}:7946")).collect(),
            founders: founders.iter().map(|&name| name.to_owned()).collect(),
            expect,
            ..config::Cluster::default()
        };
        assert_eq!(begin(None).unwrap(), Begin::Alone);
        assert_eq!(begin(Some(&cluster(0, &[], None))).unwrap(), Begin::Alone);
        assert_eq!(begin(Some(&cluster(1, &[], None))).unwrap(), Begin::Expect(2));
        assert_eq!(begin(Some(&cluster(2, &[], None))).unwrap(), Begin::Expect(2));
        assert_eq!(begin(Some(&cluster(4, &[], None))).unwrap(), Begin::Expect(3));
        assert_eq!(begin(Some(&cluster(2, &[], Some(4)))).unwrap(), Begin::Expect(4));
        let itself = config::Cluster { advertise: Some("10.0.0.2:7946".to_owned()), ..cluster(3, &[], None) };
        assert_eq!(begin(Some(&itself)).unwrap(), Begin::Expect(2));
        let founders = ["a", "b"].map(|name| name.parse().unwrap());
        assert_eq!(begin(Some(&cluster(2, &["a", "b"], Some(4)))).unwrap(), Begin::Founders(founders.into()));
        assert!(begin(Some(&cluster(2, &["not a name"], None))).is_err());
    }
}
