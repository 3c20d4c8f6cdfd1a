//! The demo's node processes: started, waited for, ended. None outlives the demo, however the demo ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::{Ports, config, local};
use crate::cli::AdminClient;

/// The nodes notice for one second, then finish what is in flight.
const STOP_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Nodes {
    nodes: Vec<Node>,
}

pub(super) struct Node {
    pub number: u16,
    pub pid: u32,
    child: Child,
    log: PathBuf,
    ports: Ports,
}

impl Nodes {
    pub(super) fn start(folder: &Path, ports: Ports, count: u16) -> io::Result<Self> {
        let secret = format!("{:032x}", rand::random::<u128>());
        let program = std::env::current_exe()?;
        // Not beside the configurations, whose folder is watched: each line would wake the watcher.
        let logs = folder.join("logs");
        std::fs::create_dir(&logs)?;
        let nodes = (1..=count)
            .map(|number| {
                let file = config::write(folder, ports, number, count, &secret)?;
                let log = logs.join(format!("node-{number}.log"));
                let child = Command::new(&program)
                    .arg("serve")
                    .arg("--config")
                    .arg(file)
                    // The node reads this pipe to its end, which comes when this process is gone, killed or not.
                    .arg("--exit-with-parent")
                    .stdin(Stdio::piped())
                    .stdout(File::create(logs.join(format!("node-{number}.access.log")))?)
                    .stderr(File::create(&log)?)
                    .kill_on_drop(true)
                    // Ctrl-C on the terminal is for the demo alone, which then tells the nodes.
                    .process_group(0)
                    .spawn()?;
                Ok(Node { number, pid: child.id().unwrap_or(0), child, log, ports })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { nodes })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Waits until each node sees all nodes ready, and knows that the others do; returns what the first one says of the cluster.
    pub(super) async fn all_ready(&mut self, within: Duration) -> Result<Value, String> {
        let deadline = Instant::now() + within;
        let count = self.nodes.len();
        for node in &mut self.nodes {
            let client = AdminClient::new(format!("http://{}", local(node.ports.admin(node.number))), None);
            loop {
                if let Ok(Some(status)) = node.child.try_wait() {
                    return Err(format!("node-{} ended ({status}):\n{}", node.number, node.last_words()));
                }
                if let Ok(status) = client.get("/cluster/status").await
                    && ready(&status) == count
                    && status["converged"] == true
                {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(format!("node-{} did not become ready:\n{}", node.number, node.last_words()));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let first = AdminClient::new(format!("http://{}", local(self.nodes[0].ports.admin(1))), None);
        first.get("/cluster/status").await.map_err(|error| error.to_string())
    }

    /// SIGTERM for all, then the end of those that take too long.
    pub(super) async fn stop(&mut self) {
        for node in &self.nodes {
            if let Some(pid) = node.child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for node in &mut self.nodes {
            if tokio::time::timeout_at(deadline, node.child.wait()).await.is_err() {
                let _ = node.child.kill().await;
            }
        }
    }
}

fn ready(status: &Value) -> usize {
    let nodes = status["nodes"].as_array();
    nodes.map_or(0, |nodes| nodes.iter().filter(|node| node["state"] == "ready").count())
}

impl Node {
    pub(super) fn http(&self) -> String {
        format!("http://{}", local(self.ports.http(self.number)))
    }

    pub(super) fn admin(&self) -> String {
        format!("http://{}", local(self.ports.admin(self.number)))
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
