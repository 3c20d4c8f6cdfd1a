//! Messages on their way to peers. They may get lost, so there is a bound to how many are under way, and none is waited
//! for but the rows by which a peer learns what is known of it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::messages::{Ask, Digest, Give, List, Route, Rows, Taken, Want};
use super::news::Tell;
use super::transfers::Transfers;
use crate::actor::Actor;
use crate::cluster::Cluster;
use crate::ledger::event::{Message, PlacedRow, RowsRole};
use crate::ledger::statement::News;
use crate::link::{CallError, Link, MAX_LANE_MESSAGE};
use crate::wire::{self, Request, WireError};

/// At most so many messages are under way.
const MAX_UNDER_WAY: usize = 4096;
/// How long a small one has to arrive; who waits for rights does not wait longer.
const SOON: Duration = Duration::from_secs(1);
/// How long a large one has.
const LARGE: Duration = Duration::from_secs(5);
/// Rows are sent so often until they arrive.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// Rows in one message, in bytes; one row alone is never above it.
const ROWS_BYTES: usize = 512 * 1024;

/// What has arrived.
#[derive(Debug)]
pub(super) enum Arrived {
    /// This version of the news.
    News(Actor, u64),
    /// Nothing that anybody waits for, or nothing at all.
    Nothing,
}

/// Sends messages to the peers of a cluster, once there is one.
#[derive(Debug)]
pub(super) struct Outbox {
    me: Actor,
    cluster: Arc<ArcSwapOption<Cluster>>,
    transfers: Arc<Transfers>,
    under_way: FuturesUnordered<BoxFuture<'static, Arrived>>,
}

impl Outbox {
    pub(super) fn new(me: Actor, cluster: Arc<ArcSwapOption<Cluster>>, transfers: Arc<Transfers>) -> Outbox {
        Outbox { me, cluster, transfers, under_way: FuturesUnordered::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next message that has come to an end.
    pub(super) async fn next(&mut self) -> Arrived {
        match self.under_way.next().await {
            Some(arrived) => arrived,
            None => std::future::pending().await,
        }
    }

    pub(super) fn send(&mut self, to: &Actor, message: Message) {
        let Some(link) = self.link() else { return };
        let route = Route { from: self.me.clone(), to: to.clone() };
        self.transfers.sends(&message);
        match message {
            Message::Ask { counter, want, seen, urgency } => {
                self.push(small(link, to, Ask { route, counter, want, seen, urgency }));
            }
            Message::Give { counter, total, left } => {
                self.push(small(link, to, Give { route, counter, total, left }));
            }
            Message::Digest { entries } => self.push(small(link, to, Digest { route, entries: List(entries) })),
            Message::Want { rows } => self.push(small(link, to, Want { route, rows: List(rows) })),
            Message::Rows { rows, role } => {
                for rows in pages(rows) {
                    self.push(rows_to(link.clone(), to.clone(), route.clone(), rows, role).boxed());
                }
            }
        }
    }

    /// Tells this version of the news.
    pub(super) fn tell(&mut self, to: &Actor, news: &News, version: u64) {
        let Some(link) = self.link() else { return };
        let (to, news) = (to.clone(), Tell(news.clone()));
        self.push(
            async move {
                match call(&link, &to, &news).await {
                    Ok(Taken {}) => Arrived::News(to, version),
                    Err(error) => {
                        if let CallError::Wire(WireError::Payload { reason, .. }) = &error {
                            tracing::error!(%reason, "the news of who counts whom cannot be told");
                        }
                        Arrived::Nothing
                    }
                }
            }
            .boxed(),
        );
    }

    fn link(&self) -> Option<Link> {
        // A full outbox loses messages, as a network may.
        let room = self.under_way.len() < MAX_UNDER_WAY;
        self.cluster.load().as_ref().filter(|_| room).map(|cluster| cluster.link().clone())
    }

    fn push(&mut self, message: BoxFuture<'static, Arrived>) {
        self.under_way.push(message);
    }
}

fn small<M: Request<Response = Taken>>(link: Link, to: &Actor, message: M) -> BoxFuture<'static, Arrived> {
    let to = to.clone();
    async move {
        if let Err(error) = link.call(&to.node, &message, SOON).await {
            tracing::debug!(%error, "a message of the ledger was lost");
        }
        Arrived::Nothing
    }
    .boxed()
}

async fn rows_to(link: Link, to: Actor, route: Route, rows: Vec<PlacedRow>, role: RowsRole) -> Arrived {
    let message = Rows { route, role, rows: List(rows) };
    for attempt in 1..=ATTEMPTS {
        match call(&link, &to, &message).await {
            Ok(Taken {}) => return Arrived::Nothing,
            Err(error) if attempt == ATTEMPTS => tracing::debug!(%error, "rows were lost; digests make up for them"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    Arrived::Nothing
}

/// On the lane of small calls when it is one.
async fn call<M: Request>(link: &Link, to: &Actor, message: &M) -> Result<M::Response, CallError> {
    if wire::encode(message)?.len() < MAX_LANE_MESSAGE {
        link.call(&to.node, message, SOON).await
    } else {
        link.call_bulk(&to.node, message, LARGE).await
    }
}

/// Rows in messages that fit.
fn pages(rows: Vec<PlacedRow>) -> Vec<Vec<PlacedRow>> {
    let mut pages = vec![Vec::new()];
    let mut bytes = 0;
    for row in rows {
        // Names and numbers at their longest.
        let size = 128 + 96 * row.row.given.len();
        if bytes + size > ROWS_BYTES && bytes > 0 {
            pages.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(page) = pages.last_mut() {
            page.push(row);
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::super::messages::tests::{actor, counter};
    use super::*;
    use crate::ledger::row::{MAX_RECEIVERS, Row};

    #[test]
    fn rows_of_any_size_fit_their_messages() {
        let given: std::collections::BTreeMap<Actor, u64> = (0..MAX_RECEIVERS as u64)
            .map(|n| (Actor { node: format!("{n:063}").parse().unwrap(), ..actor("a") }, u64::MAX))
            .collect();
        let row = PlacedRow { counter: counter(), owner: actor("a"), row: Row { spent: u64::MAX, given } };
        let pages = pages(vec![row; 40]);
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 40);
        for rows in pages {
            let route = Route { from: actor("a"), to: actor("b") };
            wire::encode(&Rows { route, role: RowsRole::Owner, rows: List(rows) }).unwrap();
        }
    }
}
