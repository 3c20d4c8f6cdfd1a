//! `peerway serve` and `peerway demo`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peerway_cluster::registry::store::WhenAhead;

use super::fail;
use crate::config::{self, Loaded};
use crate::demo::{self, DemoOptions};
use crate::reload::Source;
use crate::serve::{self, Next, ServeOptions};
use crate::telemetry::log;

/// Flags go over the file.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration. Without one, providers are taken from well-known environment variables (OPENAI_API_KEY, ...).
    #[arg(long, env = "PEERWAY_CONFIG")]
    config: Option<PathBuf>,
    /// The node's name in the cluster.
    #[arg(long)]
    node_id: Option<String>,
    /// Where clients connect.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where operators connect.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Where peers connect (UDP). Needs a secret, from the file or PEERWAY_CLUSTER_SECRET.
    #[arg(long, value_name = "ADDR")]
    cluster: Option<SocketAddr>,
    /// Peers to meet: host:port, dns:name:port, srv:name or file:path.
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',')]
    join: Vec<String>,
    /// Where the node's identity is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Drop what is damaged in the ledger's journal, which is refused otherwise: what was spent in it may be spent again.
    #[arg(long)]
    repair: bool,
    /// Drop what was written at run time while this machine's clock was wrong, as the error at the start asks.
    #[arg(long)]
    drop_future_records: bool,
    /// End when standard input ends, so that no node outlives the program that started it.
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

pub(super) fn serve(args: ServeArgs) -> ExitCode {
    let (exit_with_parent, repair) = (args.exit_with_parent, args.repair);
    let future_records = if args.drop_future_records { WhenAhead::Drop } else { WhenAhead::Refuse };
    let file = args.config.clone();
    let load = move || match &args.config {
        Some(file) => config::load_with(file, |config| args.put_over(config)),
        None => config::from_environment_with(|config| args.put_over(config)),
    };
    let Loaded { config, warnings, .. } = match load() {
        Ok(loaded) => loaded,
        Err(errors) => return fail(&errors),
    };
    if let Err(error) = log::start(&config.observability.log) {
        return fail(&error);
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let source = file.map(|file| Source { file, load: Box::new(load) });
    let options = ServeOptions { config, source, repair, exit_with_parent, future_records };
    match serve::run(options) {
        Ok(Next::Exit) => ExitCode::SUCCESS,
        Ok(Next::StartOver) => fail(&start_over()),
        Err(error) => fail(&error),
    }
}

/// Becomes a fresh process of the same program, arguments and id: nothing of the old one is left to speak for the old
/// actor. Returns only if that fails.
fn start_over() -> std::io::Error {
    use std::os::unix::process::CommandExt;
    match std::env::current_exe() {
        // A repair is for once: the journal is a new one.
        Ok(program) => std::process::Command::new(program)
            .args(std::env::args_os().skip(1).filter(|argument| argument != "--repair"))
            .exec(),
        Err(error) => error,
    }
}

impl ServeArgs {
    fn put_over(&self, config: &mut config::Config) {
        if let Some(id) = &self.node_id {
            config.node.id = Some(id.clone());
        }
        if let Some(address) = self.http {
            config.http.listen = address;
        }
        if let Some(address) = self.admin {
            config.admin.listen = address;
        }
        if let Some(folder) = &self.data_dir {
            config.node.data_dir = Some(folder.clone());
        }
        if self.cluster.is_some() || !self.join.is_empty() {
            let cluster = config.cluster.get_or_insert_default();
            if let Some(address) = self.cluster {
                cluster.listen = address;
            }
            if !self.join.is_empty() {
                cluster.join.clone_from(&self.join);
            }
            if cluster.secret.is_none() && cluster.tls.is_none() {
                let secret = std::env::var("PEERWAY_CLUSTER_SECRET").ok();
                cluster.secret = secret.filter(|secret| !secret.is_empty()).map(config::Secret::new);
            }
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u16,
    /// The front's port; everything else listens on ports above it.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Print one JSON line when all nodes are ready.
    #[arg(long)]
    json: bool,
    /// Leave the folder with the configurations and logs behind.
    #[arg(long)]
    keep: bool,
}

pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    if let Err(error) = log::start("warn") {
        return fail(&error);
    }
    let options = DemoOptions { nodes: args.nodes, http_port: args.http_port, json: args.json, keep: args.keep };
    match demo::run(options, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}
