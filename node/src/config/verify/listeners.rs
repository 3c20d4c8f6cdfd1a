//! Listeners and the rest of what concerns one node alone.

use std::net::SocketAddr;

use peerway_cluster::identity::NodeId;

use super::Verdict;
use crate::config::model::Config;

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    if let Some(id) = &config.node.id
        && let Err(error) = id.parse::<NodeId>()
    {
        verdict.error("node.id", error.to_string());
    }
    http(config, verdict);
    admin(config, verdict);
}

fn http(config: &Config, verdict: &mut Verdict) {
    let http = &config.http;
    if http.workers == Some(0) {
        verdict.error_with("http.workers", "there must be a worker", "leave it out for one per core".to_owned());
    }
    if http.max_body.get() == 0 {
        verdict.error("http.max_body", "no request would fit into 0 bytes");
    }
    if http.max_body_memory.is_some_and(|memory| memory < http.max_body) {
        verdict
            .error("http.max_body_memory", format!("a body of `max_body: {}` would never fit into it", http.max_body));
    }
    for (path, value) in [
        ("http.max_concurrent", Some(http.max_concurrent)),
        ("http.max_connections", Some(http.max_connections)),
        ("http.max_connections_per_client", http.max_connections_per_client),
    ] {
        if value == Some(0) {
            verdict.error(path, "with 0 nobody would be served");
        }
    }
    let times = &http.timeouts;
    for (path, time) in [
        ("http.timeouts.header", times.header),
        ("http.timeouts.body", times.body),
        ("http.timeouts.idle", times.idle),
        ("http.timeouts.write_stall", times.write_stall),
    ] {
        if time.get().is_zero() {
            verdict.error(path, "nobody is as fast as 0 s");
        }
    }
    if http.tls.is_some() {
        verdict.error_with(
            "http.tls",
            "TLS on this listener is not supported yet",
            "end TLS at the balancer".to_owned(),
        );
    }
}

fn admin(config: &Config, verdict: &mut Verdict) {
    let admin = &config.admin;
    match &admin.token {
        None if !admin.listen.ip().is_loopback() => verdict.error_with(
            "admin.listen",
            format!("{} is not a loopback address, so `admin.token` must be set", admin.listen),
            "add `token: ${PEERWAY_ADMIN_TOKEN}` to the block, or listen on 127.0.0.1:8081".to_owned(),
        ),
        Some(token) if token.expose().is_empty() => verdict.error("admin.token", "the token is empty"),
        Some(token) if !fits_header(token.expose()) => {
            verdict.error("admin.token", "the token holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII)");
        }
        _ => {}
    }
    if overlap(admin.listen, config.http.listen) {
        verdict.error("admin.listen", format!("{} is taken by `http.listen`", admin.listen));
    }
}

/// Whether a header value can carry the text as it is.
pub(super) fn fits_header(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_ip
}
