//! Reads the tape of a flight at the node that has it, for all who follow at this one.

use std::sync::Arc;
use std::time::Duration;

use peerway_cluster::identity::NodeId;
use peerway_cluster::link::{Answer, Refusal};
use tokio::time::timeout;

use super::Inner;
use super::service::write;
use crate::entry::Recorded;
use crate::flight::{Ending, Flight, Next, Source};
use crate::message::{Follow, Followed, Landed};

/// How much longer than its poll a peer may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_millis(700);

impl Inner {
    /// Has the flight's tape read where it is, unless that is done already or it is here.
    pub(super) fn mirror(self: &Arc<Self>, flight: Arc<Flight>) {
        let Some(source) = flight.begin_mirror() else { return };
        let inner = self.clone();
        tokio::spawn(async move {
            loop {
                if let Some(ending) = inner.read_on(&flight, &source).await {
                    inner.flights.remove(&flight);
                    return flight.end(ending);
                }
                if flight.end_mirror_if_idle() {
                    // The owner must know who leads; all others can ask it again.
                    if inner.peers.placement(&flight.id).owner.as_ref() != Some(inner.peers.me()) {
                        inner.flights.remove(&flight);
                    }
                    return;
                }
            }
        });
    }

    /// Takes over what comes next; tells how the flight ended if it did.
    async fn read_on(&self, flight: &Flight, source: &NodeId) -> Option<Ending> {
        let seen = u32::try_from(flight.events()).unwrap_or(u32::MAX);
        let question = Follow { id: flight.id, namespace: flight.namespace, seen };
        let deadline = self.config.follow_poll + PATIENCE;
        match timeout(deadline, self.peers.follow(source, &question, deadline)).await {
            Ok(Ok(Followed::Nothing)) => None,
            Ok(Ok(Followed::Events { origin, events: Recorded::Stream { events } })) => {
                flight.append(origin, &events);
                None
            }
            Ok(Ok(Followed::Kept(entry))) if self.may_serve(&entry, &flight.id, &flight.namespace) => {
                self.keep_copy(&self.peers.placement(&entry.id), &entry);
                // Of another leader's answer nothing fits what was read.
                Some(if flight.keep(&entry) { Ending::Kept(entry) } else { Ending::Lost })
            }
            Ok(Ok(Followed::Over)) => Some(Ending::Over),
            Ok(Ok(_)) => Some(Ending::Lost),
            Ok(Err(error)) => {
                tracing::debug!(peer = %source, %error, "an answer that was followed is lost");
                Some(Ending::Lost)
            }
            Err(_) => Some(Ending::Lost),
        }
    }

    pub(super) fn serve_follow(self: &Arc<Self>, from: &NodeId, follow: Follow) -> Answer {
        let known = self.flights.get(&follow.id, &follow.namespace);
        if known.as_ref().is_some_and(|flight| flight.is_from(from)) {
            // Each takes the other for the one who knows, as their rings differ: neither would ever ask the provider.
            return Answer::Now(write(&Followed::Lost));
        }
        let Some(flight) = known else {
            // It has just ended, or there was none.
            let entry =
                [&self.store, &self.near].into_iter().find_map(|store| self.held(store, &follow.id, &follow.namespace));
            return Answer::Now(write(&entry.map_or(Followed::Lost, Followed::Kept)));
        };
        let mut follower = self.follow(flight, follow.seen as usize);
        let poll = self.config.follow_poll;
        Answer::Later(Box::pin(async move {
            let followed = match timeout(poll, follower.next()).await {
                Err(_) => Followed::Nothing,
                Ok(Next::Events(events)) => {
                    Followed::Events { origin: follower.origin(), events: Recorded::Stream { events } }
                }
                Ok(Next::Ended(Ending::Kept(entry))) => Followed::Kept(entry),
                Ok(Next::Ended(Ending::Over)) => Followed::Over,
                Ok(Next::Ended(Ending::Lost)) => Followed::Lost,
            };
            write(&followed).map_err(|_| Refusal::Failed("the answer does not fit a message".to_owned()))
        }))
    }

    pub(super) fn serve_landed(&self, from: &NodeId, landed: &Landed) {
        let ending = if landed.over { Ending::Over } else { Ending::Lost };
        self.flights.end_of(&landed.id, &Source::There { node: from.clone(), number: landed.number }, ending);
    }
}
