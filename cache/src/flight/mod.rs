//! Requests that are the same and under way at once: one of them asks the provider, the others follow its answer.
//!
//! A flight is one such call, from the first request that missed to the end of its answer. Every node keeps a table of
//! the flights that concern it ([`Flights`]): those that it leads, because one of its requests asks the provider
//! ([`Lead`]); those that it follows, because one of its requests waits ([`Follower`]); and, of the ids that it owns,
//! all. Who missed asks the owner, and the owner's table decides who leads.
//!
//! What the leader receives goes on its flight's tape. A node that follows reads the tape at the node that it knows of,
//! by calls that wait there for more: the owner reads at the leader, the others read at the owner, so each node reads
//! once, however many of its requests follow.
//!
//! Nobody depends on a flight: when its leader goes away the followers that have given nothing to their clients board
//! anew, and one of them leads; when it ends with an answer that is not kept, each asks for itself.

mod follower;
mod lead;
mod table;
mod tape;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerway_cluster::identity::NodeId;
use tokio::sync::Notify;

pub use follower::{Follower, Next};
pub use lead::Lead;
pub(crate) use lead::OnEnd;
pub(crate) use table::{Boarded, Flights};
pub(crate) use tape::Tape;

use crate::entry::{Entry, RecordedEvent};
use crate::identity::{EntryId, NamespaceId};

/// Who answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Origin {
    /// Which provider.
    pub provider: String,
    /// With which model.
    pub model: String,
}

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an entry.
    Kept(Arc<Entry>),
    /// The answer has ended and is not kept; of a stream, all is on the tape.
    Over,
    /// The leader gave up or is gone: another may lead.
    Lost,
}

/// Where a node has a flight's events from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// One of its requests leads, or is about to know who does.
    Here,
    /// Another node.
    There {
        /// Which.
        node: NodeId,
        /// The number that it gave to the flight; 0 where it was asked for none.
        number: u64,
    },
}

impl Source {
    fn is_of_same_node(&self, other: &Source) -> bool {
        matches!((self, other), (Source::There { node, .. }, Source::There { node: other, .. }) if node == other)
    }
}

/// One call to a provider that several requests share.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Tells it from others of the same id that this node begins.
    pub(crate) number: u64,
    pub(crate) id: EntryId,
    pub(crate) namespace: NamespaceId,
    /// As in [`Entry::generation`]: who comes after a purge does not follow what was asked before it.
    pub(crate) generation: u64,
    course: Mutex<Course>,
    changed: Notify,
}

#[derive(Debug)]
struct Course {
    source: Source,
    tape: Tape,
    origin: Option<Origin>,
    ending: Option<Ending>,
    followers: usize,
    /// A task reads the tape of another node.
    mirrored: bool,
}

impl Flight {
    fn new(number: u64, key: (EntryId, NamespaceId), generation: u64, source: Source, limit: usize) -> Flight {
        let (id, namespace) = key;
        let course =
            Course { source, tape: Tape::new(limit), origin: None, ending: None, followers: 0, mirrored: false };
        Flight { number, id, namespace, generation, course: Mutex::new(course), changed: Notify::new() }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event of the leader's, `at_us` microseconds after it asked. A flight whose tape is full is lost for its
    /// followers; the leader's own client is not concerned.
    pub(crate) fn push(&self, at_us: u64, event: &[u8]) {
        let mut course = self.course();
        course.tape.push(at_us, event);
        self.wake(&mut course);
    }

    /// Events as another node had them on its tape.
    pub(crate) fn append(&self, origin: Origin, events: &[RecordedEvent]) {
        let mut course = self.course();
        course.origin.get_or_insert(origin);
        for event in events {
            course.tape.append(event.delay_us, &event.bytes);
        }
        self.wake(&mut course);
    }

    fn wake(&self, course: &mut Course) {
        if course.tape.is_full() && course.ending.is_none() {
            course.ending = Some(Ending::Lost);
        }
        if course.followers > 0 {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn set_origin(&self, origin: Origin) {
        self.course().origin = Some(origin);
    }

    pub(crate) fn set_source(&self, source: Source) {
        self.course().source = source;
    }

    /// Whether that node is where its events are from.
    pub(crate) fn is_from(&self, node: &NodeId) -> bool {
        matches!(&self.course().source, Source::There { node: source, .. } if source == node)
    }

    pub(crate) fn source(&self) -> Source {
        self.course().source.clone()
    }

    /// Ends with this entry, if it goes on as the flight began.
    pub(crate) fn keep(&self, entry: &Arc<Entry>) -> bool {
        // Those who follow go on in it where they are.
        let Ok(entry) = entry.opened() else { return false };
        let mut course = self.course();
        let is_its = course.tape.is_begin_of(&entry.content.recorded);
        if is_its {
            course.ending.get_or_insert_with(|| Ending::Kept(entry));
            self.changed.notify_waiters();
        }
        is_its
    }

    /// The first ending is the one that counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.course().ending.get_or_insert(ending);
        self.changed.notify_waiters();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.course().ending.is_some()
    }

    /// How many events have come.
    pub(crate) fn events(&self) -> usize {
        self.course().tape.len()
    }

    /// Takes the tape for the entry that is made of it.
    pub(crate) fn take_tape(&self) -> Tape {
        let mut course = self.course();
        if course.followers > 0 { course.tape.clone() } else { std::mem::replace(&mut course.tape, Tape::new(0)) }
    }

    /// The node to read at, if a task is to begin with that.
    pub(crate) fn begin_mirror(&self) -> Option<NodeId> {
        let mut course = self.course();
        let Course { source: Source::There { node, .. }, mirrored: false, ending: None, .. } = &*course else {
            return None;
        };
        let node = node.clone();
        course.mirrored = true;
        Some(node)
    }

    /// Whether the task that reads at another node may stop: nobody follows.
    pub(crate) fn end_mirror_if_idle(&self) -> bool {
        let mut course = self.course();
        let is_idle = course.followers == 0 || course.ending.is_some();
        course.mirrored &= !is_idle;
        is_idle
    }
}
