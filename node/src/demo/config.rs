//! The files that the demo writes: one configuration a node, as a person would write it.

use std::io;
use std::path::{Path, PathBuf};

use super::{KEY, Ports};

/// A folder that is nobody else's.
pub(super) fn fresh_folder() -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("peerway-demo-{:08x}", rand::random::<u32>()));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// Writes `node-<n>.yaml` and returns its path.
pub(super) fn write(folder: &Path, ports: Ports, node: u16, nodes: u16, secret: &str) -> io::Result<PathBuf> {
    let others = |prefix: &str, suffix: fn(Ports, u16) -> String| {
        let names: Vec<String> = (1..=nodes)
            .filter(|other| *other != node)
            .map(|other| format!("{prefix}{}", suffix(ports, other)))
            .collect();
        names.join(", ")
    };
    let join = others("127.0.0.1:", |ports, other| ports.cluster(other).to_string());
    let founders: Vec<String> = (1..=nodes).map(|node| format!("node-{node}")).collect();
    let text = format!(
        r#"node:     {{ id: node-{node}, data_dir: {folder}/node-{node} }}
http:     {{ listen: 127.0.0.1:{http}, drain_notice: 1s }}
admin:    {{ listen: 127.0.0.1:{admin} }}
cluster:
  name: demo
  listen: 127.0.0.1:{cluster}
  join: [{join}]
  founders: [{founders}]
  secret: {secret}
providers:
  - name: demo
    type: simulated
    base_url: http://127.0.0.1:{provider}/v1
    allow_private: true
    models: [echo, slow]
    keys: [ {{ id: main, value: sk-simulated }} ]
governance:
  keys:
    - {{ id: demo, value: {KEY}, models: ["demo/*"], budgets: [ {{ limit_usd: "10.00", window: 1d }} ] }}
"#,
        folder = folder.display(),
        http = ports.http(node),
        admin = ports.admin(node),
        cluster = ports.cluster(node),
        founders = founders.join(", "),
        provider = ports.provider(),
    );
    let file = folder.join(format!("node-{node}.yaml"));
    std::fs::write(&file, text)?;
    Ok(file)
}
