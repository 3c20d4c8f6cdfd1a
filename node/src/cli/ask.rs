//! One question to the admin API of a running node, and its answer in JSON or in words.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::admin_client::{AdminClient, AdminError};
use super::fail;
use crate::config::Secret;

/// Which node is asked, and how the answer is shown.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The admin listener of any node.
    #[arg(long, value_name = "URL", env = "PEERWAY_ADMIN", default_value = "http://127.0.0.1:8081")]
    pub admin: String,
    /// `admin.token` of that node.
    #[arg(long, env = "PEERWAY_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print the answer as it came, in JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Call {
    verb: Verb,
    path: Cow<'static, str>,
}

#[derive(Debug)]
enum Verb {
    Get,
    Post(Value),
    Patch(Value),
    Delete,
}

impl Call {
    pub(super) fn get(path: impl Into<Cow<'static, str>>) -> Self {
        Self { verb: Verb::Get, path: path.into() }
    }

    pub(super) fn post(path: impl Into<Cow<'static, str>>, body: Value) -> Self {
        Self { verb: Verb::Post(body), path: path.into() }
    }

    pub(super) fn patch(path: impl Into<Cow<'static, str>>, body: Value) -> Self {
        Self { verb: Verb::Patch(body), path: path.into() }
    }

    pub(super) fn delete(path: impl Into<Cow<'static, str>>) -> Self {
        Self { verb: Verb::Delete, path: path.into() }
    }
}

impl AdminArgs {
    /// Asks, and prints the answer: as it came, or as `words` puts it.
    pub(super) fn show(&self, out: &mut dyn Write, call: &Call, words: impl FnOnce(&Value) -> String) -> ExitCode {
        match self.ask(call) {
            Ok(answer) if self.json => done(writeln!(out, "{answer}")),
            Ok(answer) => done(out.write_all(words(&answer).as_bytes())),
            Err(error) => fail(&error),
        }
    }

    fn ask(&self, call: &Call) -> Result<Value, AdminError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| AdminError::Unreachable { url: self.admin.clone(), reason: error.to_string() })?;
        let token = self.token.clone().filter(|token| !token.is_empty()).map(Secret::new);
        let client = AdminClient::new(&self.admin, token);
        runtime.block_on(async {
            match &call.verb {
                Verb::Get => client.get(&call.path).await,
                Verb::Post(body) => client.post(&call.path, body).await,
                Verb::Patch(body) => client.patch(&call.path, body).await,
                Verb::Delete => client.delete(&call.path).await,
            }
        })
    }
}

/// The exit code of what may have failed.
pub(super) fn done<E: Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// An id as part of a path.
pub(super) fn segment(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_fit_for_paths() {
        assert_eq!(segment("search-prod"), "search-prod");
        assert_eq!(segment("a/b?c%é"), "a%2Fb%3Fc%25%C3%A9");
    }
}
