//! What the data plane touches: taking from what the journal has opened, and giving back, without a lock, an await or a
//! message.
//!
//! The ledger opens a slice of a counter (durably), hands it out here as a [`Slice`], and takes it for reserved until it
//! comes back. A request takes its worst case from the slices of all its allowances, or from none ([`try_hold`]); when
//! one of them has not enough, it asks the ledger, which may gather from peers. The [`Hold`] that it gets settles by
//! atomic additions, so that nothing that was used can get lost in a full queue.
//!
//! - [`amounts`]: the numbers of a slice, and how they move.
//! - [`slice`]: a slice: those numbers for one counter.
//! - [`slot`]: an allowance as the data plane sees it: the slice of its current window.
//! - [`hold`]: what one request took, and how it ends.

pub mod amounts;
mod atomic;
pub mod hold;
pub mod slice;
pub mod slot;

pub use amounts::{Amounts, Collected};
pub use hold::{Hold, Part, try_hold};
pub use slice::Slice;
pub use slot::{Slot, SlotView};
