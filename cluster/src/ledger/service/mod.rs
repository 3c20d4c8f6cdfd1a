//! The ledger at work.

pub mod entry;
mod messages;
mod news;
