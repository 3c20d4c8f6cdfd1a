//! `peerway status` and the tables of `cluster ring`: the admin API's answers as people read them.

use std::fmt::Write as _;

use serde_json::Value;

use super::table::Table;

/// Cells of the ring's map; each stands for as many partitions as fit.
const MAP_CELLS: usize = 128;
const MAP_ROW: usize = 64;
/// One letter a node; later nodes share the last.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The answer of `GET /cluster/status` as a heading and a table.
pub fn status_table(status: &Value) -> String {
    let nodes = status["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let view = match status["converged"].as_bool() {
        Some(true) => "all see the same",
        _ => "not all nodes see the same yet",
    };
    let mut text = format!(
        "cluster {}, version {}, asked {}: {}, {view}\n",
        text_of(&status["cluster"]),
        text_of(&status["version"]),
        text_of(&status["node"]),
        plural(nodes.len(), "node"),
    );
    let mut table = Table::new(&[
        ("NODE", false),
        ("STATE", false),
        ("ZONE", false),
        ("HTTP", false),
        ("UPTIME", true),
        ("RTT", true),
        ("GOSSIP", true),
        ("RING", true),
        ("REQ/S", true),
        ("IN FLIGHT", true),
        ("CACHED", true),
    ]);
    for node in nodes {
        table.row(vec![
            text_of(&node["id"]),
            text_of(&node["state"]),
            text_of(&node["zone"]),
            text_of(&node["http"]),
            node["uptime_s"].as_u64().map_or_else(dash, uptime),
            node["rtt_ms"].as_f64().map_or_else(dash, |ms| format!("{ms:.1} ms")),
            node["gossip_age_ms"].as_u64().map_or_else(dash, |ms| format!("{ms} ms")),
            node["ring_share"].as_f64().map_or_else(dash, percent),
            text_of(&node["requests_per_s"]),
            text_of(&node["in_flight"]),
            text_of(&node["cache_entries"]),
        ]);
    }
    text.push_str(&table.render());
    text.push_str(&trouble(&status["link"]));
    text.push_str(&providers(&status["providers"]));
    text
}

/// What is known of the upstreams; nothing before one was called.
fn providers(providers: &Value) -> String {
    let providers = providers.as_array().map_or(&[][..], Vec::as_slice);
    if providers.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("PROVIDER", false),
        ("KEY", false),
        ("MODEL", false),
        ("BREAKER", false),
        ("SUCCESS", true),
        ("LATENCY", true),
        ("WEIGHT", true),
        ("REASON", false),
    ]);
    for provider in providers {
        table.row(vec![
            text_of(&provider["name"]),
            text_of(&provider["key"]),
            text_of(&provider["model"]),
            text_of(&provider["breaker"]),
            provider["success"].as_f64().map_or_else(dash, percent),
            provider["latency_ms"].as_f64().map_or_else(dash, |ms| format!("{ms:.0} ms")),
            provider["weight"].as_f64().map_or_else(dash, |weight| format!("{weight:.2}")),
            text_of(&provider["reason"]),
        ]);
    }
    format!("\n{}", table.render())
}

/// Seeds that cannot be reached and peers that were refused, which is what somebody who sees too few nodes looks for.
fn trouble(link: &Value) -> String {
    let mut text = String::new();
    let list = |name: &str| link[name].as_array().map_or(&[][..], Vec::as_slice).to_vec();
    for seed in list("seeds") {
        let verdict = text_of(&seed["verdict"]);
        if verdict != "reachable" {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "seed {}: {verdict}", text_of(&seed["seed"]));
        }
    }
    for refused in list("refused") {
        let _ = writeln!(
            text,
            "refused {} ({}, {} s ago): {}",
            text_of(&refused["address"]),
            text_of(&refused["reason"]),
            text_of(&refused["ago_s"]),
            text_of(&refused["detail"]),
        );
    }
    text
}

/// The answer of `GET /cluster/ring` as a table and a condensed map.
pub fn ring_table(ring: &Value) -> String {
    let nodes = ring["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let partitions = ring["partitions"].as_u64().unwrap_or(0);
    let mut table = Table::new(&[
        ("", false),
        ("NODE", false),
        ("ZONE", false),
        ("WEIGHT", true),
        ("OWNED", true),
        ("REPLICA", true),
        ("SHARE", true),
    ]);
    for (index, node) in nodes.iter().enumerate() {
        table.row(vec![
            letter(index as i64).to_string(),
            text_of(&node["id"]),
            text_of(&node["zone"]),
            text_of(&node["weight"]),
            text_of(&node["owned"]),
            text_of(&node["replicated"]),
            node["share"].as_f64().map_or_else(dash, percent),
        ]);
    }
    let replicas = text_of(&ring["replicas"]);
    let heading = format!("{partitions} partitions, {replicas} copies, {}\n", plural(nodes.len(), "node"));
    format!("{heading}{}{}", table.render(), map(ring))
}

/// Who owns most of each run of partitions.
fn map(ring: &Value) -> String {
    let owners: Vec<i64> = ring["table"]
        .as_array()
        .map(|rows| rows.iter().map(|row| row[0].as_i64().unwrap_or(-1)).collect())
        .unwrap_or_default();
    if owners.is_empty() {
        return String::new();
    }
    let run = owners.len().div_ceil(MAP_CELLS);
    let cells: Vec<char> = owners.chunks(run).map(|chunk| letter(most_frequent(chunk))).collect();
    let mut text = format!("owners, {} a letter:\n", plural(run, "partition"));
    for line in cells.chunks(MAP_ROW) {
        text.push_str("  ");
        text.extend(line);
        text.push('\n');
    }
    text
}

fn most_frequent(owners: &[i64]) -> i64 {
    let count = |owner: i64| owners.iter().filter(|other| **other == owner).count();
    owners.iter().copied().max_by_key(|owner| (count(*owner), std::cmp::Reverse(*owner))).unwrap_or(-1)
}

fn letter(index: i64) -> char {
    let Ok(index) = usize::try_from(index) else { return '.' };
    LETTERS.chars().nth(index).unwrap_or('#')
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => dash(),
        Value::String(text) if text.is_empty() => dash(),
        // What a peer says of itself must not steer the terminal.
        Value::String(text) => text.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
        other => other.to_string(),
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_is_a_table() {
        let status = json!({
            "cluster": "prod", "version": "0.1.0", "node": "node-a", "view": "x", "converged": true,
            "nodes": [
                { "id": "node-a", "state": "ready", "zone": "eu-1a", "http": "10.0.0.1:8080", "uptime_s": 3_725, "rtt_ms": 0.0,
                  "gossip_age_ms": 0, "ring_share": 0.5, "requests_per_s": 120, "in_flight": 7, "cache_entries": 12 },
                { "id": "node-b", "state": "ready\u{1b}[2J", "zone": null, "http": "10.0.0.2:8080", "uptime_s": 9, "rtt_ms": null,
                  "gossip_age_ms": 140, "ring_share": 0.5, "requests_per_s": 8, "in_flight": 0, "cache_entries": 3 },
            ],
            "link": { "seeds": [{ "seed": "node-c:7946", "verdict": "no answer" }], "refused": [] },
            "providers": [
                { "name": "openai", "key": "main", "model": "gpt-4o", "breaker": "open", "success": 0.875, "latency_ms": 1234.5,
                  "weight": 0.0, "reason": "5 failures in a row; tried again in 3.2 s" },
            ],
        });
        let expected = "\
cluster prod, version 0.1.0, asked node-a: 2 nodes, all see the same
NODE    STATE      ZONE   HTTP           UPTIME     RTT  GOSSIP    RING  REQ/S  IN FLIGHT  CACHED
node-a  ready      eu-1a  10.0.0.1:8080   1h02m  0.0 ms    0 ms  50.0 %    120          7      12
node-b  ready?[2J  -      10.0.0.2:8080      9s       -  140 ms  50.0 %      8          0       3
seed node-c:7946: no answer

PROVIDER  KEY   MODEL   BREAKER  SUCCESS  LATENCY  WEIGHT  REASON
openai    main  gpt-4o  open      87.5 %  1234 ms    0.00  5 failures in a row; tried again in 3.2 s
";
        assert_eq!(status_table(&status), expected);
        assert!(status_table(&json!({})).starts_with("cluster -"));
    }

    #[test]
    fn the_ring_is_condensed() {
        let table: Vec<[i32; 2]> = (0..1024).map(|p| if p < 768 { [0, 1] } else { [1, 0] }).collect();
        let ring = json!({
            "partitions": 1024, "replicas": 2, "table": table,
            "nodes": [
                { "id": "node-a", "zone": null, "weight": 3.0, "owned": 768, "replicated": 256, "share": 0.75 },
                { "id": "node-b", "zone": null, "weight": 1.0, "owned": 256, "replicated": 768, "share": 0.25 },
            ],
        });
        let text = ring_table(&ring);
        assert!(text.contains("\na  node-a  -        3.0    768      256  75.0 %\n"), "{text}");
        let map = format!("  {}\n  {}{}\n", "a".repeat(64), "a".repeat(32), "b".repeat(32));
        assert!(text.ends_with(&format!("owners, 8 partitions a letter:\n{map}")), "{text}");
    }
}
