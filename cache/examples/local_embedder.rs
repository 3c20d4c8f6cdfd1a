//! What a vector of the local embedder costs: `cargo run --release -p peerway-cache --features local-embedder --example
//! local_embedder -- FOLDER`. One thread; time of the processor, so that a busy machine tells the same.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a tool")]
#![allow(clippy::cast_precision_loss, reason = "counts of some hundred texts")]

use std::sync::Arc;

use peerway_cache::semantic::embed::{Folder, Local, Model, Threads};

const ROUNDS: usize = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args().nth(1).expect("a folder with the model");
    let model = Local::load(&Folder::open(folder.as_ref()).unwrap(), &Threads::start(1).unwrap()).unwrap();
    println!("space {}", model.space());
    for (name, text) in [
        ("6 words", "How do I deploy to Kubernetes?".to_owned()),
        ("15 words", "How do I restore a file that I deleted in git but haven't committed yet?".to_owned()),
        ("120 words", "How do I restore a file that I deleted in git but haven't committed yet? ".repeat(8)),
    ] {
        for together in [1, 8] {
            let texts: Vec<Arc<str>> = vec![text.as_str().into(); together];
            model.vectors(&texts).await;
            let before = processor_ms();
            for _ in 0..ROUNDS {
                assert!(model.vectors(&texts).await.iter().all(Result::is_ok));
            }
            let each = (processor_ms() - before) / (ROUNDS * together) as f64;
            println!("{name}, {together} at once: {each:.1} ms a text");
        }
    }
}

/// What this process took so far, in hundredths of a second.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks * 10.0
}
