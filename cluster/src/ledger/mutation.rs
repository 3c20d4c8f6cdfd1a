//! Bugs that a test can plant, to see that the simulator finds them. Outside tests there are none.

/// A bug of the kind that a ledger must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// The receiver gets rights that the giver keeps.
    DoubleCountedTransfer,
    /// Two copies of a row are added instead of merged.
    RowMergedBySum,
    /// An aborted request takes its reservation with it, uncharged.
    LostReserveOnAbort,
    /// What is recalled from a slice is counted twice.
    RecalledTwice,
    /// A node that lost its disk comes back as the actor that it was.
    #[cfg(test)]
    ActorReused,
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
    /// Where all that must be counted are gone, that is enough to have shares.
    NobodyVouches,
    /// The same, and who has no share itself, and may not know all who have, has others forgotten.
    ForgottenByNewcomer,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in all ledgers of this thread, or takes it away.
#[cfg(test)]
pub(super) fn plant(mutation: Option<Mutation>) {
    PLANTED.set(mutation);
}

#[cfg(test)]
pub(super) fn mutated(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

#[cfg(not(test))]
pub(super) const fn mutated(_: Mutation) -> bool {
    false
}
