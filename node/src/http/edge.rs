//! What holds for every connection of a listener: times, limits, and how many there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::head::Paths;
use super::pace::Pace;
use super::request_id::RequestIds;
use super::shed::{Shed, ShedCounts};
use crate::config;

/// Below this a request body is too slow; long prompts come a thousand times faster on any line.
const BYTES_PER_SECOND: u64 = 1024;
/// How long any body may take.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Edge {
    /// How long a head may take, the first one from the connection's beginning.
    pub header: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long a client may read nothing of its answer.
    pub write_stall: Duration,
    pub pace: Pace,
    pub paths: Paths,
    pub connections: Connections,
    pub shed: Arc<ShedCounts>,
    /// For answers that no request's own way gave one.
    pub request_ids: RequestIds,
}

impl Edge {
    pub fn new(http: &config::Http, paths: Paths, shed: Arc<ShedCounts>) -> Self {
        let times = &http.timeouts;
        Self {
            header: times.header.get(),
            idle: times.idle.get(),
            write_stall: times.write_stall.get(),
            pace: Pace { grace: GRACE, bytes_per_second: BYTES_PER_SECOND, total: times.body.get() },
            paths,
            connections: Connections::new(http.max_connections, http.max_connections_per_client),
            shed,
            request_ids: RequestIds::new(rand::random()),
        }
    }
}

/// The open connections, in all and by client.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    most_per_client: usize,
    open: AtomicUsize,
    /// Touched once as a connection begins and once as it ends.
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

impl Connections {
    fn new(most: usize, per_client: Option<usize>) -> Self {
        Self {
            most,
            most_per_client: per_client.unwrap_or((most / 2).max(1)),
            open: AtomicUsize::new(0),
            by_client: Mutex::default(),
        }
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn by_client(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more connection, until dropped.
#[derive(Debug)]
pub struct Open {
    edge: Arc<Edge>,
    client: IpAddr,
}

impl Open {
    /// Counts a connection, or says that there are too many.
    pub fn admit(edge: &Arc<Edge>, client: IpAddr) -> Result<Self, Shed> {
        let client = network(client);
        let connections = &edge.connections;
        let mut by_client = connections.by_client();
        let mine = by_client.get(&client).copied().unwrap_or(0);
        if connections.open() >= connections.most || mine >= connections.most_per_client {
            return Err(Shed::Connections);
        }
        by_client.insert(client, mine + 1);
        connections.open.fetch_add(1, Ordering::Relaxed);
        Ok(Self { edge: Arc::clone(edge), client })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let connections = &self.edge.connections;
        let mut by_client = connections.by_client();
        match by_client.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                by_client.remove(&self.client);
            }
        }
        connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who counts as one client: of IPv6 a whole /64, as one host may have all of its addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_node_and_by_client() {
        let http = config::Http { max_connections: 3, max_connections_per_client: Some(2), ..config::Http::default() };
        let edge = Arc::new(Edge::new(&http, Paths::Data, Arc::default()));
        let admit = |address: &str| Open::admit(&edge, address.parse().unwrap());
        let one = admit("10.0.0.1").unwrap();
        let _two = admit("::ffff:10.0.0.1").unwrap();
        assert!(admit("10.0.0.1").is_err(), "the client has its two");
        let three = admit("2001:db8::1").unwrap();
        assert!(admit("10.0.0.2").is_err(), "the node has its three");
        drop(one);
        let _four = admit("2001:db8::2").unwrap();
        assert!(admit("2001:db8:0:0:9::").is_err(), "the same /64");
        drop(three);
        assert_eq!(edge.connections.open(), 2);
        assert_eq!(edge.connections.by_client().len(), 2, "nobody is remembered for nothing");
    }
}
