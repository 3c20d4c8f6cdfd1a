//! What the configuration says about where peers may be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One entry of `cluster.join`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seed {
    /// `host:port`: an address or a host name.
    Static {
        /// The address or name.
        host: String,
        /// The UDP port.
        port: u16,
    },
    /// `dns:name:port`: every A and AAAA record of a name, for example a Kubernetes headless service.
    Dns {
        /// The name.
        name: String,
        /// The UDP port.
        port: u16,
    },
    /// `srv:name`: every SRV record of a name.
    Srv {
        /// The name, for example `_peerway._udp.example.org`.
        name: String,
    },
    /// `file:path`: one seed a line, read again in every round; `#` begins a comment.
    File(PathBuf),
}

/// The text is no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a seed ({reason}): write host:port, dns:name:port, srv:name or file:path")]
pub struct SeedError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        let error = |reason| SeedError { text: text.to_owned(), reason };
        if let Some(rest) = text.strip_prefix("dns:") {
            let (name, port) = host_and_port(rest).map_err(error)?;
            Ok(Seed::Dns { name, port })
        } else if let Some(name) = text.strip_prefix("srv:") {
            check_host(name).map_err(error)?;
            Ok(Seed::Srv { name: name.to_owned() })
        } else if let Some(path) = text.strip_prefix("file:") {
            if path.is_empty() { Err(error("the path is missing")) } else { Ok(Seed::File(path.into())) }
        } else {
            let (host, port) = host_and_port(text).map_err(error)?;
            Ok(Seed::Static { host, port })
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seed::Static { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Seed::Static { host, port } => write!(f, "{host}:{port}"),
            Seed::Dns { name, port } => write!(f, "dns:{name}:{port}"),
            Seed::Srv { name } => write!(f, "srv:{name}"),
            Seed::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or("the port is not a number from 1 to 65535")?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']').ok_or("the bracket is not closed")?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
            return Ok((address.to_owned(), port));
        }
        None => host,
    };
    check_host(host)?;
    Ok((host.to_owned(), port))
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        Err("the host is missing")
    } else if host.contains(':') {
        Err("an IPv6 address needs brackets")
    } else if host.len() > 253 || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        Err("the host is no name and no address")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_and_written_alike() {
        for text in [
            "node-b:7946",
            "10.0.0.6:7946",
            "[::1]:7946",
            "dns:peerway-headless:7946",
            "srv:_peerway._udp.x.org",
            "file:peers.txt",
        ] {
            assert_eq!(text.parse::<Seed>().unwrap().to_string(), text);
        }
        assert_eq!("[fe80::1]:5".parse(), Ok(Seed::Static { host: "fe80::1".into(), port: 5 }));
    }

    #[test]
    fn what_is_no_seed_says_why() {
        for (text, reason) in [
            ("node-b", "the port is missing"),
            ("node-b:x", "the port is not a number from 1 to 65535"),
            ("node-b:0", "the port is not a number from 1 to 65535"),
            (":7946", "the host is missing"),
            ("::1:7946", "an IPv6 address needs brackets"),
            ("[::1:7946", "the bracket is not closed"),
            ("dns:name", "the port is missing"),
            ("http://a:1", "an IPv6 address needs brackets"),
            ("a b:1", "the host is no name and no address"),
            ("srv:", "the host is missing"),
            ("file:", "the path is missing"),
        ] {
            assert_eq!(text.parse::<Seed>().unwrap_err().reason, reason, "{text}");
        }
    }
}
