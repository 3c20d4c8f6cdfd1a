//! The ways in which the first provider breaks.

use std::time::Duration;

use clap::ValueEnum;

/// One way to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Its process is killed and started again.
    Killed,
    /// It takes requests and never answers.
    Hung,
    /// It says that it is full, and for how long.
    #[value(name = "429")]
    Full,
    /// Its answers come byte by byte and would take minutes.
    Slow,
    /// Its answers are cut-off JSON.
    Malformed,
    /// Its answers begin well and have no end.
    #[value(name = "never-ending")]
    Endless,
    /// Not its fault: it refuses 10,000 requests as their clients' mistakes.
    ClientFaults,
}

/// What a provider that is full asks for, as [`Fault::means`] has it.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How a fault is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Kill,
    /// Fault rules of the simulated provider.
    Rules(&'static str),
}

impl Fault {
    /// All, in the order of the table.
    pub(crate) const ALL: [Fault; 7] =
        [Fault::Killed, Fault::Hung, Fault::Full, Fault::Slow, Fault::Malformed, Fault::Endless, Fault::ClientFaults];

    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Killed => "killed",
            Fault::Hung => "hung",
            Fault::Full => "429",
            Fault::Slow => "slow",
            Fault::Malformed => "malformed",
            Fault::Endless => "never-ending",
            Fault::ClientFaults => "client-faults",
        }
    }

    pub(super) fn means(self) -> Means {
        Means::Rules(match self {
            Fault::Killed => return Means::Kill,
            Fault::Hung => r#"[{"do":{"hang":true}}]"#,
            Fault::Full => r#"[{"do":{"status":429,"retry_after_ms":2000}}]"#,
            Fault::Slow => r#"[{"do":{"slow_bytes":200}}]"#,
            Fault::Malformed => r#"[{"do":{"malformed":true}}]"#,
            // Slowly enough that a thousand of them do not fill the machine.
            Fault::Endless => r#"[{"do":{"endless":true,"token_ms":50}}]"#,
            Fault::ClientFaults => {
                r#"[{"match":{"share":0.34},"do":{"status":400}},{"match":{"share":0.5},"do":{"status":404}},{"do":{"status":422}}]"#
            }
        })
    }
}
