//! What the registry lays over the file, entry by entry.

use std::sync::Arc;

use peerway_cluster::registry::{RecordKind, Snapshot};

use super::base::Base;
use super::overlay::{Layered, layered};
use super::record::Recorded;
use crate::config::{Customer, Team, VirtualKey};

/// A name under which the registry has something.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<T> {
    pub id: String,
    pub file: Option<Arc<T>>,
    pub registry: Over<T>,
}

/// What lies over the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Over<T> {
    Written(Box<T>),
    Removed,
    /// Why it cannot be read.
    Unreadable(String),
}

/// All that the registry lays over the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Differences {
    pub customers: Vec<Difference<Customer>>,
    pub teams: Vec<Difference<Team>>,
    pub keys: Vec<Difference<VirtualKey>>,
}

impl Differences {
    pub(super) fn new(base: &Base, snapshot: &Snapshot) -> Self {
        let (customers, teams) = (base.customers.iter(), base.teams.iter());
        let keys = base.keys.iter().map(|(id, key)| (id, &key.definition));
        Self {
            customers: differences(customers, snapshot, RecordKind::CUSTOMER),
            teams: differences(teams, snapshot, RecordKind::TEAM),
            keys: differences(keys, snapshot, RecordKind::KEY),
        }
    }
}

fn differences<'a, T: Recorded + 'a>(
    file: impl Iterator<Item = (&'a Arc<str>, &'a Arc<T>)>,
    snapshot: &'a Snapshot,
    kind: RecordKind,
) -> Vec<Difference<T>> {
    layered(file, snapshot, kind)
        .filter_map(|entry| match entry {
            Layered::File(..) => None,
            Layered::Hidden(id, entry) => {
                let file = Some(Arc::clone(entry));
                Some(Difference { id: id.to_string(), file, registry: Over::Removed })
            }
            Layered::Record { id, value, file, .. } => {
                let registry = match T::read(id, value) {
                    Ok(written) => Over::Written(Box::new(written)),
                    Err(error) => Over::Unreadable(error.to_string()),
                };
                Some(Difference { id: id.to_owned(), file: file.cloned(), registry })
            }
        })
        .collect()
}
