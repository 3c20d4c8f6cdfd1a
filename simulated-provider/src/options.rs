//! How a simulated provider is set up, and why it may fail to start.

use std::net::SocketAddr;

use crate::latency::Latency;
use crate::rule::Rule;

/// Settings of one simulated provider. The default listens on a free loopback port, answers at once and breaks nothing.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port 0 takes a free port; see `Running::address`.
    pub listen: SocketAddr,
    /// Time to the answer (plain) or to the first token (stream), for every model but `echo` and `slow`.
    pub latency: Latency,
    /// Gap between two tokens of a stream, for every model but `echo` and `slow`.
    pub token_latency: Latency,
    /// Length of answers of every model but `echo` and `slow`; `None` answers as `echo` does.
    pub answer_tokens: Option<u32>,
    /// Rules in force from the start and again after `POST /reset`.
    pub faults: Vec<Rule>,
    /// Threads, each with its own listener and runtime. 0: one a core.
    pub workers: usize,
    /// Keys that are taken, in whichever header the dialect has for them. Empty: any, or none.
    pub keys: Vec<String>,
    /// AWS access key ids with their secrets. Empty: signatures are not checked.
    pub aws_keys: Vec<(String, String)>,
    /// Models that exist. Empty: any name.
    pub models: Vec<String>,
    /// Keeps the last requests for `GET /requests`.
    pub record: bool,
    /// Connections open at once, over all workers; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Of the random shares and latencies: the same seed, rules and order of requests break the same requests.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            latency: Latency::default(),
            token_latency: Latency::default(),
            answer_tokens: None,
            faults: Vec::new(),
            workers: 0,
            keys: Vec::new(),
            aws_keys: Vec::new(),
            models: Vec::new(),
            record: true,
            max_connections: 16_384,
            seed: 1,
        }
    }
}

/// Why a simulated provider did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}; choose another address or port 0 for a free port")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot start worker {worker}: {source}")]
    Worker { worker: usize, source: std::io::Error },
    #[error(transparent)]
    Rule(#[from] crate::rule::RuleError),
}
