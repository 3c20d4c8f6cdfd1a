//! How two nodes know that they belong to one cluster: certificates under one cluster CA.

mod authority;

use std::path::{Path, PathBuf};

use crate::identity::{ClusterName, NodeId};

pub use authority::{Authority, IssuedNode};

/// Why there is no trust to start with.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The secret could be guessed.
    #[error("the cluster secret has {len} characters: use at least {min}, for example from `openssl rand -hex 32`")]
    WeakSecret {
        /// What was given.
        len: usize,
        /// What is asked for.
        min: usize,
    },
    /// A file could not be read.
    #[error("cannot read the {what} {}: {source}", path.display())]
    Read {
        /// Which file it is.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
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
#[derive(Clone, Debug)]
pub struct Trust {}

impl Trust {
    /// Derives the cluster's CA from a shared secret and issues this node's certificate in memory.
    pub fn from_secret(_secret: &str, _cluster: &ClusterName, _node: &NodeId) -> Result<Trust, TrustError> {
        Ok(Trust {})
    }

    /// Reads the cluster's CA certificate and this node's certificate and key.
    pub fn from_pem_files(_ca: &Path, _certificate: &Path, _key: &Path) -> Result<Trust, TrustError> {
        Ok(Trust {})
    }
}
