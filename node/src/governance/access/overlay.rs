//! Two layers of one kind of thing: a record lies over the file's entry of the same name, a removal hides it.

use std::cmp::Ordering;
use std::sync::Arc;

use peerway_cluster::registry::{Content, Record, RecordKind, Snapshot};
use serde::Serialize;
use utoipa::ToSchema;

/// Where what holds was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Source {
    /// In the configuration file only.
    #[serde(rename = "file")]
    File,
    /// At run time only.
    #[serde(rename = "registry")]
    Registry,
    /// At run time, over an entry of the file.
    #[serde(rename = "file+registry")]
    Both,
}

/// One name, and what each layer has under it.
#[derive(Debug)]
pub(super) enum Layered<'a, F> {
    File(&'a Arc<str>, &'a F),
    Record {
        id: &'a str,
        value: &'a [u8],
        record: &'a Arc<Record>,
        file: Option<&'a F>,
    },
    /// Removed at run time, though the file has it.
    Hidden(&'a Arc<str>, &'a F),
}

/// All names that either layer has, in order, but for those that neither has any more.
pub(super) fn layered<'a, F: 'a>(
    file: impl IntoIterator<Item = (&'a Arc<str>, &'a F)>,
    snapshot: &'a Snapshot,
    kind: RecordKind,
) -> impl Iterator<Item = Layered<'a, F>> {
    let mut file = file.into_iter().peekable();
    let mut records = snapshot.records(kind).peekable();
    std::iter::from_fn(move || {
        loop {
            let order = match (file.peek(), records.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((id, _)), Some(record)) => (***id).cmp(record.key.id.as_str()),
            };
            if order == Ordering::Less {
                return file.next().map(|(id, entry)| Layered::File(id, entry));
            }
            let below = if order == Ordering::Equal { file.next() } else { None };
            let record = records.next()?;
            match (&record.content, below) {
                (Content::Value(value), below) => {
                    let (id, file) = (record.key.id.as_str(), below.map(|(_, entry)| entry));
                    return Some(Layered::Record { id, value, record, file });
                }
                (Content::Removed, Some((id, entry))) => return Some(Layered::Hidden(id, entry)),
                (Content::Removed, None) => {}
            }
        }
    })
}
