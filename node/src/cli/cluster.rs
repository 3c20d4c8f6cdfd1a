//! `peerway cluster ...` and `peerway status`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peerway_cluster::identity::{ClusterName, NodeId};
use serde_json::{Value, json};

use crate::governance::NanoUsd;

pub use super::ask::AdminArgs;
use super::ask::{Call, done};
use super::certificates;
use super::status::{ring_table, status_table};

#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(subcommand)]
    pub command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make the certificate authority of a new cluster.
    Init {
        /// The cluster's name, as in `cluster.name`.
        #[arg(long, default_value = "peerway")]
        name: ClusterName,
        /// Where ca.pem and ca.key are written.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Make the certificate of a node.
    Issue {
        /// The node's id, as in `node.id`.
        node: NodeId,
        /// Where ca.pem and ca.key are, and where the node's files are written.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show which node owns how much.
    Ring {
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Give a dead node's part of budgets and limits to the others, from the next windows on.
    Forget {
        /// The node's id. It must be dead for certain: what it spends unseen is beyond the limits.
        node: NodeId,
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Let a node finish its requests and leave for good; to restart it, send SIGTERM.
    Drain {
        /// The node's id, as `peerway status` shows it.
        node: NodeId,
        #[command(flatten)]
        at: AdminArgs,
    },
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub at: AdminArgs,
}

/// What was forgotten, and the bound of it.
fn forgotten(answer: &Value) -> String {
    let node = answer["node"].as_str().unwrap_or_default();
    let from =
        answer["incarnations"].as_array().and_then(|all| all.first()).and_then(|it| it["no_share_from"].as_str());
    let bound = |unit: &str| answer["bound"][unit].as_u64().unwrap_or(0);
    format!(
        "{node} is forgotten: windows that begin at {} or later are divided without it.\n\
         If it still lives where no node sees it, it can spend at most {} USD, {} tokens and {} requests beyond the limits.\n\
         Do not have its side forget this one as well: two halves that forget each other both have the whole limit.\n",
        from.unwrap_or("the next one"),
        NanoUsd::new(bound("nano_usd")),
        bound("tokens"),
        bound("requests"),
    )
}

/// Shows the cluster.
pub fn status(args: &StatusArgs, out: &mut dyn Write) -> ExitCode {
    args.at.show(out, &Call::get("/cluster/status"), status_table)
}

/// Runs a command of `peerway cluster`.
pub fn run(args: &ClusterArgs, out: &mut dyn Write) -> ExitCode {
    match &args.command {
        ClusterCommand::Init { name, dir } => done(certificates::init(name.clone(), dir, out)),
        ClusterCommand::Issue { node, dir } => done(certificates::issue(node, dir, out)),
        ClusterCommand::Ring { at } => at.show(out, &Call::get("/cluster/ring"), ring_table),
        ClusterCommand::Forget { node, at } => {
            let call = Call::post("/cluster/forget", json!({ "node": node.as_str() }));
            at.show(out, &call, forgotten)
        }
        ClusterCommand::Drain { node, at } => {
            let call = Call::post("/cluster/drain", json!({ "node": node.as_str() }));
            at.show(out, &call, |_| {
                format!("{node} drains: it takes no new requests, finishes those in flight and leaves\n")
            })
        }
    }
}
