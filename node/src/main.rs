//! `peerway`: the gateway, its demo and its tools.

use std::process::ExitCode;

/// The system's allocator grows and shrinks its arenas with a system call each time, some two a request under load.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    peerway::cli::main()
}
