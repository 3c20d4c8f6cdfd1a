//! By what a look-up is measured.

use crate::semantic::confirm::Standing;
use crate::semantic::{Asks, Confirm, Verdict};

/// How sure a look-up is to be, and who is asked where the guard alone is not enough.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    /// How sure the guard must be, 0 to 1.
    pub threshold: f32,
    /// What a second opinion is asked for.
    pub asks: Asks,
    /// Whether a second opinion may make a hit of what the guard doubts. Not for who wants to be surer than the rule.
    pub raises: bool,
    /// Who is asked besides the node's own model.
    pub judge: Option<&'a dyn Confirm>,
}

/// By the guard, and by the node's own model where there is one.
impl From<f32> for Measure<'_> {
    fn from(threshold: f32) -> Self {
        Self { threshold, asks: Asks::default(), raises: true, judge: None }
    }
}

impl Measure<'_> {
    /// Who is asked about a pair that stands so, in their order.
    pub(super) fn confirmers<'c>(
        &'c self,
        standing: Standing,
        cross_encoder: Option<&'c dyn Confirm>,
    ) -> impl Iterator<Item = &'c dyn Confirm> {
        let is_asked = match standing {
            Standing::Sure => self.asks == Asks::All,
            Standing::Doubt => self.raises,
            Standing::Refused => false,
        };
        cross_encoder.into_iter().chain(self.judge).filter(move |_| is_asked)
    }

    pub(super) fn standing(&self, verdict: &Verdict) -> Standing {
        Standing::of(verdict, self.threshold)
    }
}
