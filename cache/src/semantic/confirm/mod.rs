//! The second opinion: a model that reads both prompts, asked where the guard alone does not settle it.
//!
//! The guard stays first. What one of its checks contradicts is never asked about, so no model's word can serve it; and a
//! model that fails, or that is late, leaves the guard's own verdict as it was. The map:
//!
//! - [`Confirm`]: what every such model promises.
//! - `standing`: which pairs are asked about.
//! - `panel`: asking those that are configured: in time, not too many at once, and no pair twice.
//! - `memory`: what was answered before; `rest`: who fails is left alone for a while.
//! - [`CrossEncoder`]: a model in this process, in builds with the feature `local-embedder`.

#[cfg(feature = "local-embedder")]
mod cross_encoder;
mod memory;
mod panel;
mod rest;
mod standing;

use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "local-embedder")]
pub use cross_encoder::CrossEncoder;
pub use panel::ConfirmStats;
pub(crate) use panel::{Opinion, Panel};
pub use standing::{Asks, Standing};

/// Two prompts of one user each, that are the same in all but their last text.
#[derive(Clone, Copy, Debug)]
pub struct PromptPair<'a> {
    /// The one whose answer is kept.
    pub stored: &'a str,
    /// The one that is to be answered.
    pub asked: &'a str,
}

/// What kind of model it is: a closed list, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Confirmer {
    /// A classifier of pairs on this node.
    CrossEncoder,
    /// A chat model at a provider.
    Judge,
}

impl Confirmer {
    /// All of them, in the order they are asked in.
    pub const ALL: [Self; 2] = [Self::CrossEncoder, Self::Judge];

    /// Its name in headers, metrics and the explain call.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrossEncoder => "cross_encoder",
            Self::Judge => "judge",
        }
    }
}

/// Tells whether the answer to one prompt serves another.
///
/// A failure leaves the guard's verdict as it is; a future may be dropped at any time.
#[async_trait]
pub trait Confirm: std::fmt::Debug + Send + Sync {
    /// What kind of model it is.
    fn kind(&self) -> Confirmer;

    /// Names the model: what one has answered is never taken for another's.
    fn model(&self) -> &str;

    /// How sure it must be, 0 to 1.
    fn threshold(&self) -> f32;

    /// What comes later is no answer.
    fn deadline(&self) -> Duration;

    /// How surely the answer to the stored prompt is a correct and complete one to the other, 0 to 1.
    async fn confirm(&self, pair: PromptPair<'_>) -> Result<f32, ConfirmError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// It cannot be asked on behalf of this one; others may ask it.
    #[error("not asked: {0}")]
    Declined(String),
    /// It would not answer others either.
    #[error("{0}")]
    Failed(String),
}
