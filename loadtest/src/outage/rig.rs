//! What is under load: three nodes, a provider that breaks and one that does not, all of them processes on loopback that
//! end with the rig.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::control::Control;
use super::{BREAKS, FAILURES, STEADY};

pub(super) const NODES: usize = 3;
pub(super) const KEY: &str = "sk-outage";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How the nodes are set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The binary under test.
    pub(super) peerway: PathBuf,
    /// The binary with the simulated provider.
    pub(super) provider: PathBuf,
    /// For configurations, data and logs.
    pub(super) folder: PathBuf,
    /// What a provider takes to answer.
    pub(super) latency: Duration,
    /// The provider's timeouts, each of them.
    pub(super) patience: Duration,
    pub(super) probe_interval: Duration,
}

#[derive(Debug)]
pub(super) struct Rig {
    setup: Setup,
    pub(super) breaks: SocketAddr,
    pub(super) steady: SocketAddr,
    pub(super) nodes: Vec<Node>,
    breaking: Process,
    _others: Vec<Process>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// A child that does not outlive this.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Rig {
    /// Starts everything and waits until each node sees all nodes.
    pub(super) fn start(setup: &Setup, control: &Control) -> Result<Rig> {
        std::fs::create_dir_all(&setup.folder)?;
        let (breaks, steady) = (free()?, free()?);
        let nodes = (0..NODES).map(|_| Ok(Node { http: free()?, admin: free()? })).collect::<Result<Vec<_>>>()?;
        let cluster = (0..NODES).map(|_| free_udp()).collect::<Result<Vec<_>>>()?;
        let breaking = provider(setup, BREAKS, breaks)?;
        let mut others = vec![provider(setup, STEADY, steady)?];
        for number in 0..NODES {
            let config = config(setup, number, &nodes, &cluster, (breaks, steady));
            let file = setup.folder.join(format!("node-{}.yaml", number + 1));
            std::fs::write(&file, config)?;
            let mut command = Command::new(&setup.peerway);
            // The node reads this pipe to its end, which comes when this process is gone, killed or not.
            command.arg("serve").arg("--config").arg(file).arg("--exit-with-parent").stdin(Stdio::piped());
            others.push(spawn(command, &setup.folder, &format!("node-{}", number + 1))?);
        }
        let rig = Rig { setup: setup.clone(), breaks, steady, nodes, breaking, _others: others };
        rig.wait(control)?;
        Ok(rig)
    }

    fn wait(&self, control: &Control) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let providers = [self.breaks, self.steady].map(|address| (address, "/faults"));
        for (address, path) in
            providers.into_iter().chain(self.nodes.iter().map(|node| (node.admin, "/cluster/status")))
        {
            while !control.json(address, path).is_ok_and(|said| path == "/faults" || is_whole(&said)) {
                if Instant::now() > deadline {
                    bail!(
                        "http://{address}{path} is not ready after {READY_WITHIN:?}; see {}",
                        self.setup.folder.display()
                    );
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.breaking.0.kill()?;
        self.breaking.0.wait()?;
        Ok(())
    }

    pub(super) fn restart(&mut self) -> Result<()> {
        self.breaking = provider(&self.setup, BREAKS, self.breaks)?;
        Ok(())
    }
}

fn is_whole(status: &Value) -> bool {
    let ready = |node: &&Value| node["state"] == "ready";
    status["converged"] == true
        && status["nodes"].as_array().is_some_and(|nodes| nodes.iter().filter(ready).count() == NODES)
}

fn provider(setup: &Setup, name: &str, address: SocketAddr) -> Result<Process> {
    let mut command = Command::new(&setup.provider);
    command.args(["simulate-provider", "--listen", &address.to_string()]);
    command.args(["--latency", &format!("{}ms", setup.latency.as_millis())]).stdin(Stdio::null());
    spawn(command, &setup.folder, name)
}

fn spawn(mut command: Command, folder: &Path, name: &str) -> Result<Process> {
    let log = File::options().create(true).append(true).open(folder.join(format!("{name}.log")))?;
    let child = command.stdout(log.try_clone()?).stderr(log).spawn();
    Ok(Process(child.with_context(|| {
        format!("cannot start {}; give the binary with --peerway", command.get_program().display())
    })?))
}

/// A port that is free now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn free_udp() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The file of one node. Each shows a key of its own to the provider, which so knows who calls.
fn config(
    setup: &Setup,
    number: usize,
    nodes: &[Node],
    cluster: &[SocketAddr],
    (breaks, steady): (SocketAddr, SocketAddr),
) -> String {
    let join: Vec<String> =
        cluster.iter().filter(|other| **other != cluster[number]).map(ToString::to_string).collect();
    let founders: Vec<String> = (1..=nodes.len()).map(|node| format!("node-{node}")).collect();
    let patience = format!("{}ms", setup.patience.as_millis());
    let provider = |name: &str, address: SocketAddr| {
        format!(
            "  - name: {name}\n    type: simulated\n    base_url: http://{address}/v1\n    allow_private: true\n    models: [{name}]\n    \
             keys: [ {{ id: main, value: {} }} ]\n    \
             timeouts: {{ connect: {patience}, first_byte: {patience}, idle: {patience}, total: {patience} }}\n",
            provider_key(number)
        )
    };
    format!(
        r#"node:    {{ id: node-{id}, data_dir: {folder}/node-{id} }}
http:    {{ listen: "{http}" }}
admin:   {{ listen: "{admin}" }}
cluster: {{ name: outage, listen: "{listen}", join: [{join}], founders: [{founders}], secret: only-for-the-load-test-of-an-outage }}
providers:
{providers}routes:
  - model: smart
    targets: [ {{ provider: {BREAKS}, model: {BREAKS} }} ]
    fallbacks: [ {{ provider: {STEADY}, model: {STEADY} }} ]
health:  {{ failures: {FAILURES}, probe_interval: {interval}ms }}
governance:
  keys: [ {{ id: load, value: {KEY}, models: ["*"] }} ]
observability: {{ access_log: false }}
"#,
        id = number + 1,
        folder = setup.folder.display(),
        http = nodes[number].http,
        admin = nodes[number].admin,
        listen = cluster[number],
        join = join.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", "),
        founders = founders.join(", "),
        providers = provider(BREAKS, breaks) + &provider(STEADY, steady),
        interval = setup.probe_interval.as_millis(),
    )
}

fn provider_key(number: usize) -> String {
    format!("sk-of-node-{number}")
}

/// The node that showed this key.
pub(super) fn caller(authorization: &str) -> Option<usize> {
    (0..NODES).find(|number| authorization.strip_prefix("Bearer ") == Some(&provider_key(*number)))
}
