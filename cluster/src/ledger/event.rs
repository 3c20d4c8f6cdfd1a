//! What happens to a ledger and what it wants done.

use bincode::{Decode, Encode};

use super::allowance::{Allowance, AllowanceId, CounterId};
use super::record::{Durability, Record};
use super::reservation::{Denial, Outcome, ReservationId};
use super::row::{Row, RowError};
use crate::actor::Actor;

/// The two clocks, read by whoever drives the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock in unix seconds: it chooses windows and may step in either direction.
    pub unix: i64,
    /// A monotonic clock in milliseconds: it measures deadlines and rates.
    pub mono_ms: u64,
}

/// So much of one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The allowance.
    pub allowance: AllowanceId,
    /// How much of it, in its unit.
    pub amount: u64,
}

/// What happens to a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request wants to begin: all of these charges or none.
    Reserve {
        /// A name that was never used before, from [`super::reservation::ReservationIds`].
        id: ReservationId,
        /// At most [`super::reservation::MAX_CHARGES`], each on another allowance.
        charges: Vec<Charge>,
    },
    /// It ended, in one way or another. Only the first end of a reservation counts.
    End {
        /// The reservation.
        id: ReservationId,
        /// What is to be charged.
        outcome: Outcome,
    },
    /// A granted reservation was handed to the data plane: what it holds is part of the slices of its counters from here
    /// on, and comes back by [`Event::Return`].
    Drawn {
        /// The reservation.
        id: ReservationId,
    },
    /// A slice of a counter is to be handed to the data plane: answered by [`Action::Opened`].
    Open {
        /// The counter.
        counter: CounterId,
        /// How much is wanted there at least, when there is plenty.
        want: u64,
    },
    /// Something came back from a slice.
    Return {
        /// The counter.
        counter: CounterId,
        /// What was spent of it.
        spent: u64,
        /// What was spent beyond it: actual costs that were above what was held for them.
        above: u64,
        /// What was not needed.
        unused: u64,
    },
    /// A peer says something. `from` is what the link has authenticated.
    Peer {
        /// Who says it.
        from: Actor,
        /// To whom; what was meant for an earlier actor on this node is ignored.
        to: Actor,
        /// What.
        message: Message,
    },
    /// A peer is there, for the first time or again.
    PeerSeen(Actor),
    /// A peer is gone.
    PeerGone(Actor),
    /// An allowance is new, or its limit is another one.
    LimitChanged(Allowance),
    /// The counting rules came to another result: shares are to be asked for again.
    SharesChanged,
    /// Time went by. Due at least at [`super::ledger::Ledger::next_deadline`] and every 100 ms.
    Tick,
    /// The node ends in good order: what is open and unused is closed.
    Close,
}

/// What a ledger wants done, in this order. A crash between two actions is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write to the journal; see [`Durability`] for when the next action may begin.
    Persist {
        /// What.
        record: Record,
        /// How surely.
        durability: Durability,
    },
    /// Tell a peer. It may get lost, come late, twice, or in another order.
    Send {
        /// Whom.
        to: Actor,
        /// What.
        message: Message,
    },
    /// The request may begin.
    Granted(ReservationId),
    /// It may not.
    Denied {
        /// Which.
        id: ReservationId,
        /// Why.
        denial: Denial,
    },
    /// So much may be spent from the slice of this counter, in addition; 0 when there is nothing to spare.
    Opened {
        /// The counter.
        counter: CounterId,
        /// How much.
        amount: u64,
    },
    /// Somebody should look at this.
    Alarm(Alarm),
}

/// What should not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A reservation that nobody settled in the longest time that a request may take was charged in full.
    LostReservation(ReservationId),
    /// A peer sent what no honest peer sends.
    Refused {
        /// Who.
        from: Actor,
        /// Why it was refused.
        error: RowError,
    },
    /// A peer knows more of this actor than its own journal: the journal was rolled back or the actor runs twice. This
    /// ledger grants nothing any more; the node must start again as a new actor.
    RolledBack {
        /// Who knows more.
        witness: Actor,
        /// In which counter.
        counter: CounterId,
    },
}

/// How urgently a peer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Urgency {
    /// Ahead of need: give up to half of what lies above your own needs.
    Background,
    /// A request waits: give up to half of what you have.
    Waiting,
    /// A request waits and halves were not enough: give up to all that you have.
    Last,
}

/// A row with its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PlacedRow {
    /// In which counter.
    pub counter: CounterId,
    /// Whose row.
    pub owner: Actor,
    /// The row.
    pub row: Row,
}

/// What ledgers say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Give me rights.
    Ask {
        /// In which counter.
        counter: CounterId,
        /// How much.
        want: u64,
        /// What the asker knows that it got from this giver, in total. It makes a repeated ask harmless: what is on its
        /// way counts towards what is wanted.
        seen: u64,
        /// How urgently.
        urgency: Urgency,
    },
    /// What I gave you in total; the journal holds it.
    Give {
        /// In which counter.
        counter: CounterId,
        /// All that the asker was ever given, so that a lost, doubled or late answer does no harm.
        total: u64,
        /// What the giver still has.
        left: u64,
    },
    /// Rows, of the sender or (marked as such) of actors that are gone, or the receiver's own as a replica knows them.
    Rows {
        /// At most [`super::spread::MAX_ROWS`].
        rows: Vec<PlacedRow>,
        /// Whose rows these are.
        role: RowsRole,
    },
    /// What the sender holds, so that the receiver can ask for what it lacks.
    Digest {
        /// At most [`super::spread::MAX_ROWS`].
        entries: Vec<DigestEntry>,
    },
    /// Send me these rows.
    Want {
        /// At most [`super::spread::MAX_ROWS`].
        rows: Vec<(CounterId, Actor)>,
    },
}

/// Why somebody may tell a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum RowsRole {
    /// They are the sender's own.
    Owner,
    /// They belong to actors that are gone; the sender keeps them as a replica.
    Replica,
    /// They belong to the receiver, which compares them with its journal.
    Mirror,
}

/// A row in short.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DigestEntry {
    /// In which counter.
    pub counter: CounterId,
    /// Whose row.
    pub owner: Actor,
    /// A hash of its numbers.
    pub hash: u64,
}
