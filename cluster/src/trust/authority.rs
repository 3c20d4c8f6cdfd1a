//! The certificate authority that an operator makes once for a cluster.

use rand::Rng as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{TrustError, names, unfit};
use crate::identity::{ClusterName, NodeId};

pub(super) const SERIAL_LEN: usize = 16;

/// What [`Authority::issue`] makes for a node.
pub struct IssuedNode {
    /// The node's certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl std::fmt::Debug for IssuedNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedNode").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// The certificate authority of one cluster, with its private key.
pub struct Authority {
    cluster: ClusterName,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new CA with a fresh key.
    pub fn create(cluster: ClusterName) -> Result<Authority, TrustError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(unfit("new CA key"))?;
        let params = ca_params(&cluster, &fresh_serial())?;
        let certificate_pem = params.self_signed(&key).map_err(unfit("new CA certificate"))?.pem();
        Ok(Authority { cluster, certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// The CA in two PEM texts, as [`Authority::certificate_pem`] and [`Authority::key_pem`] gave them.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Authority, TrustError> {
        let key = KeyPair::from_pem(key_pem).map_err(unfit("CA key"))?;
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(unfit("CA certificate"))?;
        let cluster = names::cluster_of(&der).map_err(unfit("CA certificate"))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(unfit("CA certificate"))?;
        Ok(Authority { cluster, certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// The cluster it vouches for.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// What every node needs to judge the others.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What makes a node of the cluster; keep it off the nodes.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes the certificate and key of one node.
    pub fn issue(&self, node: &NodeId) -> Result<IssuedNode, TrustError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(unfit("new node key"))?;
        let certificate = node_params(&self.cluster, node, &fresh_serial())?
            .signed_by(&key, &self.issuer)
            .map_err(unfit("new node certificate"))?;
        Ok(IssuedNode { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn fresh_serial() -> [u8; SERIAL_LEN] {
    let mut serial = [0; SERIAL_LEN];
    rand::rng().fill_bytes(&mut serial);
    // Positive, and always of one length.
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

pub(super) fn ca_params(cluster: &ClusterName, serial: &[u8]) -> Result<CertificateParams, TrustError> {
    let mut params = params(&format!("Peerway cluster {cluster}"), &names::cluster_uri(cluster), serial)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

pub(super) fn node_params(
    cluster: &ClusterName,
    node: &NodeId,
    serial: &[u8],
) -> Result<CertificateParams, TrustError> {
    let mut params = params(&format!("Peerway node {node}"), &names::node_uri(cluster, node), serial)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

// The dates are fixed because a derived CA must be the same bytes on every node, and because a cluster that stops on
// the day a certificate nobody thought of expires is worse than one whose CA is replaced when a key is lost.
fn params(common_name: &str, uri: &str, serial: &[u8]) -> Result<CertificateParams, TrustError> {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(unfit("certificate name"))?)];
    Ok(params)
}
