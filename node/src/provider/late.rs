//! A timeout of a provider's that has struck: which, how long it is, and whose.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The timeouts of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    Connect,
    FirstByte,
    Idle,
    Total,
}

/// What is told when one of them has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    pub timeout: Timeout,
    /// As configured.
    pub after: Duration,
    pub provider: Arc<str>,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, after, provider } = self;
        let (what, name) = match timeout {
            Timeout::Connect => ("no connection within", "connect"),
            Timeout::FirstByte => ("no answer within", "first-byte"),
            Timeout::Idle => ("nothing came for", "idle"),
            Timeout::Total => ("no end within", "total"),
        };
        write!(f, "{what} {after:?}, the {name} timeout of provider `{provider}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_timeout_its_length_and_the_provider() {
        let late = |timeout| Late { timeout, after: Duration::from_millis(1_500), provider: "demo".into() }.to_string();
        assert_eq!(late(Timeout::Connect), "no connection within 1.5s, the connect timeout of provider `demo`");
        assert_eq!(late(Timeout::FirstByte), "no answer within 1.5s, the first-byte timeout of provider `demo`");
        assert_eq!(late(Timeout::Idle), "nothing came for 1.5s, the idle timeout of provider `demo`");
        assert_eq!(late(Timeout::Total), "no end within 1.5s, the total timeout of provider `demo`");
    }
}
