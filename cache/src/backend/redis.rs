//! Entries in Redis, Valkey or what else speaks their protocol.

use std::time::Duration;

use async_trait::async_trait;
use peerway_cluster::wire;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, RedisError, SetExpiry, SetOptions};

use super::{Backend, BackendError};
use crate::entry::Entry;
use crate::identity::EntryId;
use crate::message::Put;

/// Keys begin with this. The number is the version of what they hold: another one is another space.
const PREFIX: &str = "peerway:1:";
/// The purges, a field for each node.
const PURGES: &str = "peerway:1:purges";
const CONNECT: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// One Redis server, or what stands for one: a proxy, a sentinel's address.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    /// Host and port.
    name: String,
}

/// Whether the URL can be one of a server, without asking there.
pub fn check_url(url: &str) -> Result<(), BackendError> {
    client(url).map(drop)
}

fn client(url: &str) -> Result<Client, BackendError> {
    Client::open(url).map_err(unusable)
}

fn unusable(error: RedisError) -> BackendError {
    BackendError { backend: "redis".to_owned(), reason: error.to_string() }
}

impl Redis {
    /// The server at this URL (`redis://`, `rediss://` for TLS, `redis+unix://`). Connects when it is first asked, and
    /// again whenever the connection is lost. To be called on the runtime that is to carry the connection.
    pub fn new(url: &str) -> Result<Redis, BackendError> {
        let client = client(url)?;
        let name = format!("redis at {}", client.get_connection_info().addr());
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT))
            .set_max_delay(MAX_PAUSE);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(unusable)?;
        Ok(Redis { connection, name })
    }

    fn failed(&self, error: &RedisError) -> BackendError {
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
    async fn get(&self, id: &EntryId) -> Result<Option<Entry>, BackendError> {
        let found: Option<Vec<u8>> = self.connection.clone().get(key(id)).await.map_err(|error| self.failed(&error))?;
        // What another version or a stranger wrote there is none of ours.
        let put = found.and_then(|bytes| wire::decode::<Put>(&bytes).ok());
        Ok(put.and_then(|put| std::sync::Arc::into_inner(put.entry)))
    }

    async fn put(&self, entry: &Entry, time: Duration) -> Result<(), BackendError> {
        let unfit =
            |error: &dyn std::fmt::Display| BackendError { backend: self.name.clone(), reason: error.to_string() };
        let put = Put { entry: std::sync::Arc::new(entry.clone()) };
        let bytes = wire::encode(&put).map_err(|error| unfit(&error))?;
        let options = SetOptions::default().with_expiration(SetExpiry::PX(time.as_millis().max(1) as u64));
        let mut connection = self.connection.clone();
        connection
            .set_options::<_, _, ()>(key(&entry.id), bytes.as_ref(), options)
            .await
            .map_err(|error| self.failed(&error))
    }

    async fn remove(&self, id: &EntryId) -> Result<bool, BackendError> {
        let removed: u64 = self.connection.clone().del(key(id)).await.map_err(|error| self.failed(&error))?;
        Ok(removed > 0)
    }

    async fn put_purges(&self, node: &str, text: &str) -> Result<(), BackendError> {
        self.connection.clone().hset::<_, _, _, ()>(PURGES, node, text).await.map_err(|error| self.failed(&error))
    }

    async fn purges(&self) -> Result<Vec<String>, BackendError> {
        self.connection.clone().hvals(PURGES).await.map_err(|error| self.failed(&error))
    }
}
