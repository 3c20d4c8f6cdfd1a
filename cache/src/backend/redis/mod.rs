//! Entries in Redis, Valkey or what else speaks their protocol: one server, or a Redis Cluster.

mod cluster;
mod slot;

use std::time::Duration;

use async_trait::async_trait;
use peerway_cluster::wire;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, SetExpiry, SetOptions, TlsCertificates};

use super::{Backend, BackendError};
use crate::entry::Entry;
use crate::identity::EntryId;
use crate::message::Put;
use cluster::Cluster;

/// Keys begin with this. The number is the version of what they hold: another one is another space.
const PREFIX: &str = "peerway:1:";
/// The purges, a field for each node.
const PURGES: &str = "peerway:1:purges";
const CONNECT: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// One Redis server, or what stands for one (a proxy, a sentinel's address), or a Redis Cluster.
#[derive(Clone)]
pub struct Redis {
    link: Link,
    /// Host and port.
    name: String,
}

#[derive(Clone)]
enum Link {
    One(ConnectionManager),
    Cluster(Cluster),
}

/// Whether the URL can be one of a server, without asking there.
pub fn check_url(url: &str) -> Result<(), BackendError> {
    client(url, None).map(drop)
}

/// Whether the URLs can be ones of a Redis Cluster's servers, without asking there.
pub fn check_cluster(urls: &[&str]) -> Result<(), BackendError> {
    cluster::client(urls, None).map(drop)
}

fn client(url: &str, ca: Option<&[u8]>) -> Result<Client, BackendError> {
    match ca {
        None => Client::open(url),
        Some(ca) => Client::build_with_tls(url, certificates(ca)?),
    }
    .map_err(unusable)
}

fn certificates(ca: &[u8]) -> Result<TlsCertificates, BackendError> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    // Of a file without any the client makes a store without any, and every server is refused.
    if !ca.windows(BEGIN.len()).any(|part| part == BEGIN) {
        let reason = "the file of `ca` has no certificate in PEM".to_owned();
        return Err(BackendError { backend: "redis".to_owned(), reason });
    }
    Ok(TlsCertificates { client_tls: None, root_cert: Some(ca.to_vec()) })
}

fn unusable(error: RedisError) -> BackendError {
    BackendError { backend: "redis".to_owned(), reason: error.to_string() }
}

impl Redis {
    /// The server at this URL (`redis://`, `rediss://` for TLS, `redis+unix://`). With `ca`, authorities in PEM, these and
    /// not the system's vouch for it. Connects when it is first asked, and again whenever the connection is lost. To be
    /// called on the runtime that is to carry the connection.
    pub fn new(url: &str, ca: Option<&[u8]>) -> Result<Redis, BackendError> {
        let client = client(url, ca)?;
        let name = format!("redis at {}", client.get_connection_info().addr());
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT))
            .set_max_delay(MAX_PAUSE);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(unusable)?;
        Ok(Redis { link: Link::One(connection), name })
    }

    /// The Redis Cluster that has servers at these URLs; one that answers is enough to learn of the others. To be called on
    /// the runtime that is to carry the connections.
    pub fn cluster(urls: &[&str], ca: Option<&[u8]>) -> Result<Redis, BackendError> {
        let client = cluster::client(urls, ca)?;
        let first = urls.first().and_then(|url| Client::open(*url).ok());
        let first = first.map(|client| client.get_connection_info().addr().to_string());
        let name = format!("redis cluster at {}", first.unwrap_or_default());
        Ok(Redis { link: Link::Cluster(Cluster::new(client)), name })
    }

    async fn run<T: FromRedisValue>(&self, command: Cmd) -> Result<T, BackendError> {
        let done = match &self.link {
            Link::One(connection) => command.query_async(&mut connection.clone()).await,
            Link::Cluster(cluster) => cluster.run(&command).await,
        };
        done.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> BackendError {
        BackendError { backend: self.name.clone(), reason: error.to_string() }
    }
}

// The client knows the password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Redis").field(&self.name).finish()
    }
}

fn key(id: &EntryId) -> String {
    format!("{PREFIX}{id}")
}

#[async_trait]
impl Backend for Redis {
    fn part(&self, id: &EntryId) -> usize {
        match &self.link {
            Link::One(_) => 0,
            Link::Cluster(_) => slot::part(key(id).as_bytes()),
        }
    }

    async fn get(&self, id: &EntryId) -> Result<Option<Entry>, BackendError> {
        let found: Option<Vec<u8>> = self.run(Cmd::get(key(id))).await?;
        // What another version or a stranger wrote there is none of ours.
        let put = found.and_then(|bytes| wire::decode::<Put>(&bytes).ok());
        Ok(put.and_then(|put| std::sync::Arc::into_inner(put.entry)))
    }

    async fn put(&self, entry: &Entry, time: Duration) -> Result<(), BackendError> {
        let put = Put { entry: std::sync::Arc::new(entry.clone()) };
        let bytes = wire::encode(&put).map_err(|error| self.failed(&error))?;
        let options = SetOptions::default().with_expiration(SetExpiry::PX(time.as_millis().max(1) as u64));
        self.run(Cmd::set_options(key(&entry.id), bytes.as_ref(), options)).await
    }

    async fn remove(&self, id: &EntryId) -> Result<bool, BackendError> {
        let removed: u64 = self.run(Cmd::del(key(id))).await?;
        Ok(removed > 0)
    }

    async fn put_purges(&self, node: &str, text: &str) -> Result<(), BackendError> {
        self.run(Cmd::hset(PURGES, node, text)).await
    }

    async fn purges(&self) -> Result<Vec<String>, BackendError> {
        self.run(Cmd::hvals(PURGES)).await
    }
}
