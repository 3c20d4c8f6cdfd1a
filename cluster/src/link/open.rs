//! Binding a link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use quinn::{AsyncUdpSocket, Endpoint, Runtime, TokioRuntime};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::WallClock;
use super::counters::Counters;
use super::dial::Dials;
use super::peers::Peers;
use super::refusals::Refusals;
use super::shared::Shared;
use super::{LinkConfig, LinkError, Service, endpoint, greet};

pub(super) fn bind(config: LinkConfig, service: Arc<dyn Service>) -> Result<Arc<Shared>, LinkError> {
    // Outside a runtime the socket cannot be registered.
    Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
    let bind_error = |source| LinkError::Bind { address: config.listen, source };
    let runtime = Arc::new(TokioRuntime);
    let socket = UdpSocket::bind(config.listen).map_err(bind_error)?;
    let socket = runtime.wrap_udp_socket(socket).map_err(bind_error)?;
    Opening { socket, runtime, seed: rand::random(), clock: WallClock::System, real_sockets: true }
        .link(config, service)
}

pub(super) fn bind_abstract(
    config: LinkConfig,
    service: Arc<dyn Service>,
    socket: Arc<dyn AsyncUdpSocket>,
    runtime: Arc<dyn Runtime>,
    rng_seed: [u8; 32],
) -> Result<Arc<Shared>, LinkError> {
    Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
    // A restarted node must not draw the connection ids of its former life again.
    let mut hasher = blake3::Hasher::new_keyed(&rng_seed);
    hasher.update(config.identity.node_id.as_str().as_bytes());
    hasher.update(&config.identity.generation.0.to_le_bytes());
    let seed = hasher.finalize().into();
    let clock = WallClock::Virtual(Instant::now());
    Opening { socket, runtime, seed, clock, real_sockets: false }.link(config, service)
}

struct Opening {
    socket: Arc<dyn AsyncUdpSocket>,
    runtime: Arc<dyn Runtime>,
    seed: [u8; 32],
    clock: WallClock,
    real_sockets: bool,
}

impl Opening {
    fn link(self, config: LinkConfig, service: Arc<dyn Service>) -> Result<Arc<Shared>, LinkError> {
        let LinkConfig { identity, trust, listen, advertise, limits } = config;
        if *trust.node() != identity.node_id || *trust.cluster() != identity.cluster {
            return Err(LinkError::Name {
                certificate: format!("{}/{}", trust.cluster(), trust.node()),
                configured: format!("{}/{}", identity.cluster, identity.node_id),
            });
        }
        let client = endpoint::client_config(&trust)?;
        let server = endpoint::server_config(&trust)?;
        let settings = endpoint::endpoint_config(trust.reset_key(), self.seed);
        let bind_error = |source| LinkError::Bind { address: listen, source };
        let endpoint = Endpoint::new_with_abstract_socket(settings, Some(server), self.socket, self.runtime)
            .map_err(bind_error)?;
        let local = endpoint.local_addr().map_err(bind_error)?;
        let (inbox, inbox_end) = mpsc::channel(limits.gossip_inbox);
        let shared = Arc::new(Shared {
            advertised: advertised(advertise, local, self.real_sockets),
            local,
            peers: Peers::new(identity.node_id.clone()),
            identity,
            limits,
            endpoint,
            client,
            service,
            dials: Dials::default(),
            counters: Counters::default(),
            refusals: Mutex::new(Refusals::default()),
            inbox,
            double: tokio::sync::watch::Sender::new(None),
            inbox_end: Mutex::new(Some(inbox_end)),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            runtime: Handle::current(),
            clock: self.clock,
            rng: Mutex::new(StdRng::from_seed(blake3::derive_key("peerway 2026-11 link jitter", &self.seed))),
            real_sockets: self.real_sockets,
        });
        shared.spawn(greet::accept(Arc::clone(&shared)));
        Ok(shared)
    }
}

/// Peers must be given an address that they can dial.
fn advertised(configured: Option<SocketAddr>, local: SocketAddr, real_sockets: bool) -> SocketAddr {
    let mut address = configured.unwrap_or(local);
    if address.port() == 0 {
        address.set_port(local.port());
    }
    if address.ip().is_unspecified() && real_sockets {
        address.set_ip(outward(address.is_ipv4()));
    }
    address
}

/// The address from which this host would send to the world: connecting a UDP socket asks the routing table and sends
/// nothing.
fn outward(v4: bool) -> IpAddr {
    // Addresses for documentation (RFC 5737, RFC 3849): nobody has them.
    let (from, to): (IpAddr, IpAddr) = if v4 {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
    } else {
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
    };
    let asked = UdpSocket::bind((from, 0)).and_then(|socket| {
        socket.connect((to, 9))?;
        socket.local_addr()
    });
    match asked {
        Ok(address) if !address.ip().is_unspecified() => address.ip(),
        _ if v4 => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    }
}
