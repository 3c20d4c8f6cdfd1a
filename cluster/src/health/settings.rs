//! When a breaker opens, and how it closes again.

use std::time::Duration;

/// The bounds of the breakers; the same on all nodes, or each believes the others a little too soon or too late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// So many failures in a row open a breaker.
    pub failures: u32,
    /// More than this part of the calls in the window opens it too ...
    pub ratio: f64,
    /// ... if there were at least so many.
    pub min_calls: u32,
    /// How far back calls count.
    pub window: Duration,
    /// Between two calls of the cluster that try an open target.
    pub probe_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            failures: 5,
            ratio: 0.5,
            min_calls: 20,
            window: Duration::from_secs(10),
            probe_interval: Duration::from_secs(5),
        }
    }
}
