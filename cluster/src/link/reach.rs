//! "Can you reach me?": a peer sends us a packet from a socket that we never sent to.
//!
//! A connection that we dialled says nothing about who can dial us: firewalls let answers through. A cluster whose
//! nodes can only be reached by those that they reached first falls apart at the next restart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};
use quinn::Endpoint;
use tokio::time::timeout;

use super::codes::{CloseCode, close};
use super::greet::SERVER_NAME;
use super::shared::Shared;
use super::{Answer, Refusal};
use crate::wire::{self, Kind, Message, Request};

const PROBE: Duration = Duration::from_millis(1500);

/// Asks the peer to dial our advertised address from a fresh socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Reach;

/// Whether we answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Reached {
    pub(super) yes: bool,
}

impl Message for Reach {
    const KIND: Kind = Kind::LinkReach;
}

impl Message for Reached {
    const KIND: Kind = Kind::LinkReached;
}

impl Request for Reach {
    type Response = Reached;
}

/// Only the advertised address of the asking peer is dialled, so that nobody can aim our packets at a third.
pub(super) fn serve(shared: &Arc<Shared>, address: SocketAddr) -> Answer {
    if !shared.real_sockets {
        return Answer::Now(Err(Refusal::NotServed));
    }
    let client = shared.client.clone();
    Answer::Later(Box::pin(async move {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let endpoint = Endpoint::client(SocketAddr::new(any, 0)).map_err(|error| Refusal::Failed(error.to_string()))?;
        let connecting =
            endpoint.connect_with(client, address, SERVER_NAME).map_err(|error| Refusal::Failed(error.to_string()))?;
        let yes = match timeout(PROBE, connecting).await {
            Ok(Ok(connection)) => {
                close(&connection, CloseCode::Probe, "reached");
                // Lets the word out before the socket goes.
                let _ = timeout(PROBE, endpoint.wait_idle()).await;
                true
            }
            _ => false,
        };
        wire::encode(&Reached { yes }).map_err(|_| Refusal::Malformed)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_reach_and_reached_never_change() {
        assert!(wire::encode(&Reach).is_ok_and(|bytes| bytes.is_empty()));
        for yes in [false, true] {
            assert_eq!(wire::encode(&Reached { yes }).unwrap()[..], [u8::from(yes)]);
        }
    }
}
