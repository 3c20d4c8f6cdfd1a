//! Connections to the servers of a Redis Cluster, whose redirections are followed.
//!
//! The client finds servers again by itself, with one exception: when the last one goes while it asks who holds which slots,
//! it goes on asking those that it knew, without a pause. So a keeper asks, when nothing is answered any more, whether any
//! server is there, and if not begins anew with the configured ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{BackendError, MAX_PAUSE, certificates, unusable};

/// For one server. While a client learns who holds which slots, it answers nobody, and it tries those that are gone too.
const CONNECT: Duration = Duration::from_millis(250);
const RESPONSE: Duration = Duration::from_secs(1);
/// How long it may take to find the cluster.
const OPEN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// How often the keeper looks whether anything was answered.
const LOOK: Duration = Duration::from_secs(1);
/// Redirections and lost connections that one command may meet.
const RETRIES: u32 = 3;

pub(super) fn client(urls: &[&str], ca: Option<&[u8]>) -> Result<ClusterClient, BackendError> {
    let builder = ClusterClientBuilder::new(urls.iter().copied())
        .connection_timeout(CONNECT)
        .response_timeout(RESPONSE)
        .retries(RETRIES);
    match ca {
        None => builder,
        Some(ca) => builder.certs(certificates(ca)?),
    }
    .build()
    .map_err(unusable)
}

/// A Redis Cluster; nothing is kept of it once all clones are dropped.
#[derive(Clone)]
pub(super) struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connection: ArcSwapOption<ClusterConnection>,
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Cluster {
    /// Looks for the cluster, on the runtime this is called on.
    pub(super) fn new(client: ClusterClient) -> Cluster {
        let shared = Arc::new(Shared::default());
        tokio::spawn(keep(Arc::downgrade(&shared), client));
        Cluster { shared }
    }

    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let connection = self.shared.connection.load_full();
        let connection = connection.ok_or_else(|| RedisError::from((ErrorKind::Io, "no server was found yet")))?;
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        let answer = command.query_async(&mut ClusterConnection::clone(&connection)).await;
        if answer.as_ref().err().is_none_or(is_word_of_a_server) {
            self.shared.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

fn is_word_of_a_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

async fn keep(shared: Weak<Shared>, client: ClusterClient) {
    let mut pause = PAUSE;
    while shared.strong_count() > 0 {
        match timeout(OPEN, client.get_async_connection()).await {
            Ok(Ok(connection)) => {
                pause = PAUSE;
                let Some(shared) = shared.upgrade() else { return };
                shared.connection.store(Some(Arc::new(connection)));
                drop(shared);
            }
            Ok(Err(error)) => tracing::debug!(%error, "no server of the Redis Cluster was found"),
            Err(_) => tracing::debug!("no server of the Redis Cluster was found in time"),
        }
        until_silent(&shared).await;
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Returns when there is no connection, or one that nobody answers on.
async fn until_silent(shared: &Weak<Shared>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked, mut answered) = (0, 0);
    loop {
        looks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let Some(connection) = shared.connection.load_full() else { return };
        let (asked_by_now, answered_by_now) =
            (shared.asked.load(Ordering::Relaxed), shared.answered.load(Ordering::Relaxed));
        let is_doubtful = asked_by_now > asked && answered_by_now == answered;
        (asked, answered) = (asked_by_now, answered_by_now);
        if is_doubtful && !is_anyone_there(&connection).await {
            tracing::debug!("no server of the Redis Cluster answers");
            shared.connection.store(None);
            return;
        }
    }
}

async fn is_anyone_there(connection: &ClusterConnection) -> bool {
    let mut connection = connection.clone();
    let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
    timeout(RESPONSE, connection.route_command(redis::cmd("PING"), any)).await.is_ok_and(|answer| answer.is_ok())
}
