//! `peerway cluster ...` and `peerway status`.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peerway_cluster::identity::{ClusterName, NodeId};
use serde_json::{Value, json};

use super::admin_client::AdminClient;
use super::status::{ring_table, status_table};
use super::{certificates, fail};
use crate::config::Secret;

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

/// Which node is asked, and how the answer is shown.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The admin listener of any node.
    #[arg(long, value_name = "URL", env = "PEERWAY_ADMIN", default_value = "http://127.0.0.1:8081")]
    pub admin: String,
    /// `admin.token` of that node.
    #[arg(long, env = "PEERWAY_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print the answer as it came, in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Shows the cluster.
pub fn status(args: &StatusArgs, out: &mut dyn Write) -> ExitCode {
    args.at.show(out, &Call::Get("/cluster/status"), status_table)
}

/// Runs a command of `peerway cluster`.
pub fn run(args: &ClusterArgs, out: &mut dyn Write) -> ExitCode {
    match &args.command {
        ClusterCommand::Init { name, dir } => done(certificates::init(name.clone(), dir, out)),
        ClusterCommand::Issue { node, dir } => done(certificates::issue(node, dir, out)),
        ClusterCommand::Ring { at } => at.show(out, &Call::Get("/cluster/ring"), ring_table),
        ClusterCommand::Drain { node, at } => {
            let call = Call::Post("/cluster/drain", json!({ "node": node.as_str() }));
            at.show(out, &call, |_| {
                format!("{node} drains: it takes no new requests, finishes those in flight and leaves\n")
            })
        }
    }
}

fn done<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

enum Call {
    Get(&'static str),
    Post(&'static str, Value),
}

impl AdminArgs {
    fn show(&self, out: &mut dyn Write, call: &Call, table: impl FnOnce(&Value) -> String) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error),
        };
        let client =
            AdminClient::new(&self.admin, self.token.clone().filter(|token| !token.is_empty()).map(Secret::new));
        let answer = runtime.block_on(async {
            match call {
                Call::Get(path) => client.get(path).await,
                Call::Post(path, body) => client.post(path, body).await,
            }
        });
        match answer {
            Ok(answer) if self.json => done(writeln!(out, "{answer}")),
            Ok(answer) => done(out.write_all(table(&answer).as_bytes())),
            Err(error) => fail(&error),
        }
    }
}
