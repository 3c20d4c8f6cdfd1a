//! How two nodes know that they belong to one cluster: certificates under one cluster CA.
//!
//! A node's certificate carries `peerway://<cluster>/<node_id>` as a URI name. Both sides check the chain and the
//! cluster ([`verify`]); the link then knows the peer's node id from the certificate, not from what it says. The CA is
//! either derived from a shared secret, the same on every node, or made once by an operator ([`Authority`]).

mod authority;
mod names;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::identity::{ClusterName, NodeId};

pub use authority::{Authority, IssuedNode};
pub(crate) use names::node_of;

/// The protocol name in the TLS handshake.
pub const ALPN: &[u8] = b"peerway/1";
/// A shorter secret could be guessed offline by who records one handshake.
pub const MIN_SECRET: usize = 16;

const CA_CONTEXT: &str = "peerway 2026-11 cluster CA key from secret";
const NODE_CONTEXT: &str = "peerway 2026-11 node key from secret";
const RESET_CONTEXT: &str = "peerway 2026-11 QUIC stateless reset key";

/// Why there is no trust to start with.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The secret could be guessed.
    #[error(
        "the cluster secret has {len} characters: use at least {MIN_SECRET}, for example from `openssl rand -hex 32`"
    )]
    WeakSecret {
        /// What was given.
        len: usize,
    },
    /// A file could not be read.
    #[error("cannot read the {what} {}: {reason}", path.display())]
    Read {
        /// Which file it is.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key does not fit.
    #[error("the {what} cannot be used: {reason}")]
    Unfit {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// What this node proves itself with, and by what it judges others.
#[derive(Clone)]
pub struct Trust {
    cluster: ClusterName,
    node: NodeId,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Derives the cluster's CA from a shared secret and issues this node's certificate in memory.
    ///
    /// Every node derives the same CA, byte for byte, and so needs nothing but the secret.
    pub fn from_secret(secret: &str, cluster: &ClusterName, node: &NodeId) -> Result<Trust, TrustError> {
        let len = secret.chars().count();
        if len < MIN_SECRET {
            return Err(TrustError::WeakSecret { len });
        }
        let ca_key = ed25519(&derive(CA_CONTEXT, &[secret, cluster.as_str()]))?;
        let node_key = ed25519(&derive(NODE_CONTEXT, &[secret, cluster.as_str(), node.as_str()]))?;
        let ca_params = authority::ca_params(cluster, &[1; authority::SERIAL_LEN])?;
        let ca = ca_params.self_signed(&ca_key).map_err(unfit("derived CA certificate"))?;
        let issuer = Issuer::from_params(&ca_params, &ca_key);
        let certificate = authority::node_params(cluster, node, &[2; authority::SERIAL_LEN])?
            .signed_by(&node_key, &issuer)
            .map_err(unfit("derived node certificate"))?;
        let key = PrivatePkcs8KeyDer::from(node_key.serialize_der()).into();
        Trust::new(&[ca.der().clone()], vec![certificate.der().clone()], key)
    }

    /// Reads the cluster's CA certificate and this node's certificate and key.
    pub fn from_pem_files(ca: &Path, certificate: &Path, key: &Path) -> Result<Trust, TrustError> {
        let roots = certificates("CA certificate", ca)?;
        let chain = certificates("node certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TrustError::Read {
            what: "node key",
            path: key.to_owned(),
            reason: error.to_string(),
        })?;
        Trust::new(&roots, chain, key)
    }

    fn new(
        roots: &[CertificateDer<'static>],
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Trust, TrustError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone()).map_err(unfit("CA certificate"))?;
        }
        let (cluster, node) = chain
            .first()
            .ok_or_else(|| "the file holds none".to_owned())
            .and_then(|leaf| node_of(leaf))
            .map_err(|reason| TrustError::Unfit { what: "node certificate", reason })?;
        let mut provider = ring::default_provider();
        // Half the AES rounds of the default first choice, at a strength that nobody reaches.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        let trust =
            Trust { cluster, node, roots: Arc::new(store), chain, key: Arc::new(key), provider: Arc::new(provider) };
        // A key that does not belong to the certificate, or a certificate of another CA, is best known at the start.
        trust.server_config()?;
        trust.client_config()?;
        verify::Judge::new(&trust).check_own(&trust.chain)?;
        Ok(trust)
    }

    /// The node that the certificate names.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// The cluster that the certificate names.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// TLS for accepting peers: 1.3 only, the peer's certificate asked for, nothing resumed.
    pub fn server_config(&self) -> Result<rustls::ServerConfig, TrustError> {
        let verifier = verify::PeerVerifier::new(self)?;
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit("TLS provider"))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(unfit("node certificate"))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would skip the certificate check.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// TLS for dialling peers; the server's name in the certificate is the cluster's, not a host name.
    pub fn client_config(&self) -> Result<rustls::ClientConfig, TrustError> {
        let verifier = verify::PeerVerifier::new(self)?;
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit("TLS provider"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(unfit("node certificate"))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// The key by which a restarted node tells the peers of its former life that their connections are gone.
    ///
    /// It must outlive the process, so it comes from the node's private key.
    pub(crate) fn reset_key(&self) -> [u8; 32] {
        blake3::derive_key(RESET_CONTEXT, self.key.secret_der())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("cluster", &self.cluster).field("node", &self.node).finish_non_exhaustive()
    }
}

/// A key for one purpose; every part is preceded by its length, so that no two lists of parts give the same key.
fn derive(context: &str, parts: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().into()
}

fn ed25519(seed: &[u8; 32]) -> Result<KeyPair, TrustError> {
    // PKCS#8 version 1 around the bare seed (RFC 8410, section 7).
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let pkcs8 = PrivatePkcs8KeyDer::from([&PREFIX[..], seed].concat());
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ED25519).map_err(unfit("derived key"))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let read = |reason: String| TrustError::Read { what, path: path.to_owned(), reason };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| read(error.to_string()))?;
    if found.is_empty() { Err(read("it holds no certificate".to_owned())) } else { Ok(found) }
}

fn unfit<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> TrustError {
    move |error| TrustError::Unfit { what, reason: error.to_string() }
}
