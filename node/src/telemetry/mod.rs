//! What the node tells its operators: metrics, the access log, the log.

pub mod access_log;
pub mod exposition;
pub mod log;
pub mod savings;
pub mod shard;

pub use access_log::AccessLog;
pub use shard::{Histogram, Shard, Shards};
