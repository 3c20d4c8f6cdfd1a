//! What a look-up by meaning would make of two texts.

use crate::identity::NamespaceId;
use crate::ring_cache::RingCache;
use crate::ring_cache::similar::Measure;
use crate::semantic::confirm::{PromptPair, Standing};
use crate::semantic::embed::{EmbedError, cosine};
use crate::semantic::{Confirmer, Prompt, Verdict};

/// Whose opinions are remembered that were asked for on nobody's behalf.
const NOBODYS: NamespaceId = NamespaceId { scope: [0; 16], name: [0; 16] };

/// Two texts, compared as a look-up compares what was asked before with what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The cosine of their vectors.
    pub cosine: f32,
    /// Whether that is enough for the guard to be asked.
    pub is_candidate: bool,
    /// What the guard says.
    pub verdict: Verdict,
    /// What that comes to.
    pub standing: Standing,
    /// Who would be asked besides it, in their order. The first that refuses, or gives no answer, ends that.
    pub heard: Vec<Heard>,
}

/// Whose second opinion a look-up asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Who it is.
    pub who: Confirmer,
    /// How sure it must be.
    pub threshold: f32,
    /// How sure it is, where it was asked.
    pub sure: Option<f32>,
}

impl RingCache {
    /// Compares two texts by this node's embedder, by the guard and by the node's own model for second opinions; nothing is
    /// looked up and nothing is kept, and nobody is asked whose answer costs. None where look-ups by meaning are off.
    pub async fn compare<'m>(
        &self,
        first: &str,
        second: &str,
        measure: impl Into<Measure<'m>>,
    ) -> Option<Result<Comparison, EmbedError>> {
        let semantic = self.inner.semantic.as_ref()?;
        let (config, guard, measure) = (&semantic.config, semantic.guard, measure.into());
        let vectors = async { Ok((config.embedder.embed(first).await?, config.embedder.embed(second).await?)) };
        let (a, b) = match vectors.await {
            Ok(vectors) => vectors,
            Err(error) => return Some(Err(error)),
        };
        let cosine = cosine(&a, &b);
        let is_candidate = cosine >= config.floor;
        let verdict = guard.judge_found(&Prompt::read(first), &Prompt::read(second), cosine);
        let standing = measure.standing(&verdict);
        let mut heard = Vec::new();
        if is_candidate {
            for confirm in measure.confirmers(standing, config.cross_encoder.as_deref()) {
                let (who, threshold) = (confirm.kind(), confirm.threshold());
                let pair = PromptPair { stored: first, asked: second };
                let sure = match who {
                    Confirmer::CrossEncoder => semantic.panel.answer(&NOBODYS, confirm, pair).await,
                    Confirmer::Judge => None,
                };
                heard.push(Heard { who, threshold, sure });
            }
        }
        Some(Ok(Comparison { cosine, is_candidate, verdict, standing, heard }))
    }
}
