//! Whether the values of a configuration make sense, alone and together. Pure: it looks at nothing but the values.

mod cache;
mod governance;
mod health;
mod listeners;
mod peers;
mod providers;

use std::collections::HashMap;

use super::model::Config;

pub use governance::{Known, verify_customer, verify_key, verify_team};

/// One thing that is wrong, at a path such as `providers[0].base_url`.
#[derive(Debug)]
pub struct Problem {
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

/// All that is wrong, and all that is merely worth knowing.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

pub(super) fn judge(config: &Config) -> Verdict {
    let mut verdict = Verdict::default();
    listeners::verify(config, &mut verdict);
    cache::verify(config, &mut verdict);
    peers::verify(config, &mut verdict);
    providers::verify(config, &mut verdict);
    health::verify(config, &mut verdict);
    governance::verify(config, &mut verdict);
    verdict
}

impl Verdict {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Problem { path: path.into(), message: message.into(), hint: None });
    }

    fn error_with(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.errors.push(Problem { path: path.into(), message: message.into(), hint: hint.into() });
    }

    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.warnings.push(Problem { path: path.into(), message: message.into(), hint: hint.into() });
    }

    /// Complains of every value that an earlier item of the list has already; what is compared may be a secret, so
    /// only the earlier item's path is named.
    fn duplicates<'a>(&mut self, what: &str, items: impl IntoIterator<Item = (String, &'a str)>) {
        let mut seen: HashMap<&str, String> = HashMap::new();
        for (path, value) in items {
            match seen.get(value) {
                Some(first) => {
                    self.error(path, format!("this {what} is taken: {first} has it already"));
                }
                None => {
                    seen.insert(value, path);
                }
            }
        }
    }

    /// Complains of a name that other places could not refer to.
    fn word(&mut self, path: String, what: &str, name: &str) {
        if name.is_empty() {
            self.error(path, format!("the {what} is empty"));
        } else if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.error(path, format!("the {what} holds white space"));
        }
    }

    fn pattern(&mut self, path: String, pattern: &str) {
        if pattern.is_empty() || pattern.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let hint = "write a model's name; `*` stands for any run of characters".to_owned();
            self.error_with(path, "not a pattern for models", hint);
        }
    }

    fn weight(&mut self, path: String, weight: f64) {
        if !(weight.is_finite() && weight > 0.0) {
            self.error_with(
                path,
                format!("a weight must be above zero, not {weight}"),
                "leave the item out instead of weighing it with zero".to_owned(),
            );
        }
    }
}
