//! `peerway-loadtest`: see the library for the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    peerway_loadtest::cli::main()
}
