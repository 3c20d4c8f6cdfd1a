//! `peerway cluster init` and `issue`: the CA of a cluster and the certificates of its nodes, as files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use peerway_cluster::identity::{ClusterName, NodeId};
use peerway_cluster::trust::{Authority, TrustError};

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is there already and is not replaced: choose another folder, or remove it if nothing uses it", path.display())]
    Exists { path: PathBuf },
    #[error("there is no CA in {}: make one with `peerway cluster init --name NAME --dir DIR`", dir.display())]
    NoAuthority { dir: PathBuf },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Makes the CA of a new cluster.
pub(super) fn init(name: ClusterName, dir: &Path, out: &mut dyn Write) -> Result<(), CertificateError> {
    fs::create_dir_all(dir).map_err(file_error("create", dir))?;
    let authority = Authority::create(name)?;
    write_pair(dir, CA_KEY, &authority.key_pem(), CA, authority.certificate_pem())?;
    writeln!(
        out,
        "made the CA of cluster {}: {} and {}\nkeep {CA_KEY} off the nodes; next: peerway cluster issue NODE --dir {}",
        authority.cluster(),
        dir.join(CA).display(),
        dir.join(CA_KEY).display(),
        dir.display(),
    )
    .map_err(CertificateError::Print)
}

/// Makes the certificate of one node.
pub(super) fn issue(node: &NodeId, dir: &Path, out: &mut dyn Write) -> Result<(), CertificateError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CertificateError::NoAuthority { dir: dir.to_owned() },
            _ => file_error("read", &path)(error),
        })
    };
    let authority = Authority::from_pem(&read(CA)?, &read(CA_KEY)?)?;
    let issued = authority.issue(node)?;
    let (key, certificate) = (format!("{node}.key"), format!("{node}.pem"));
    write_pair(dir, &key, &issued.key_pem, &certificate, &issued.certificate_pem)?;
    writeln!(
        out,
        "made {} and {}\nbring them and {CA} to {node} and name them in its configuration:\n  node: {{ id: {node} }}\n  \
         cluster:\n    name: {}\n    tls: {{ ca: {CA}, cert: {certificate}, key: {key} }}",
        dir.join(&certificate).display(),
        dir.join(&key).display(),
        authority.cluster(),
    )
    .map_err(CertificateError::Print)
}

/// Writes neither if either is there, so that a certificate never stands beside another one's key.
fn write_pair(dir: &Path, key_name: &str, key: &str, name: &str, certificate: &str) -> Result<(), CertificateError> {
    let (key_path, path) = (dir.join(key_name), dir.join(name));
    for path in [&key_path, &path] {
        if path.exists() {
            return Err(CertificateError::Exists { path: path.clone() });
        }
    }
    write_new(&key_path, key, 0o600)?;
    write_new(&path, certificate, 0o644)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(file_error("create", path))?;
    file.write_all(text.as_bytes()).map_err(file_error("write", path))
}

fn file_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CertificateError + 'a {
    move |source| CertificateError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use peerway_cluster::trust::Trust;

    use super::*;

    #[test]
    fn a_node_can_be_trusted_with_what_is_issued() {
        let dir = tempfile::tempdir().unwrap();
        let (cluster, node): (ClusterName, NodeId) = ("prod".parse().unwrap(), "node-a".parse().unwrap());
        let mut out = Vec::new();
        init(cluster.clone(), dir.path(), &mut out).unwrap();
        issue(&node, dir.path(), &mut out).unwrap();
        let [ca, cert, key] = ["ca.pem", "node-a.pem", "node-a.key"].map(|name| dir.path().join(name));
        Trust::from_pem_files(&ca, &cert, &key).unwrap();
        for name in ["ca.key", "node-a.key"] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(String::from_utf8(out).unwrap().contains("tls: { ca: ca.pem, cert: node-a.pem, key: node-a.key }"));
    }

    #[test]
    fn nothing_is_replaced_and_nothing_is_issued_without_a_ca() {
        let dir = tempfile::tempdir().unwrap();
        let (cluster, node): (ClusterName, NodeId) = ("prod".parse().unwrap(), "node-a".parse().unwrap());
        let none = issue(&node, dir.path(), &mut io::sink()).unwrap_err();
        assert!(matches!(none, CertificateError::NoAuthority { .. }));
        init(cluster.clone(), dir.path(), &mut io::sink()).unwrap();
        let again = init(cluster, dir.path(), &mut io::sink()).unwrap_err();
        assert!(matches!(again, CertificateError::Exists { .. }));
        issue(&node, dir.path(), &mut io::sink()).unwrap();
        assert!(matches!(issue(&node, dir.path(), &mut io::sink()), Err(CertificateError::Exists { .. })));
        let ca: NodeId = "ca".parse().unwrap();
        assert!(matches!(issue(&ca, dir.path(), &mut io::sink()), Err(CertificateError::Exists { .. })));
    }
}
