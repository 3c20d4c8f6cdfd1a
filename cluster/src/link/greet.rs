//! From a connection to a peer: the TLS handshake, the certificate, the hello of both sides.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::RefusalReason;
use super::codes::{CloseCode, close};
use super::counters::add;
use super::hello::{Agreed, Hello, Objection};
use super::lane::lane;
use super::peers::{Entered, Peer, Side};
use super::session;
use super::shared::Shared;
use super::stream::{StreamError, read_header, read_payload, write_one};
use crate::identity::{Generation, Incarnation, NodeId};
use crate::trust;
use crate::wire::{self, Kind, Message as _, WireError};

/// A name for TLS to carry; the verifier looks at the cluster's name in the certificate instead.
pub(super) const SERVER_NAME: &str = "peerway";

/// Why a dial did not make a peer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the address leads back to this node")]
    Oneself,
    #[error("no answer: is the node running, and is UDP open between the two?")]
    NoAnswer,
    #[error("{0}")]
    Failed(String),
}

/// Accepts strangers until the link is closed.
pub(super) async fn accept(shared: Arc<Shared>) {
    while let Some(incoming) = shared.endpoint.accept().await {
        if shared.endpoint.open_connections() > shared.limits.max_connections {
            let address = incoming.remote_address();
            shared.refuse(address, RefusalReason::Full, "this node holds as many connections as it may");
            incoming.refuse();
            continue;
        }
        let task = Arc::clone(&shared);
        shared.spawn(async move {
            let address = incoming.remote_address();
            if timeout(task.limits.handshake, inbound(&task, incoming)).await.is_err() {
                debug!(%address, "no hello in time");
            }
        });
    }
}

async fn inbound(shared: &Arc<Shared>, incoming: Incoming) {
    let address = incoming.remote_address();
    let connection = match incoming.accept() {
        Ok(connecting) => connecting.await,
        Err(error) => Err(error),
    };
    let greeted = match connection {
        Ok(connection) => answer(shared, connection).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = greeted {
        explain(shared, address, &error);
    }
}

/// The accepting side of the hello.
async fn answer(shared: &Arc<Shared>, connection: Connection) -> Result<(), StreamError> {
    let guard = Guard(Some(connection));
    let connection = guard.connection();
    let (mut send, mut recv) = connection.accept_bi().await?;
    let theirs = read_hello(shared, connection, &mut recv).await?;
    let Some((certified, agreed)) = judge(shared, connection, &theirs) else {
        return Ok(());
    };
    if is_double(shared, connection, &certified, &theirs).await {
        return Ok(());
    }
    let Some(start) = enter(shared, connection, Side::Theirs, certified, &theirs, agreed) else {
        return Ok(());
    };
    let hello = wire::encode(&shared.hello())?;
    // The session starts whatever comes of the answer: it is what cleans up after a lost connection.
    let written = write_one(&mut send, Hello::KIND, hello).await;
    guard.keep();
    start.run(shared);
    written
}

/// Dials an address and makes a peer of who answers.
pub(super) async fn outbound(shared: &Arc<Shared>, address: SocketAddr) -> Result<NodeId, DialError> {
    match timeout(shared.limits.handshake, ask(shared, address)).await {
        Err(_) => Err(DialError::NoAnswer),
        Ok(Ok(id)) => Ok(id),
        Ok(Err(Asked::Dial(error))) => Err(error),
        Ok(Err(Asked::Stream(error))) => Err(explain(shared, address, &error)),
    }
}

enum Asked {
    Dial(DialError),
    Stream(StreamError),
}

impl<E: Into<StreamError>> From<E> for Asked {
    fn from(error: E) -> Asked {
        Asked::Stream(error.into())
    }
}

async fn ask(shared: &Arc<Shared>, address: SocketAddr) -> Result<NodeId, Asked> {
    let connecting = shared
        .endpoint
        .connect_with(shared.client.clone(), address, SERVER_NAME)
        .map_err(|error| Asked::Dial(DialError::Failed(error.to_string())))?;
    let guard = Guard(Some(connecting.await?));
    let connection = guard.connection();
    let (mut send, mut recv) = connection.open_bi().await?;
    write_one(&mut send, Hello::KIND, wire::encode(&shared.hello())?).await?;
    let theirs = read_hello(shared, connection, &mut recv).await?;
    let Some((certified, agreed)) = judge(shared, connection, &theirs) else {
        return Err(Asked::Dial(DialError::Failed("its hello was refused".to_owned())));
    };
    if is_double(shared, connection, &certified, &theirs).await {
        return Err(Asked::Dial(DialError::Failed(
            "another process with its identity is connected and lives".to_owned(),
        )));
    }
    let Some(start) = enter(shared, connection, Side::Ours, certified.clone(), &theirs, agreed) else {
        return Err(Asked::Dial(DialError::Failed("a younger process of that node is connected".to_owned())));
    };
    guard.keep();
    start.run(shared);
    Ok(certified)
}

/// Closes a connection that became nobody's, also when the time for it runs out.
struct Guard(Option<Connection>);

impl Guard {
    #[expect(clippy::expect_used, reason = "it is taken only by `keep`, which consumes the guard")]
    fn connection(&self) -> &Connection {
        self.0.as_ref().expect("held until kept")
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            close(&connection, CloseCode::Silent, "no hello in time");
        }
    }
}

async fn read_hello(
    shared: &Shared,
    connection: &Connection,
    recv: &mut quinn::RecvStream,
) -> Result<Hello, StreamError> {
    let hello = async {
        let header = read_header(recv).await?;
        if header.kind != Kind::LinkHello {
            return Err(WireError::Misplaced(header.kind).into());
        }
        Ok(wire::decode(&read_payload(recv, header).await?)?)
    };
    hello.await.inspect_err(|error: &StreamError| {
        if let Some(breach) = error.breach() {
            shared.cut(connection, &breach);
        }
    })
}

/// Who the certificate names, and what to speak with it; `None` when it was refused.
fn judge(shared: &Shared, connection: &Connection, theirs: &Hello) -> Option<(NodeId, Agreed)> {
    let address = connection.remote_address();
    let certified = match certified(connection) {
        Ok(id) => id,
        Err(reason) => {
            shared.refuse(address, RefusalReason::Trust, &untrusted(address, &reason));
            close(connection, CloseCode::Name, &reason);
            return None;
        }
    };
    match shared.hello().judge(theirs, &certified) {
        Ok(agreed) => Some((certified, agreed)),
        Err(objection) => {
            if let Some(reason) = objection.reason() {
                shared.refuse(address, reason, &format!("the peer at {address} is refused: {objection}"));
            }
            if let Objection::Elder(_) = objection {
                shared.found_double(&format!("the node at {address} lives and {objection}"));
            }
            let code = objection.code();
            // The peer reads this text in its own log, so it must be right from there too.
            let told = match objection {
                Objection::SameIdentity(id) => format!(
                    "it has the same node id {id:?}: two processes run with one identity; \
                     give one of them a node id and a data directory of its own"
                ),
                other => other.to_string(),
            };
            close(connection, code, &told);
            None
        }
    }
}

/// A younger process of a connected peer: the elder has died, or has been cloned. It is asked; if it answers, the
/// younger is refused, and nothing happens to the elder.
async fn is_double(shared: &Shared, connection: &Connection, id: &NodeId, theirs: &Hello) -> bool {
    let Some(elder) = shared.peers.by_id(id).filter(|elder| elder.generation.0 < theirs.generation) else {
        return false;
    };
    if !session::answers(&elder).await {
        return false;
    }
    let address = connection.remote_address();
    let told = format!(
        "another process with the node id {:?} lives at {}: two processes run with one identity; give one of them a \
         node id and a data directory of its own",
        id.as_str(),
        elder.connection.remote_address()
    );
    shared.refuse(address, RefusalReason::SameIdentity, &format!("the peer at {address} is refused: {told}"));
    close(connection, CloseCode::SameIdentity, &told);
    true
}

fn certified(connection: &Connection) -> Result<NodeId, String> {
    let identity = connection.peer_identity().ok_or("it showed no certificate")?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| "it showed no X.509 certificate")?;
    let leaf = chain.first().ok_or("it showed no certificate")?;
    trust::node_of(leaf).map(|(_, node)| node)
}

/// A peer that is in the table and whose tasks are to be started.
struct Start {
    peer: Arc<Peer>,
    work: session::Work,
}

impl Start {
    fn run(self, shared: &Arc<Shared>) {
        session::start(shared, self.peer, self.work);
    }
}

fn enter(
    shared: &Arc<Shared>,
    connection: &Connection,
    dialled_by: Side,
    id: NodeId,
    theirs: &Hello,
    agreed: Agreed,
) -> Option<Start> {
    let (lane, lane_work) = lane(shared.limits.lane_queue, shared.limits.lane_pending);
    let (gossip, gossip_work) = mpsc::channel(shared.limits.gossip_queue);
    let mut address = theirs.advertised;
    if address.ip().is_unspecified() {
        address.set_ip(connection.remote_address().ip());
    }
    let peer = Arc::new(Peer {
        id,
        generation: Generation(theirs.generation),
        incarnation: Incarnation(theirs.incarnation),
        address,
        agreed,
        dialled_by,
        connection: connection.clone(),
        since: Instant::now(),
        lane,
        gossip,
        gone: shared.cancel.child_token(),
        clock_offset_ms: Peer::no_offset(),
    });
    let spare = match shared.peers.enter(&peer) {
        Entered::Stale => {
            let detail = format!("the peer at {address} is an older process of {}, which is connected", peer.id);
            shared.refuse(connection.remote_address(), RefusalReason::Stale, &detail);
            close(connection, CloseCode::Stale, "a younger process of this node is connected");
            return None;
        }
        Entered::Spare => true,
        Entered::Used { before } => {
            add(&shared.counters.connected);
            shared.dials.nudge(&peer.address);
            if let Some((old, patience)) = before {
                session::retire(shared, old, patience);
            }
            false
        }
    };
    if spare {
        session::retire(shared, Arc::clone(&peer), super::peers::Patience::UntilQuiet);
    }
    Some(Start { peer, work: session::Work { lane: lane_work, gossip: gossip_work, spare } })
}

/// Says why a connection ended before it was a peer's, once a while for each address.
fn explain(shared: &Shared, address: SocketAddr, error: &StreamError) -> DialError {
    match error.connection() {
        Some(ConnectionError::ApplicationClosed(closed)) => {
            let code = CloseCode::from_varint(closed.error_code);
            if code == Some(CloseCode::Oneself) {
                return DialError::Oneself;
            }
            let said = String::from_utf8_lossy(&closed.reason);
            if code == Some(CloseCode::SameIdentity) {
                shared.found_double(&format!("the peer at {address} refuses this node: {said}"));
            }
            if let Some(reason) = code.and_then(CloseCode::refusal) {
                shared.refuse(address, reason, &format!("the peer at {address} refuses this node: {said}"));
            }
            DialError::Failed(format!("it closed the connection: {said}"))
        }
        Some(ConnectionError::TimedOut) => DialError::NoAnswer,
        Some(failure) => {
            if let Some(reason) = trust_failure(failure) {
                let detail = untrusted(address, &reason);
                shared.refuse(address, RefusalReason::Trust, &detail);
                return DialError::Failed(detail);
            }
            debug!(%address, %failure, "a handshake failed");
            DialError::Failed(failure.to_string())
        }
        None => DialError::Failed(error.to_string()),
    }
}

fn untrusted(address: SocketAddr, reason: &str) -> String {
    format!(
        "the peer at {address} does not hold this cluster's secret or certificate ({reason}); \
         give both nodes the same cluster name and secret, or certificates of one CA"
    )
}

/// In words, when TLS failed for a certificate; both sides learn of it, one by its own check, one by the alert.
fn trust_failure(error: &ConnectionError) -> Option<String> {
    /// QUIC carries TLS alert n as error code 0x100 + n (RFC 9001, section 4.8).
    const ALERTS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;
    /// no_application_protocol: it speaks TLS, but not Peerway.
    const NO_ALPN: u64 = 0x100 + 120;
    let judged = |code: u64| ALERTS.contains(&code) && code != NO_ALPN;
    match error {
        ConnectionError::TransportError(failure) if judged(failure.code.into()) => {
            Some(format!("its certificate: {}", failure.reason))
        }
        ConnectionError::ConnectionClosed(closed) if judged(closed.error_code.into()) => {
            Some("it does not accept our certificate".to_owned())
        }
        _ => None,
    }
}
