//! The way back: an upstream's answer to the client, event by event, never held back and never quietly cut.
//!
//! `reader` turns the bytes of an upstream's stream into pieces for the client and gathers the [`Facts`] of the stream;
//! `feed` brings the bytes, and holds the first of them until there is output; `intake` hands the pieces on and settles
//! what the stream cost; `stream` is the body that the client reads.

mod facts;
mod feed;
mod frame;
mod intake;
mod outlet;
mod pace;
mod reader;
mod sse;
mod stream;

pub use facts::Facts;
pub use feed::Feed;
pub use intake::{Finished, OnFinish};
pub use outlet::{Broken, Naming, Outlet, Piece, PieceKind};
pub use reader::Reader;
pub use sse::{EventCutter, EventTooLarge};
pub use stream::{Limits, StreamRelay};
