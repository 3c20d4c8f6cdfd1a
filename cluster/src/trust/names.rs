//! The names in a certificate: `peerway://<cluster>/<node_id>` for a node, `peerway://<cluster>` for a CA.

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::identity::{ClusterName, NodeId};

const SCHEME: &str = "peerway://";

pub(super) fn node_uri(cluster: &ClusterName, node: &NodeId) -> String {
    format!("{SCHEME}{cluster}/{node}")
}

pub(super) fn cluster_uri(cluster: &ClusterName) -> String {
    format!("{SCHEME}{cluster}")
}

/// The cluster and node that a certificate names.
pub(crate) fn node_of(certificate: &[u8]) -> Result<(ClusterName, NodeId), String> {
    let name = peerway_name(certificate)?;
    let (cluster, node) =
        name.split_once('/').ok_or_else(|| format!("the certificate names no node, only {SCHEME}{name}"))?;
    let cluster = cluster.parse().map_err(|error| format!("the certificate's cluster name: {error}"))?;
    let node = node.parse().map_err(|error| format!("the certificate's node id: {error}"))?;
    Ok((cluster, node))
}

/// The cluster that a CA certificate names.
pub(super) fn cluster_of(certificate: &[u8]) -> Result<ClusterName, String> {
    peerway_name(certificate)?.parse().map_err(|error| format!("the CA's cluster name: {error}"))
}

fn peerway_name(certificate: &[u8]) -> Result<String, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| format!("not a certificate: {error}"))?;
    let names = parsed.subject_alternative_name().map_err(|error| format!("unreadable names: {error}"))?;
    let mut uris = names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(name), None) => Ok(name.to_owned()),
        (None, _) => Err(format!("the certificate has no {SCHEME} name")),
        // Which of two names counts would be a matter of taste, and an attacker's chance.
        (Some(_), Some(_)) => Err(format!("the certificate has several {SCHEME} names")),
    }
}
