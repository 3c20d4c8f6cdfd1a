//! The cluster's certificate authority.

/// What `issue` makes for a node.
#[derive(Debug)]
pub struct IssuedNode {
    /// The node's certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {}
