//! The HTTP plane: listener, data-plane threads, what clients may send and how fast, errors as clients read them,
//! graceful drain.
//!
//! A request's way in: [`accept`] (connections, file descriptors) -> [`worker`] -> `connection` (one client's) ->
//! `client_io` (`framing`, slow heads, clients that do not read) -> `front` (`head`, `pace`) -> the router. Whoever needs
//! the body reads it with [`body`], which counts it in [`memory`].

pub mod accept;
pub mod body;
mod client_io;
pub mod code;
mod connection;
mod decode;
mod descriptors;
pub mod drain;
pub mod edge;
pub mod error;
pub mod error_form;
pub mod framing;
mod front;
pub mod head;
pub mod memory;
mod pace;
pub mod request_id;
pub mod scrub;
pub mod shed;
mod standing;
pub mod worker;
mod written;

pub use descriptors::raise as raise_descriptors;
pub use edge::Edge;
