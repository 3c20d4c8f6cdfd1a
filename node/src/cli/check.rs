//! `peerway check`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::fail;
use crate::config::{self, ConfigErrors, Loaded};
use crate::governance::PriceBook;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration to check.
    #[arg(default_value = "peerway.yaml")]
    pub file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Prints every error and warning; fails if there is an error.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> ExitCode {
    let checked = config::load(&args.file).and_then(|loaded| PriceBook::load(&loaded.config).map(|_| loaded));
    let printed = if args.json { print_json(&checked, out) } else { print(&checked, out) };
    match (printed, checked) {
        (Err(error), _) => fail(&error),
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        (Ok(()), Err(_)) => ExitCode::FAILURE,
    }
}

fn print(checked: &Result<Loaded, ConfigErrors>, out: &mut dyn Write) -> io::Result<()> {
    match checked {
        Ok(Loaded { config, warnings, file }) => {
            for warning in warnings {
                writeln!(out, "{}", warning.display_warning(file))?;
            }
            let counts = [
                ("provider", config.providers.len()),
                ("route", config.routes.len()),
                ("key", config.governance.keys.len()),
            ];
            let counts = counts.map(|(what, n)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
            writeln!(out, "{file}: OK ({})", counts.join(", "))
        }
        Err(errors) => {
            let count = errors.errors.len();
            let plural = if count == 1 { "" } else { "s" };
            writeln!(out, "{errors}\n{}: {count} error{plural}", errors.file)
        }
    }
}

fn print_json(checked: &Result<Loaded, ConfigErrors>, out: &mut dyn Write) -> io::Result<()> {
    let report = match checked {
        Ok(loaded) => json!({ "file": loaded.file, "ok": true, "errors": [], "warnings": loaded.warnings }),
        Err(errors) => json!({ "file": errors.file, "ok": false, "errors": errors.errors, "warnings": [] }),
    };
    writeln!(out, "{report}")
}
