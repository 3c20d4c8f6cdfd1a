//! A classifier of pairs on this node, as somebody who is asked for a second opinion.

use std::time::Duration;

use async_trait::async_trait;

use super::{Confirm, ConfirmError, Confirmer, PromptPair};
use crate::semantic::embed::{FolderError, PairFolder, PairModel, Threads};

/// A BERT that reads both prompts at once.
#[derive(Debug)]
pub struct CrossEncoder {
    model: PairModel,
    threshold: f32,
    deadline: Duration,
}

impl CrossEncoder {
    /// Reads the model's weights; it runs on these threads.
    pub fn load(
        folder: &PairFolder,
        threads: &Threads,
        threshold: f32,
        deadline: Duration,
    ) -> Result<Self, FolderError> {
        Ok(Self { model: PairModel::load(folder, threads)?, threshold, deadline })
    }
}

#[async_trait]
impl Confirm for CrossEncoder {
    fn kind(&self) -> Confirmer {
        Confirmer::CrossEncoder
    }

    fn model(&self) -> &str {
        self.model.name()
    }

    fn threshold(&self) -> f32 {
        self.threshold
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    async fn confirm(&self, pair: PromptPair<'_>) -> Result<f32, ConfirmError> {
        match self.model.sure(pair.stored, pair.asked).await {
            Ok(Some(sure)) => Ok(sure),
            Ok(None) => Err(ConfirmError::Declined("the prompts are longer than the model can read".to_owned())),
            Err(why) => Err(ConfirmError::Failed(why)),
        }
    }
}
