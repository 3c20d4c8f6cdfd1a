//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::generator::Load;
use crate::measure::Settings;
use crate::outage::{self, Fault, Order, Timing};
use crate::scenario::Scenario;
use crate::system::{System, parse_duration, parse_watch};
use crate::watch::Watched;
use crate::{commands, output};

/// Open-loop, constant-rate load generator for Peerway and what stands beside it.
#[derive(Debug, Parser)]
#[command(name = "peerway-loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load one system, behind one or several URLs.
    Run(RunArgs),
    /// Load several systems in turns and compare them.
    SideBySide(SideBySideArgs),
    /// Find the highest rate that each system holds.
    Frontier(FrontierArgs),
    /// Start three nodes and two providers, let the first provider break under load, and check what that costs.
    Outage(OutageArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where to send; several take turns.
    #[arg(long, required = true)]
    target: Vec<String>,
    #[command(flatten)]
    load: LoadArgs,
    /// Watch CPU time and memory of this process and all its descendants (name=pid).
    #[arg(long, value_parser = parse_watch)]
    watch: Vec<Watched>,
    /// The provider itself: measured first, at the same load, to tell what is added. URL[,model=M][,pid=N]
    #[arg(long)]
    direct: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SideBySideArgs {
    /// A system: name=URL[,url=URL][,pid=N][,model=M][,key=K]. The one named `direct` is what the others are compared with.
    #[arg(long = "system", required = true)]
    systems: Vec<System>,
    #[command(flatten)]
    load: LoadArgs,
    /// How many times each system has its turn.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct FrontierArgs {
    /// A system: name=URL[,url=URL][,pid=N][,model=M][,key=K].
    #[arg(long = "system", required = true)]
    systems: Vec<System>,
    /// The provider itself, which added latency is counted from. URL[,model=M][,pid=N]
    #[arg(long)]
    direct: String,
    /// The first rate that is tried, requests a second.
    #[arg(long, default_value_t = 500.0, value_parser = parse_rate)]
    pub(crate) start: f64,
    /// The highest rate that is tried.
    #[arg(long, default_value_t = 20_000.0, value_parser = parse_rate)]
    pub(crate) max: f64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct OutageArgs {
    /// The ways to break; all of them if none is given.
    fault: Vec<Fault>,
    /// The binary that nodes and providers are started from.
    #[arg(long, default_value = "target/release/peerway")]
    peerway: PathBuf,
    /// The binary that the providers are started from, if another one; its record must say when a request came.
    #[arg(long)]
    provider: Option<PathBuf>,
    /// For configurations, data and logs; must not exist.
    #[arg(long)]
    folder: PathBuf,
    /// Requests a second, over all nodes.
    #[arg(long, default_value_t = 500.0, value_parser = parse_rate)]
    rate: f64,
    /// When the fault begins, since the start of the load.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    begins: Duration,
    /// When it ends.
    #[arg(long, default_value = "12s", value_parser = parse_duration)]
    ends: Duration,
    /// How long the load goes on for each fault.
    #[arg(long, default_value = "20s", value_parser = parse_duration)]
    duration: Duration,
    /// `health.probe_interval` of the nodes.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    probe_interval: Duration,
    /// Ask for streams.
    #[arg(long)]
    streams: bool,
    /// Each of the providers' timeouts.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    patience: Duration,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct LoadArgs {
    /// Requests a second, sent by a fixed timetable.
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Closed loop instead: this many callers, each of which waits for its answer.
    #[arg(long)]
    concurrency: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The scenario file (see loadtest/scenarios).
    #[arg(long)]
    scenario: PathBuf,
    /// How long each measurement lasts [default: 30s, 5s for frontier].
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How long the same load runs before figures count [default: 3s, 1s for frontier].
    #[arg(long, value_parser = parse_duration)]
    warmup: Option<Duration>,
    /// The model, in place of the scenario's.
    #[arg(long)]
    model: Option<String>,
    /// Generator threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// At most this many requests at once; what is due beyond it is not sent, and no figure is given.
    #[arg(long, default_value_t = 4096)]
    max_in_flight: usize,
    /// A request without its whole answer after this long has failed.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// Write the report as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one self-contained HTML page.
    #[arg(long)]
    pub(crate) html: Option<PathBuf>,
}

impl Common {
    fn settings(&self, duration: u64, warmup: u64) -> anyhow::Result<Settings> {
        Ok(Settings {
            scenario: Scenario::read(&self.scenario)?,
            model: self.model.clone(),
            warmup: self.warmup.unwrap_or(Duration::from_secs(warmup)),
            duration: self.duration.unwrap_or(Duration::from_secs(duration)).max(Duration::from_millis(100)),
            threads: self.threads.clamp(1, 64),
            max_in_flight: self.max_in_flight.max(1),
            timeout: self.timeout,
        })
    }
}

impl OutageArgs {
    fn order(self) -> anyhow::Result<Order> {
        anyhow::ensure!(
            self.begins >= Duration::from_secs(2) && self.begins < self.ends && self.ends < self.duration,
            "give 2s <= --begins < --ends < --duration"
        );
        anyhow::ensure!(!self.folder.exists(), "{} exists; give a folder that does not", self.folder.display());
        let timing = Timing {
            rate: self.rate,
            begins: self.begins,
            ends: self.ends,
            whole: self.duration,
            probe_interval: self.probe_interval,
            streams: self.streams,
        };
        Ok(Order {
            faults: if self.fault.is_empty() { Fault::ALL.to_vec() } else { self.fault },
            timing,
            provider: self.provider.unwrap_or_else(|| self.peerway.clone()),
            peerway: self.peerway,
            folder: self.folder,
            patience: self.patience,
        })
    }
}

impl LoadArgs {
    fn load(&self) -> Load {
        match (self.rate, self.concurrency) {
            (Some(rate), _) => Load::Open { rate },
            (None, concurrency) => Load::Closed { concurrency: concurrency.unwrap_or(1).clamp(1, 100_000) },
        }
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        _ => Err(format!("`{text}` is not a rate; give requests a second, 0.01 to 1000000")),
    }
}

/// The program; the exit code is 2 when a figure could not be given, 1 on errors.
pub fn main() -> ExitCode {
    raise_file_limit();
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run(args) => {
            let settings = args.common.settings(30, 3)?;
            let mut system = System::new("target", args.target);
            system.watched = args.watch;
            let direct = args.direct.as_deref().map(System::direct).transpose()?;
            let systems: Vec<System> = direct.into_iter().chain([system]).collect();
            commands::compare("run", &settings, &systems, args.load.load(), 1, &args.common)
        }
        Command::SideBySide(args) => {
            let settings = args.common.settings(30, 3)?;
            commands::compare("side-by-side", &settings, &args.systems, args.load.load(), args.rounds, &args.common)
        }
        Command::Frontier(args) => {
            let settings = args.common.settings(5, 1)?;
            let direct = System::direct(&args.direct)?;
            commands::frontier(&settings, &direct, &args.systems, args.start, args.max, &args.common)
        }
        Command::Outage(args) => outage::outage(&args.order()?),
    }
}

/// Connections are files; a shell's usual limit of 1,024 is too few.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // When it cannot be raised, connections that find no room fail and are counted so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_commands_parse_and_a_load_is_one_of_two() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        parse("peerway-loadtest run --target http://a:1 --target http://a:2 --rate 5000 --duration 30s --scenario f --watch n=1 --direct http://a:3,model=m").unwrap();
        parse("peerway-loadtest run --target http://a:1 --concurrency 1 --scenario f").unwrap();
        parse("peerway-loadtest side-by-side --system direct=http://a:1 --system b=http://a:2,pid=1 --rate 10 --rounds 2 --scenario f").unwrap();
        parse(
            "peerway-loadtest frontier --system b=http://a:2 --direct http://a:1 --start 100 --max 1000 --scenario f",
        )
        .unwrap();
        parse(
            "peerway-loadtest outage killed 429 never-ending --folder f --rate 100 --begins 2s --ends 4s --duration 6s",
        )
        .unwrap();
        assert!(parse("peerway-loadtest run --target http://a:1 --scenario f").is_err());
        assert!(parse("peerway-loadtest run --target http://a:1 --rate 1 --concurrency 1 --scenario f").is_err());
        assert!(parse("peerway-loadtest run --target http://a:1 --rate 0 --scenario f").is_err());
    }
}
