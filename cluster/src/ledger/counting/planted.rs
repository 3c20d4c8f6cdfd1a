//! Mistakes that the simulation must find. Each was made in an earlier wording of the rules, or is easily made.

use super::Counting;

/// A planted mistake; nothing but a test plants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// Everybody met counts towards the quorum of the founders.
    NewcomerAsFounder,
    /// A leaver is dropped one minute before the window from which it has no share.
    LeaverDroppedEarly,
    /// Who was there first keeps its share when somebody joins.
    ShareRaisedOnJoin,
    /// Peers hear of statements that the journal may yet lose.
    ToldBeforeDurable,
    /// A clock that steps back is believed, so that W lies before windows that were used.
    ClockBelieved,
    /// Who has no share itself, and may not know all who have, has others forgotten.
    ForgottenByNewcomer,
}

impl Counting {
    #[cfg(test)]
    pub(super) fn is_planted(&self, mistake: Planted) -> bool {
        self.planted == Some(mistake)
    }

    #[cfg(not(test))]
    pub(super) const fn is_planted(&self, _: Planted) -> bool {
        false
    }
}
