//! From a seed to addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use tokio::io::AsyncReadExt as _;
use tokio::sync::OnceCell;

use super::{Seed, SeedError};

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_FILE: u64 = 64 * 1024;
const MAX_SRV_TARGETS: usize = 64;

/// Why a seed has no addresses at the moment.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// DNS does not know the name, or does not answer.
    #[error("cannot resolve {name}: {reason}")]
    Dns {
        /// The name.
        name: String,
        /// What DNS said.
        reason: String,
    },
    /// Nothing came in time.
    #[error("resolving {0} took longer than {PATIENCE:?}")]
    Slow(Seed),
    /// The file cannot be read.
    #[error("cannot read the seed file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A line of the file is no seed.
    #[error("line {line} of the seed file {}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: SeedError,
    },
    /// A seed file names a seed file.
    #[error("line {line} of the seed file {}: a seed file cannot name another one", path.display())]
    Nested {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Turns seeds into addresses. Asks DNS only for names that need it.
#[derive(Debug, Default)]
pub struct Resolver {
    dns: OnceCell<Option<Dns>>,
}

struct Dns(TokioResolver);

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

impl Resolver {
    /// The addresses behind a seed, now.
    pub async fn resolve(&self, seed: &Seed) -> Result<Vec<SocketAddr>, ResolveError> {
        let slow = || ResolveError::Slow(seed.clone());
        tokio::time::timeout(PATIENCE, self.resolve_any(seed)).await.map_err(|_| slow())?
    }

    async fn resolve_any(&self, seed: &Seed) -> Result<Vec<SocketAddr>, ResolveError> {
        let Seed::File(path) = seed else { return self.resolve_one(seed).await };
        let mut found = Vec::new();
        for (line, seed) in read(path).await? {
            if matches!(seed, Seed::File(_)) {
                return Err(ResolveError::Nested { path: path.clone(), line });
            }
            // One name that is gone must not hide the rest of the file.
            match self.resolve_one(&seed).await {
                Ok(addresses) => found.extend(addresses),
                Err(error) => tracing::warn!(file = %path.display(), line, %error, "a seed does not resolve"),
            }
        }
        Ok(found)
    }

    async fn resolve_one(&self, seed: &Seed) -> Result<Vec<SocketAddr>, ResolveError> {
        match seed {
            Seed::Static { host, port } | Seed::Dns { name: host, port } => {
                let hosts = self.lookup(host).await?;
                Ok(hosts.into_iter().map(|host| SocketAddr::new(host, *port)).collect())
            }
            Seed::Srv { name } => self.services(name).await,
            Seed::File(_) => Ok(Vec::new()),
        }
    }

    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // RFC 6761: localhost never goes to DNS.
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let dns_error = |reason: String| ResolveError::Dns { name: host.to_owned(), reason };
        let reason = match self.dns().await {
            Some(Dns(dns)) => match dns.lookup_ip(host).await {
                Ok(addresses) => return Ok(addresses.iter().collect()),
                Err(error) => error.to_string(),
            },
            None => "this system has no usable DNS configuration".to_owned(),
        };
        // The system's own way knows more than DNS (nsswitch, mDNS), and works where there is no resolv.conf.
        match tokio::net::lookup_host((host, 0)).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(_) => Err(dns_error(reason)),
        }
    }

    async fn services(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let dns_error = |reason: String| ResolveError::Dns { name: name.to_owned(), reason };
        let Some(Dns(dns)) = self.dns().await else {
            return Err(dns_error("this system has no usable DNS configuration".to_owned()));
        };
        let answer = dns.srv_lookup(name).await.map_err(|error| dns_error(error.to_string()))?;
        let mut found = Vec::new();
        let services = answer.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(service) => Some((service.target.to_utf8(), service.port)),
            _ => None,
        });
        for (target, port) in services.take(MAX_SRV_TARGETS) {
            match self.lookup(&target).await {
                Ok(hosts) => found.extend(hosts.into_iter().map(|host| SocketAddr::new(host, port))),
                Err(error) => tracing::warn!(srv = name, %error, "a target does not resolve"),
            }
        }
        Ok(found)
    }

    async fn dns(&self) -> Option<&Dns> {
        let made = self.dns.get_or_init(async || {
            let mut builder = TokioResolver::builder_tokio()
                .inspect_err(|error| tracing::warn!(%error, "the DNS configuration of this system cannot be used"))
                .ok()?;
            // We come back every ten seconds, and a pod that has just appeared should be seen then.
            builder.options_mut().cache_size = 0;
            builder.options_mut().timeout = Duration::from_secs(2);
            builder.build().inspect_err(|error| tracing::warn!(%error, "DNS cannot be used")).ok().map(Dns)
        });
        made.await.as_ref()
    }
}

async fn read(path: &Path) -> Result<Vec<(usize, Seed)>, ResolveError> {
    let file_error = |source| ResolveError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(file_error)?;
    file.take(MAX_FILE).read_to_string(&mut text).await.map_err(file_error)?;
    let seeds = text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or_default().trim();
        (!line.is_empty()).then(|| {
            line.parse().map(|seed| (index + 1, seed)).map_err(|source| ResolveError::Line {
                path: path.to_owned(),
                line: index + 1,
                source,
            })
        })
    });
    seeds.collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode};
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{Name, Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    async fn resolve(text: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        Resolver::default().resolve(&text.parse().unwrap()).await
    }

    #[tokio::test]
    async fn literals_and_localhost_need_no_dns() {
        assert_eq!(resolve("10.0.0.6:7946").await.unwrap(), ["10.0.0.6:7946".parse().unwrap()]);
        assert_eq!(resolve("[::1]:7946").await.unwrap(), ["[::1]:7946".parse().unwrap()]);
        let local = resolve("dns:LocalHost:7946").await.unwrap();
        assert_eq!(local[0], "127.0.0.1:7946".parse().unwrap());
        let resolver = Resolver::default();
        resolver.resolve(&"localhost:1".parse().unwrap()).await.unwrap();
        assert!(!resolver.dns.initialized(), "DNS was set up for nothing");
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_its_mistakes_have_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers");
        let seed = Seed::File(path.clone());
        let resolver = Resolver::default();
        assert!(matches!(resolver.resolve(&seed).await, Err(ResolveError::File { .. })));
        std::fs::write(&path, "# all nodes\n10.0.0.1:1\n\n  10.0.0.2:2 # the second\n").unwrap();
        let expected: Vec<SocketAddr> = vec!["10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()];
        assert_eq!(resolver.resolve(&seed).await.unwrap(), expected);
        std::fs::write(&path, "10.0.0.1:1\n").unwrap();
        assert_eq!(resolver.resolve(&seed).await.unwrap(), expected[..1]);
        std::fs::write(&path, "10.0.0.1:1\nnonsense\n").unwrap();
        assert!(matches!(resolver.resolve(&seed).await, Err(ResolveError::Line { line: 2, .. })));
        std::fs::write(&path, "file:peers\n").unwrap();
        assert!(matches!(resolver.resolve(&seed).await, Err(ResolveError::Nested { line: 1, .. })));
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_an_error() {
        let error = resolve("no-such-host.invalid:1").await.unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }

    /// Answers A queries with `hosts` and SRV queries with `services`, like a headless service's DNS.
    async fn name_server(hosts: Vec<Ipv4Addr>, services: Vec<(&'static str, u16)>) -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().unwrap().port();
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let dns = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
        tokio::spawn(async move {
            let mut packet = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut packet).await {
                let asked = Message::from_vec(&packet[..len]).unwrap();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                answer.add_queries(asked.queries.clone());
                let name = asked.queries[0].name();
                let found: Vec<RData> = match asked.queries[0].query_type() {
                    RecordType::A => hosts.iter().map(|host| RData::A((*host).into())).collect(),
                    RecordType::SRV => services
                        .iter()
                        .map(|(target, port)| RData::SRV(SRV::new(0, 0, *port, Name::from_utf8(target).unwrap())))
                        .collect(),
                    _ => Vec::new(),
                };
                answer.add_answers(found.into_iter().map(|data| Record::from_rdata(name.clone(), 5, data)));
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Resolver { dns: OnceCell::new_with(Some(Some(Dns(dns)))) }
    }

    #[tokio::test]
    async fn dns_gives_every_address_and_srv_the_ports_too() {
        let (one, two) = (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 1, 0, 2));
        let resolver =
            name_server(vec![one, two], vec![("pod-0.example.org.", 7946), ("pod-1.example.org.", 7000)]).await;
        let resolve = async |text: &str| {
            let mut found = resolver.resolve(&text.parse().unwrap()).await.unwrap();
            found.sort();
            found
        };
        let at = |host: Ipv4Addr, port: u16| SocketAddr::from((host, port));
        assert_eq!(resolve("dns:peerway-headless.example.org:7946").await, [at(one, 7946), at(two, 7946)]);
        let services = resolve("srv:_peerway._udp.example.org").await;
        assert!(services.contains(&at(one, 7946)) && services.contains(&at(two, 7946)), "{services:?}");
        assert!(services.iter().any(|address| address.port() == 7000), "{services:?}");
    }
}
