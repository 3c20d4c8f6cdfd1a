//! The shared configuration: keys, teams, budgets, limits, routes and providers that can be changed at any node.
//!
//! Every [`Record`] is a last-writer-wins register (Shapiro et al. 2011) under a hybrid logical clock: of two writes the
//! one with the later [`Stamp`] holds, on all nodes, in whatever order they arrive. Sets are made of records too, so that
//! an addition and a removal that did not know of one another leave the member in ([`members`]). Values are opaque here.
//!
//! The map, from the bottom up:
//!
//! - [`clock`]: times that never run against causality, and are refused when too far ahead.
//! - [`record`]: names, values and removals.
//! - [`versions`], [`digest`]: what a node has seen, and where two nodes differ.
//! - [`state`]: the [`Registry`], which merges; [`page`]: what a peer lacks, cut into pages, revocations first.
//! - [`members`]: observed-remove sets.
//! - [`messages`]: the bytes between nodes.
//! - [`exchange`]: who is told and asked what, when; sans-IO like all above.
//! - [`store`]: the registry on disk. The only file here that touches one.
//! - [`service`]: all of it at work, on a thread, over the link.
//!
//! A write goes: [`Registry::put`], then [`Registry::take_unsaved`] to [`Store::save`], then [`Exchange::tick`], which
//! tells the peers. In this order: a write that peers know and that the writer forgets in a crash could get a second
//! meaning under the same stamp.
//!
//! What it does not defend against: a peer relays the records of others, unsigned, so a compromised node can write
//! anything in anybody's name.

pub mod clock;
pub mod digest;
mod error;
pub mod exchange;
pub mod members;
pub mod messages;
pub mod page;
pub mod record;
pub mod service;
pub mod state;
pub mod store;
pub mod versions;

pub use clock::{Actor, Stamp, Time};
pub use error::{RefusedRecord, RegistryError};
pub use exchange::{Exchange, Handled, Now, Outgoing};
pub use record::{Content, Record, RecordId, RecordKey, RecordKind};
pub use service::{RegistryService, Snapshot};
pub use state::{Change, Limits, Merged, Registry, Unsaved};
pub use store::{Store, StoreError};
pub use versions::Versions;
