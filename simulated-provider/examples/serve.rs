//! A simulated provider alone: `cargo run --example serve -- 127.0.0.1:9090`.
#![allow(clippy::print_stdout, reason = "an example tells where it listens")]

use peerway_simulated_provider::{Options, start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let aws_keys = vec![("AKIDEXAMPLE".to_owned(), "secret".to_owned())];
    let running = start(Options { listen, aws_keys, ..Options::default() }).await?;
    println!("http://{}", running.address);
    std::future::pending::<()>().await;
    Ok(())
}
