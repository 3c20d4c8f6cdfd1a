//! `peerway demo`: a whole cluster on this machine, made of real node processes.

mod config;
mod front;
mod nodes;
mod text;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use peerway_simulated_provider as simulated;

use nodes::Nodes;

/// The virtual key of the demo.
pub const KEY: &str = "sk-peerway-demo";
/// A debug build on a busy machine needs a while; a release build takes about a second.
const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("--nodes must be from 1 to 50")]
    NodeCount,
    #[error("--http-port {0} is too high: ports up to {0} + 350 are used")]
    PortTooHigh(u16),
    #[error("port {port}/{protocol} is in use ({role}): end what uses it, or choose other ports with --http-port")]
    PortInUse { port: u16, protocol: &'static str, role: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error(transparent)]
    Provider(#[from] simulated::StartError),
    #[error("{0}")]
    NotReady(String),
}

#[derive(Debug, Clone, Copy)]
pub struct DemoOptions {
    pub nodes: u16,
    pub http_port: u16,
    pub json: bool,
    /// Leave the folder with the configurations and logs behind.
    pub keep: bool,
}

/// Where everything listens; fixed, so that scripts can lean on it.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    base: u16,
}

impl Ports {
    pub fn front(self) -> u16 {
        self.base
    }

    pub fn http(self, node: u16) -> u16 {
        self.base + node
    }

    pub fn admin(self, node: u16) -> u16 {
        self.base + 100 + node
    }

    pub fn provider(self) -> u16 {
        self.base + 200
    }

    pub fn cluster(self, node: u16) -> u16 {
        self.base + 300 + node
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Runs the demo until it is told to end.
pub fn run(options: DemoOptions, out: &mut dyn Write) -> Result<(), DemoError> {
    if !(1..=50).contains(&options.nodes) {
        return Err(DemoError::NodeCount);
    }
    let ports = Ports { base: options.http_port };
    if options.http_port > u16::MAX - 351 {
        return Err(DemoError::PortTooHigh(options.http_port));
    }
    check_ports(ports, options.nodes)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DemoError::Io { what: "the demo's runtime could not start".to_owned(), source })?;
    runtime.block_on(demo(options, ports, out))
}

/// Every port, before anything is started, so that the error names the one in the way.
fn check_ports(ports: Ports, nodes: u16) -> Result<(), DemoError> {
    let tcp = |port, role: String| match TcpListener::bind(local(port)) {
        Ok(_) => Ok(()),
        Err(_) => Err(DemoError::PortInUse { port, protocol: "tcp", role }),
    };
    tcp(ports.front(), "the front".to_owned())?;
    tcp(ports.provider(), "the simulated provider".to_owned())?;
    for node in 1..=nodes {
        tcp(ports.http(node), format!("node-{node}, HTTP"))?;
        tcp(ports.admin(node), format!("node-{node}, admin"))?;
        if UdpSocket::bind(local(ports.cluster(node))).is_err() {
            let role = format!("node-{node}, cluster");
            return Err(DemoError::PortInUse { port: ports.cluster(node), protocol: "udp", role });
        }
    }
    Ok(())
}

async fn demo(options: DemoOptions, ports: Ports, out: &mut dyn Write) -> Result<(), DemoError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| DemoError::Io { what, source }
    };
    let provider =
        simulated::start(simulated::Options { listen: local(ports.provider()), ..simulated::Options::default() })
            .await?;
    let folder = config::fresh_folder().map_err(io("the demo's folder could not be made"))?;
    let mut nodes = Nodes::start(&folder, ports, options.nodes).map_err(io("a node could not be started"))?;
    let front = front::start(local(ports.front()), (1..=options.nodes).map(|node| local(ports.http(node))).collect());
    let front = front.await.map_err(io("the front could not be started"))?;

    let ended = tokio::select! {
        ready = nodes.all_ready(READY_WITHIN) => match ready {
            Ok(statuses) => {
                let printed = if options.json {
                    text::json_line(ports, &nodes)
                } else {
                    text::welcome(ports, &nodes, &statuses, &folder)
                };
                out.write_all(printed.as_bytes()).and_then(|()| out.flush()).map_err(io("standard output"))?;
                crate::serve::terminated().await;
                Ok(())
            }
            Err(reason) => Err(DemoError::NotReady(reason)),
        },
        () = crate::serve::terminated() => Ok(()),
    };
    nodes.stop().await;
    drop(front);
    provider.stop().await;
    if options.keep || ended.is_err() {
        let _ = writeln!(out, "the nodes' configurations and logs are in {}", folder.display());
    } else if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!(%error, folder = %folder.display(), "the demo's folder stays behind");
    }
    ended
}
