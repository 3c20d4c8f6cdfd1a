//! What holds at one moment. Never changes; a change makes the next one, which shares all kinds that it did not touch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::registry::digest::Digest;
use crate::registry::record::{Content, Record, RecordId, RecordKind};

type Kind = BTreeMap<RecordId, Arc<Record>>;

/// The records of one moment, removals included.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    kinds: BTreeMap<RecordKind, Arc<Kind>>,
    /// Grows with every snapshot of this life of this node.
    pub number: u64,
    /// The same on all nodes that hold the same.
    pub revision: u64,
}

impl Snapshot {
    /// The next one.
    pub(super) fn with(&self, changed: impl IntoIterator<Item = Record>, digest: &Digest) -> Snapshot {
        let mut kinds = self.kinds.clone();
        for record in changed {
            let kind = Arc::make_mut(kinds.entry(record.key.kind).or_default());
            kind.insert(record.key.id.clone(), Arc::new(record));
        }
        Snapshot { kinds, number: self.number + 1, revision: digest.fold() }
    }

    /// A record, also when it was removed.
    pub fn record(&self, kind: RecordKind, id: &str) -> Option<&Arc<Record>> {
        self.kinds.get(&kind)?.get(id)
    }

    /// What holds under a name; `None` also when it was removed.
    pub fn get(&self, kind: RecordKind, id: &str) -> Option<Arc<[u8]>> {
        match &self.record(kind, id)?.content {
            Content::Value(value) => Some(Arc::clone(value)),
            Content::Removed => None,
        }
    }

    /// All records of a kind in the order of their names, removals included.
    pub fn records(&self, kind: RecordKind) -> impl Iterator<Item = &Arc<Record>> {
        self.kinds.get(&kind).into_iter().flat_map(|records| records.values())
    }

    /// All names of a kind that were not removed, with their values.
    pub fn live(&self, kind: RecordKind) -> impl Iterator<Item = (&RecordId, &Arc<[u8]>)> {
        self.records(kind).filter_map(|record| match &record.content {
            Content::Value(value) => Some((&record.key.id, value)),
            Content::Removed => None,
        })
    }

    /// How many records were not removed.
    pub fn live_len(&self) -> usize {
        self.kinds.values().flat_map(|kind| kind.values()).filter(|it| it.content != Content::Removed).count()
    }
}
