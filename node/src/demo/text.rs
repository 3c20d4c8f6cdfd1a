//! What the demo prints. The curl and the Python snippet work as they stand.

use std::path::Path;

use serde_json::{Value, json};

use super::nodes::Nodes;
use super::{KEY, Ports, local};

/// The one line of `--json`.
pub(super) fn json_line(ports: Ports, nodes: &Nodes) -> String {
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|node| {
            json!({"id": format!("node-{}", node.number), "http": node.http(), "admin": node.admin(), "pid": node.pid})
        })
        .collect();
    let line = json!({
        "front": format!("http://{}", local(ports.front())),
        "key": KEY,
        "provider": format!("http://{}", local(ports.provider())),
        "nodes": nodes,
    });
    format!("{line}\n")
}

pub(super) fn welcome(ports: Ports, nodes: &Nodes, status: &Value, folder: &Path) -> String {
    let front = format!("http://{}", local(ports.front()));
    let table = crate::cli::status_table(status);
    let urls: String = nodes
        .iter()
        .map(|node| format!("  node-{}    {}   admin {}   pid {}\n", node.number, node.http(), node.admin(), node.pid))
        .collect();
    format!(
        r#"Peerway demo: {count} nodes on this machine.

  front     {front}   (round robin over the nodes)
{urls}  provider  {provider}   (simulated: /bill /requests /faults)
  files     {folder}

{table}
With curl, plain and as a stream:

curl -s {front}/v1/chat/completions -H 'Authorization: Bearer {KEY}' -H 'Content-Type: application/json' \
  -d '{{"model": "demo/echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

curl -sN {front}/v1/chat/completions -H 'Authorization: Bearer {KEY}' -H 'Content-Type: application/json' \
  -d '{{"model": "demo/slow", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'

With the OpenAI SDK (pip install openai):

from openai import OpenAI
client = OpenAI(base_url="{front}/v1", api_key="{KEY}")
messages = [{{"role": "user", "content": "Hello"}}]
print(client.chat.completions.create(model="demo/echo", messages=messages).choices[0].message.content)
for chunk in client.chat.completions.create(model="demo/slow", messages=messages, stream=True):
    if chunk.choices: print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

Try: kill -9 one of the pids and look at {admin}/cluster/status. Ctrl-C ends everything.
"#,
        count = nodes.iter().count(),
        provider = format_args!("http://{}", local(ports.provider())),
        folder = folder.display(),
        admin = format_args!("http://{}", local(ports.admin(1))),
    )
}
