//! The settings of QUIC.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TransportConfig, VarInt};
use quinn_proto::InvalidCid;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use subtle::ConstantTimeEq as _;

use crate::trust::{Trust, TrustError};

const KEEP_ALIVE: Duration = Duration::from_secs(2);
const IDLE_MS: u32 = 6_000;
const CID_CONTEXT: &str = "peerway 2026-11 QUIC connection id key";
const CID_NONCE: usize = 5;
const CID_TAG: usize = 3;

/// TLS and transport for the connections that we dial.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let tls = QuicClientConfig::try_from(trust.client_config()?).map_err(unfit)?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

/// TLS and transport for the connections that we accept.
pub(super) fn server_config(trust: &Trust) -> Result<ServerConfig, TrustError> {
    let tls = QuicServerConfig::try_from(trust.server_config()?).map_err(unfit)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    // Gossip knows peers by their address; one that moves comes back with a new connection.
    config.migration(false);
    Ok(config)
}

/// The endpoint: `reset_key` must be the same in every life of the node (see [`Trust::reset_key`]).
pub(super) fn endpoint_config(reset_key: [u8; 32], seed: [u8; 32]) -> EndpointConfig {
    let cid_key = blake3::derive_key(CID_CONTEXT, &reset_key);
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset_key)));
    config.rng_seed(Some(seed));
    config.cid_generator(move || Box::new(KeyedIds { key: cid_key, rng: StdRng::from_seed(seed) }));
    config
}

fn unfit(error: impl std::fmt::Display) -> TrustError {
    TrustError::Unfit { what: "TLS configuration", reason: error.to_string() }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    transport.max_idle_timeout(Some(VarInt::from_u32(IDLE_MS).into()));
    transport.max_concurrent_uni_streams(VarInt::from_u32(256));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1024));
    // A peer may make us hold this much that we have not read, over all its streams (RUSTSEC-2026-0341 is what large
    // windows cost). One bulk answer of 16 MiB flows through 1 MiB at 1 GB/s on a 1 ms path, 20 MB/s on a 50 ms one.
    transport.stream_receive_window(VarInt::from_u32(1024 * 1024));
    transport.receive_window(VarInt::from_u32(4 * 1024 * 1024));
    transport.send_window(8 * 1024 * 1024);
    // Peers are near; the default of 333 ms would make the first lost packet cost a second.
    transport.initial_rtt(Duration::from_millis(20));
    transport.datagram_receive_buffer_size(None);
    transport
}

/// Signs stateless reset tokens: with the key of its former life a restarted node can tell its peers, by one packet,
/// that their connections are gone (RFC 9000, section 10.3).
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let expected = blake3::keyed_hash(&self.0, data);
        if bool::from(expected.as_bytes().ct_eq(signature)) { Ok(()) } else { Err(CryptoError) }
    }
}

/// Connection ids with a keyed tag. A restarted node knows the ids of its former life by the tag and answers them with
/// a reset; quinn's own generator draws a new key at every start and would be silent.
struct KeyedIds {
    key: [u8; 32],
    rng: StdRng,
}

impl KeyedIds {
    fn tag(&self, nonce: &[u8]) -> [u8; CID_TAG] {
        let mut tag = [0; CID_TAG];
        tag.copy_from_slice(&blake3::keyed_hash(&self.key, nonce).as_bytes()[..CID_TAG]);
        tag
    }
}

impl ConnectionIdGenerator for KeyedIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CID_NONCE + CID_TAG];
        self.rng.fill_bytes(&mut id[..CID_NONCE]);
        let tag = self.tag(&id[..CID_NONCE]);
        id[CID_NONCE..].copy_from_slice(&tag);
        ConnectionId::new(&id)
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        match cid.split_at_checked(CID_NONCE) {
            Some((nonce, tag)) if tag == self.tag(nonce) => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        CID_NONCE + CID_TAG
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
