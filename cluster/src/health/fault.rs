//! Whose fault a failed call is. Only the provider's moves a breaker.

use std::fmt;

/// Whose fault it is that a call came to what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It succeeded.
    None,
    /// The request itself, or its client went away: says nothing about the target.
    Client,
    /// The key was refused: another key may do.
    Key,
    /// The target is full: later it may do.
    Capacity,
    /// The provider, or the way to it.
    Provider,
}

impl Fault {
    /// Its name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Client => "client",
            Fault::Key => "key",
            Fault::Capacity => "capacity",
            Fault::Provider => "provider",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
