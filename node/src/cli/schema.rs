//! `peerway schema`.

use std::io::{self, Write};
use std::process::ExitCode;

use schemars::schema_for;

use super::fail;
use crate::config::Config;

/// The JSON Schema of the configuration, for editors and pipelines.
pub fn schema() -> serde_json::Value {
    let mut schema = schema_for!(Config);
    schema.insert("title".to_owned(), "Peerway configuration".into());
    schema.to_value()
}

/// Prints it.
pub fn run(out: &mut dyn Write) -> ExitCode {
    match print(out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &schema())?;
    writeln!(out)
}
