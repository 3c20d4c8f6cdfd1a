//! Measurements put together: rounds of several systems, and the search for frontiers.

mod compare;
mod frontier;

pub(crate) use compare::compare;
pub(crate) use frontier::frontier;

use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::Common;
use crate::output;
use crate::report::{Report, html, text};

/// Prints the report and writes the files that were asked for.
fn finish(report: &Report, common: &Common) -> Result<()> {
    text::print(report);
    if let Some(path) = &common.json {
        write(path, serde_json::to_string_pretty(report)?.as_bytes())?;
    }
    if let Some(path) = &common.html {
        write(path, html::page(report).as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write the report {}", path.display()))?;
    output::note(&format!("report written to {}", path.display()));
    Ok(())
}
