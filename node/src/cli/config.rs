//! `peerway config ...`: what was changed at run time, against the file and together with it.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ask::{AdminArgs, Call};

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show what was changed at run time, entry by entry.
    Diff {
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Print the block `governance` as it holds, to put into the configuration file. Keys are in it as hashes or as
    /// references to fill in, never as values.
    Export {
        #[command(flatten)]
        at: AdminArgs,
    },
}

/// Runs a command of `peerway config`.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> ExitCode {
    match &args.command {
        ConfigCommand::Diff { at } => at.show(out, &Call::get("/api/config/diff"), differences),
        ConfigCommand::Export { at } => at.show(out, &Call::get("/api/config/export"), exported),
    }
}

fn differences(answer: &Value) -> String {
    let mut shown = String::new();
    let mut line = |sign: char, text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(shown, "{sign} {text}");
    };
    for entry in answer["differences"].as_array().into_iter().flatten() {
        let name = format!("{} {}", entry["kind"].as_str().unwrap_or("?"), entry["id"].as_str().unwrap_or("?"));
        match entry["change"].as_str() {
            Some("added") => line('+', &format!("{name} {}", entry["registry"])),
            Some("removed") => line('-', &format!("{name} {}", entry["file"])),
            Some("changed") => {
                line('~', &name);
                line(' ', &format!("  file     {}", entry["file"]));
                line(' ', &format!("  run time {}", entry["registry"]));
            }
            Some("unreadable") => line('!', &format!("{name}: {}", entry["unreadable"].as_str().unwrap_or("?"))),
            _ => line('=', &name),
        }
    }
    if shown.is_empty() { "nothing was changed at run time\n".to_owned() } else { shown }
}

fn exported(answer: &Value) -> String {
    let mut text = String::from(
        "# As it holds now, file and run time together. `value: ${...}`: the value is the file's; set the variable, or put\n\
         # back the reference that the file has. `hash`: made at run time; valid under this cluster name only.\n",
    );
    match serde_saphyr::to_string(answer) {
        Ok(yaml) => text.push_str(&yaml),
        Err(error) => {
            // JSON is YAML too.
            let _ = writeln!(text, "# ({error})\n{answer}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_say_what_was_and_what_is() {
        let shown = differences(&json!({"differences": [
            {"kind": "key", "id": "a", "change": "added", "file": null, "registry": {"id": "a"}},
            {"kind": "key", "id": "b", "change": "removed", "file": {"id": "b"}, "registry": null},
            {"kind": "team", "id": "c", "change": "changed", "file": {"id": "c"}, "registry": {"id": "c", "customer": "x"}},
        ]}));
        assert_eq!(
            shown,
            "+ key a {\"id\":\"a\"}\n- key b {\"id\":\"b\"}\n~ team c\n    file     {\"id\":\"c\"}\n    run time {\"customer\":\"x\",\"id\":\"c\"}\n"
        );
        assert_eq!(differences(&json!({"differences": []})), "nothing was changed at run time\n");
    }

    #[test]
    fn what_is_exported_is_a_configuration() {
        let governance = json!({"governance": {
            "require_key": true,
            "customers": [{"id": "acme", "budgets": [{"limit_usd": "1000.00", "window": "1M"}]}],
            "teams": [{"id": "007", "customer": "acme"}],
            "keys": [
                {"id": "a", "value": "${PEERWAY_KEY_A}", "team": "007", "models": ["demo/*", "*"]},
                {"id": "b", "hash": "0".repeat(64), "models": ["yes"], "expires_at": "2027-01-31T00:00:00Z", "enabled": false},
            ],
        }});
        let text = exported(&governance);
        let variables = |name: &str| (name == "PEERWAY_KEY_A").then(|| "sk-a".to_owned());
        let loaded = crate::config::parse("exported.yaml", &text, &variables, |_| {});
        let config = loaded.unwrap_or_else(|errors| panic!("{errors}\n{text}")).config;
        assert_eq!(config.governance.teams[0].id, "007");
        assert_eq!(config.governance.keys[0].value.as_ref().unwrap().expose(), "sk-a");
        assert_eq!((config.governance.keys[1].models[0].as_str(), config.governance.keys[1].enabled), ("yes", false));
    }
}
