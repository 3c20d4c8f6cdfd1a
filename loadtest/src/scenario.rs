//! The scenario file: what is asked, and in which mix.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use thiserror::Error;

/// A scenario as its file has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The bearer token of every request.
    pub(crate) key: Option<String>,
    /// The model of the kinds that name none; `--model` and a system's `model=` go before all.
    #[serde(default = "default_model")]
    pub(crate) model: String,
    /// The path that is posted to, behind the target's own path.
    #[serde(default = "default_path")]
    pub(crate) path: String,
    /// Headers of every request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The kinds of requests; each is picked with the probability of its weight.
    pub(crate) mix: Vec<Spanned<Item>>,
}

/// One kind of request in the mix.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    #[serde(default = "default_weight")]
    pub(crate) weight: u32,
    pub(crate) model: Option<String>,
    #[serde(default = "default_prompt_bytes")]
    pub(crate) prompt_bytes: usize,
    #[serde(default = "default_max_tokens")]
    pub(crate) max_tokens: u32,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Sent as `x-peerway-cache-key`: the request takes part in the cache.
    pub(crate) cache_key: Option<String>,
    /// `repeat` only: how many different prompts there are.
    pub(crate) pool: Option<usize>,
    /// `repeat` only: how the prompts are picked.
    pub(crate) spread: Option<Spread>,
}

/// What makes a request of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A prompt that was never asked before.
    Miss,
    /// A prompt out of a pool.
    Repeat,
    /// A stream, with a prompt that was never asked before.
    Stream,
}

/// How the prompts of a pool are picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spread {
    Uniform,
    /// The k-th prompt is asked in proportion to 1 / k.
    Zipf,
}

/// Why a scenario cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ScenarioError {
    #[error("cannot read the scenario {path}: {source}; give an existing file with --scenario")]
    Read { path: String, source: std::io::Error },
    #[error("scenario {path}: {message}")]
    Parse { path: String, message: String },
    #[error("scenario {path}, line {line}, column {column}: {message}")]
    Invalid { path: String, line: u64, column: u64, message: String },
}

impl Scenario {
    /// Reads and checks a scenario file.
    pub(crate) fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: name.clone(), source })?;
        Scenario::parse(&name, &text)
    }

    /// Parses and checks the text of a scenario; `path` is for the messages.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = serde_saphyr::from_str(text)
            .map_err(|error| ScenarioError::Parse { path: path.to_owned(), message: error.render() })?;
        if scenario.mix.is_empty() {
            return Err(ScenarioError::Parse { path: path.to_owned(), message: "`mix` has no kinds; add one".into() });
        }
        for item in &scenario.mix {
            if let Err(message) = item.value.check() {
                let (line, column) = (item.referenced.line(), item.referenced.column());
                return Err(ScenarioError::Invalid { path: path.to_owned(), line, column, message });
            }
        }
        Ok(scenario)
    }
}

impl Item {
    fn check(&self) -> Result<(), String> {
        if self.weight == 0 {
            return Err("`weight` is 0; give at least 1 or remove the kind".into());
        }
        if !(1..=MAX_PROMPT).contains(&self.prompt_bytes) {
            return Err(format!("`prompt_bytes` is {}; give 1 to {MAX_PROMPT}", self.prompt_bytes));
        }
        if self.kind != Kind::Repeat && (self.pool.is_some() || self.spread.is_some()) {
            return Err("`pool` and `spread` go with `kind: repeat` only; remove them".into());
        }
        if self.pool.is_some_and(|pool| !(1..=MAX_POOL).contains(&pool)) {
            return Err(format!("`pool` must be 1 to {MAX_POOL}"));
        }
        Ok(())
    }

    /// The name of the kind in figures.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Miss => "miss",
            Kind::Repeat => "repeat",
            Kind::Stream => "stream",
        }
    }
}

const MAX_PROMPT: usize = 8 * 1024 * 1024;
const MAX_POOL: usize = 100_000;

fn default_model() -> String {
    "demo/echo".to_owned()
}

fn default_path() -> String {
    "/v1/chat/completions".to_owned()
}

fn default_weight() -> u32 {
    1
}

fn default_prompt_bytes() -> usize {
    1700
}

fn default_max_tokens() -> u32 {
    32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Scenario::parse("x.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_scenarios_are_valid() {
        for name in ["mixed", "plain", "full", "stream", "paced", "prompts-64k", "prompts-400k"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.yaml"));
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(scenario.key.as_deref(), Some("sk-peerway-demo"));
            assert_eq!(scenario.path, "/v1/chat/completions");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let message = error("mix:\n  - kind: miss\n    wieght: 3\n");
        assert!(message.contains("wieght") && message.contains("line 3"), "{message}");
        let message = error("modle: x\nmix:\n  - kind: miss\n");
        assert!(message.contains("modle"), "{message}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        let message = error("mix:\n  - kind: hit\n");
        assert!(message.contains("hit") && message.contains("line 2"), "{message}");
        let message = error("mix:\n  - kind: miss\n  - kind: miss\n    pool: 5\n");
        assert!(message.contains("line 3") && message.contains("pool"), "{message}");
        assert!(error("mix: []\n").contains("no kinds"));
        assert!(error("mix:\n  - kind: miss\n    weight: 0\n").contains("weight"));
    }
}
