//! `peerway`: the gateway, its demo and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    peerway::cli::main()
}
