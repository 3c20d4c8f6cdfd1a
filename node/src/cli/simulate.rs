//! `peerway simulate-provider`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use peerway_simulated_provider::{self as simulated, Latency, Options, Rule};

use super::fail;
use crate::serve::terminated;
use crate::telemetry::log;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Time to the answer or the first token: `50ms`, `uniform:20ms..80ms` or `lognormal:50ms,p99=200ms`.
    #[arg(long, default_value = "0ms")]
    latency: Latency,
    /// Gap between two tokens of a stream, written alike.
    #[arg(long, default_value = "0ms")]
    token_latency: Latency,
    /// Length of the answers of models other than `echo` and `slow`, in tokens.
    #[arg(long)]
    answer_tokens: Option<u32>,
    /// A fault rule, e.g. `{"match":{"share":0.1},"do":{"status":429}}`; may be given several times.
    #[arg(long, value_name = "JSON")]
    fault: Vec<Rule>,
    /// A key that is taken, in whichever header a dialect has for it; may be given several times. Default: any, or none.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// An AWS key whose signatures are checked; may be given several times. Default: signatures are not checked.
    #[arg(long, value_name = "ID:SECRET", value_parser = aws_key)]
    aws_key: Vec<(String, String)>,
    /// Do not keep what arrived for GET /requests.
    #[arg(long)]
    no_record: bool,
    /// Threads. Default: one a core.
    #[arg(long, default_value_t = 0)]
    workers: usize,
}

fn aws_key(text: &str) -> Result<(String, String), String> {
    let (id, secret) = text.split_once(':').ok_or("write the access key id, a colon and the secret")?;
    Ok((id.to_owned(), secret.to_owned()))
}

pub(super) fn run(args: SimulateArgs) -> ExitCode {
    if let Err(error) = log::start("info") {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let options = Options {
        listen: args.listen,
        latency: args.latency,
        token_latency: args.token_latency,
        answer_tokens: args.answer_tokens,
        faults: args.fault,
        keys: args.key,
        aws_keys: args.aws_key,
        record: !args.no_record,
        workers: args.workers,
        ..Options::default()
    };
    runtime.block_on(async {
        match simulated::start(options).await {
            Ok(running) => {
                tracing::info!(address = %running.address, "the simulated provider listens; see /bill /requests /faults");
                terminated().await;
                running.stop().await;
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        }
    })
}
