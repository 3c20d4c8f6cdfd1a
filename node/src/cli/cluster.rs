//! `peerway cluster ...` and `peerway status`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peerway_cluster::identity::{ClusterName, NodeId};
use serde_json::json;

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
    /// Let a node finish its requests and leave.
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
        ClusterCommand::Drain { node, at } => {
            let call = Call::post("/cluster/drain", json!({ "node": node.as_str() }));
            at.show(out, &call, |_| {
                format!("{node} drains: it takes no new requests, finishes those in flight and leaves\n")
            })
        }
    }
}
