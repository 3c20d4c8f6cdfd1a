//! What is told of a call.

use std::time::Duration;

use super::Fault;

/// What a call to a target came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Whose fault it is, if it failed.
    pub fault: Fault,
    /// The key was refused whatever the model, as opposed to for this one.
    pub is_whole_key: bool,
    /// How far the call has come.
    pub stage: Stage,
    /// From its begin until now.
    pub took: Duration,
    /// To the first output, when that is known.
    pub first_output: Option<Duration>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// How far a call has come when it is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first output of a stream is there; whether it ends well is observed later. That is enough for a probe.
    Begun,
    /// It has ended, well or not.
    Ended,
}

/// What a provider says of its own limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// The part that is left of the limit that is nearest, 0 to 1.
    pub left: f32,
    /// When it is whole again.
    pub resets_in: Option<Duration>,
    /// Calls a second that the provider grants.
    pub calls_per_second: Option<f32>,
}

impl Observation {
    /// A call that has ended.
    pub fn ended(fault: Fault, took: Duration) -> Observation {
        Observation { fault, is_whole_key: false, stage: Stage::Ended, took, first_output: None, retry_after: None }
    }

    /// A stream whose first output is there.
    pub fn begun(first_output: Duration) -> Observation {
        Observation {
            stage: Stage::Begun,
            first_output: Some(first_output),
            ..Observation::ended(Fault::None, first_output)
        }
    }
}
