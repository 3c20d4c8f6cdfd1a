//! What is wrong (or worth a warning) in a configuration, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One error or warning, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1; 0 where there is no place, as for a file that cannot be read.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Where in the configuration, e.g. `providers[0].base_url`; empty for the whole of it.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// The line of the file with its secrets left out, and the part of it that is meant, in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Finding {
    /// A finding that no line of the file is to blame for.
    pub(super) fn placeless(path: impl Into<String>, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { line: 0, column: 0, path: path.into(), message: message.into(), hint, excerpt: None }
    }

    /// Shows it as a compiler would: place, message, the line with a caret, the hint.
    pub fn display<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        Shown { file, severity: "", finding: self }
    }

    /// As [`Finding::display`], for one that does not stop the configuration from being used.
    pub fn display_warning<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        Shown { file, severity: "warning: ", finding: self }
    }
}

/// On one line, as a log takes it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "{}; {hint}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

struct Shown<'a> {
    file: &'a str,
    severity: &'static str,
    finding: &'a Finding,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { line, column, path, message, hint, excerpt } = self.finding;
        match line {
            0 if path.is_empty() => write!(f, "{}: {}{message}", self.file, self.severity)?,
            0 => write!(f, "{}: {}{path}: {message}", self.file, self.severity)?,
            _ => write!(f, "{}:{line}:{column}: {}{message}", self.file, self.severity)?,
        }
        if let Some(Excerpt { text, start, length }) = excerpt {
            let margin = " ".repeat(line.to_string().len());
            write!(f, "\n  {line} | {text}\n  {margin} | {}{}", " ".repeat(*start), "^".repeat(*length))?;
        }
        match hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that keeps a configuration from being used, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file as the operator named it, or what stood in for one.
    pub file: String,
    pub errors: Vec<Finding>,
}

impl ConfigErrors {
    pub(super) fn one(file: impl Into<String>, finding: Finding) -> Self {
        Self { file: file.into(), errors: vec![finding] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{}", error.display(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
