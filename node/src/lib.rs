//! The gateway node as a library: what `main` runs and what the benches measure.
//!
//! A request flows `http` -> `gateway` (one file a step) -> `relay` and back; it uses `surface` (what clients speak),
//! `operation` (what is asked for), `dialect` (bytes), `routing` and `provider` (upstreams); `governance` says what it costs,
//! `health` which upstreams answer. `peers` joins the node to the cluster and the ring cache;
//! `admin` shows and changes both. `serve` is a node's life from bind to drain, `demo` is several of them, `cli` is the way in.

pub mod admin;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod gateway;
pub mod governance;
pub mod health;
pub mod http;
pub mod operation;
pub mod peers;
pub mod provider;
pub mod relay;
pub mod reload;
pub mod routing;
pub mod serve;
pub mod surface;
pub mod telemetry;
