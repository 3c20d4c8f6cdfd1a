//! The command line: what each command takes, and the way into the rooms that do the work.

mod admin_client;
mod ask;
mod certificates;
pub mod check;
pub mod cluster;
pub mod config;
pub mod keys;
pub mod model;
pub mod schema;
mod simulate;
mod start;
mod status;
mod table;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use admin_client::{AdminClient, AdminError};
pub use status::{ring_table, status_table};

/// A leaderless, clustered AI gateway.
#[derive(Debug, Parser)]
#[command(name = "peerway", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Serve(start::ServeArgs),
    /// Run a whole cluster on this machine, with a simulated provider.
    Demo(start::DemoArgs),
    /// Validate a configuration: every error with line, column and a hint.
    Check(check::CheckArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Show the cluster.
    Status(cluster::StatusArgs),
    /// Certificates, the ring, and draining nodes.
    Cluster(cluster::ClusterArgs),
    /// Virtual keys, at run time and on all nodes.
    Keys(keys::KeysArgs),
    /// The model of the local embedder.
    Model(model::ModelArgs),
    /// What was changed at run time.
    Config(config::ConfigArgs),
    /// Run the simulated provider alone.
    SimulateProvider(simulate::SimulateArgs),
}

/// Runs the command that the process was started with. Exit code 0: done; 1: failed; 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    match cli.command {
        // These two hold the terminal for long, so they must not hold its lock.
        Command::Serve(args) => {
            drop(out);
            start::serve(args)
        }
        Command::Demo(args) => {
            drop(out);
            start::demo(&args)
        }
        Command::Check(args) => check::run(&args, &mut out),
        Command::Schema => schema::run(&mut out),
        Command::Status(args) => cluster::status(&args, &mut out),
        Command::Cluster(args) => cluster::run(&args, &mut out),
        Command::Keys(args) => keys::run(&args, &mut out),
        Command::Model(args) => model::run(&args, &mut out),
        Command::Config(args) => config::run(&args, &mut out),
        Command::SimulateProvider(args) => {
            drop(out);
            simulate::run(args)
        }
    }
}

/// Says on standard error why a command failed.
pub(crate) fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "peerway: {error}");
    ExitCode::FAILURE
}
