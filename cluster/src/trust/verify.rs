//! Judging a peer's certificate, the same way on both sides.
//!
//! Chain, dates and signatures are webpki's work. What replaces the host name check is the cluster in the URI name.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::{Trust, TrustError, names, unfit};
use crate::identity::ClusterName;

#[derive(thiserror::Error)]
enum NameError {
    #[error("{0}")]
    Unreadable(String),
    #[error("the certificate is of cluster {found:?}, not of {expected:?}")]
    Cluster { found: String, expected: String },
}

// rustls shows what it carries for others in this way only, and it ends in an operator's log.
impl fmt::Debug for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The rules that hold for a certificate of either side.
#[derive(Debug)]
pub(super) struct Judge {
    cluster: ClusterName,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    pub(super) fn new(trust: &Trust) -> Judge {
        Judge {
            cluster: trust.cluster.clone(),
            roots: Arc::clone(&trust.roots),
            algorithms: trust.provider.signature_verification_algorithms,
        }
    }

    /// What our peers will say of our own certificate.
    pub(super) fn check_own(&self, chain: &[CertificateDer<'_>]) -> Result<(), TrustError> {
        let Some((leaf, between)) = chain.split_first() else {
            return Err(TrustError::Unfit { what: "node certificate", reason: "there is none".to_owned() });
        };
        self.check_chain(leaf, between, UnixTime::now()).map_err(unfit("node certificate"))
    }

    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, between, now, self.algorithms.all)
    }

    fn check_name(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let refused =
            |error: NameError| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
        let (found, _) = names::node_of(leaf).map_err(|reason| refused(NameError::Unreadable(reason)))?;
        if found == self.cluster {
            Ok(())
        } else {
            let (found, expected) = (found.to_string(), self.cluster.to_string());
            Err(refused(NameError::Cluster { found, expected }))
        }
    }
}

/// Judges peers that we dial and peers that dial us.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    judge: Judge,
    clients: Arc<dyn ClientCertVerifier>,
}

impl PeerVerifier {
    pub(super) fn new(trust: &Trust) -> Result<PeerVerifier, TrustError> {
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&trust.roots), Arc::clone(&trust.provider))
                .build()
                .map_err(unfit("CA certificate"))?;
        Ok(PeerVerifier { judge: Judge::new(trust), clients })
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.check_chain(end_entity, intermediates, now)?;
        self.judge.check_name(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.judge.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.judge.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.clients.verify_client_cert(end_entity, intermediates, now)?;
        self.judge.check_name(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}
