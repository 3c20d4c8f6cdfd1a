//! From a file, or from nothing but the environment, to a configuration that has been checked.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::decode::decode;
use super::environment;
use super::finding::{ConfigErrors, Finding};
use super::interpolate::Variables;
use super::model::Config;
use super::source::Source;
use super::tree::{self, Node};
use super::verify::{self, Problem, Verdict};

/// Ten thousand virtual keys take about three.
const MAX_FILE: u64 = 16 << 20;

/// A configuration that may be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// What the operator should know although it stops nothing.
    pub warnings: Vec<Finding>,
    /// The file as the operator named it, or what stood in for one.
    pub file: String,
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    load_with(path, |_| {})
}

/// Reads a file, lets flags change what it says, and checks the whole.
pub fn load_with(path: &Path, flags: impl FnOnce(&mut Config)) -> Result<Loaded, ConfigErrors> {
    let file = path.display().to_string();
    let text = read(path).map_err(|reason| {
        ConfigErrors::one(&file, Finding::placeless("", format!("cannot read the configuration: {reason}"), None))
    })?;
    parse(&file, &text, &|name| std::env::var(name).ok(), flags)
}

/// Makes a configuration from the keys of well-known providers in the environment.
pub fn from_environment() -> Result<Loaded, ConfigErrors> {
    from_environment_with(|_| {})
}

/// As [`from_environment`], with flags over it.
pub fn from_environment_with(flags: impl FnOnce(&mut Config)) -> Result<Loaded, ConfigErrors> {
    from_variables(&|name| std::env::var(name).ok(), flags)
}

/// As [`from_environment_with`], from the variables given.
pub fn from_variables(variables: Variables<'_>, flags: impl FnOnce(&mut Config)) -> Result<Loaded, ConfigErrors> {
    let file = "environment".to_owned();
    let (mut config, mut warnings) = environment::config(variables);
    flags(&mut config);
    let Verdict { errors, warnings: more } = verify::judge(&config);
    if !errors.is_empty() {
        return Err(ConfigErrors { file, errors: errors.into_iter().map(placeless).collect() });
    }
    warnings.extend(more.into_iter().map(placeless));
    Ok(Loaded { config, warnings, file })
}

/// Checks a configuration that has no file, or none any more since flags changed it.
pub fn verify(config: &Config) -> Result<(), ConfigErrors> {
    let Verdict { errors, .. } = verify::judge(config);
    if errors.is_empty() {
        return Ok(());
    }
    let file = "configuration with flags".to_owned();
    Err(ConfigErrors { file, errors: errors.into_iter().map(placeless).collect() })
}

fn placeless(problem: Problem) -> Finding {
    Finding::placeless(problem.path, problem.message, problem.hint)
}

/// Checks a text; `file` is what findings call it.
pub fn parse(
    file: &str,
    text: &str,
    variables: Variables<'_>,
    flags: impl FnOnce(&mut Config),
) -> Result<Loaded, ConfigErrors> {
    let mut read: Fitted<'_, Config> = fit(file, text, variables)?;
    flags(&mut read.value);
    let Verdict { errors, warnings } = verify::judge(&read.value);
    read.refuse(file, errors)?;
    let warnings = in_order(warnings.into_iter().map(|problem| read.placed(problem)).collect());
    Ok(Loaded { config: read.value, warnings, file: file.to_owned() })
}

/// Reads a file of another format than the configuration's with the same care: unknown keys are errors, every error has
/// its place, and `judge` says what is wrong with a value that is well formed.
pub fn document_file<T: DeserializeOwned>(
    path: &Path,
    judge: impl FnOnce(&T) -> Vec<Problem>,
) -> Result<T, ConfigErrors> {
    let file = path.display().to_string();
    let text = read(path).map_err(|reason| {
        ConfigErrors::one(&file, Finding::placeless("", format!("cannot read the file: {reason}"), None))
    })?;
    document(&file, &text, judge)
}

/// As [`document_file`], for a text; `file` is what findings call it.
pub fn document<T: DeserializeOwned>(
    file: &str,
    text: &str,
    judge: impl FnOnce(&T) -> Vec<Problem>,
) -> Result<T, ConfigErrors> {
    let read: Fitted<'_, T> = fit(file, text, &|name| std::env::var(name).ok())?;
    let problems = judge(&read.value);
    read.refuse(file, problems)?;
    Ok(read.value)
}

/// A value, and what it takes to say where in the text a part of it stands.
struct Fitted<'a, T> {
    value: T,
    source: Source<'a>,
    root: Node,
}

impl<T> Fitted<'_, T> {
    fn placed(&self, problem: Problem) -> Finding {
        let place = self.root.nearest(&problem.path).place;
        self.source.finding(place, problem.path, problem.message, problem.hint)
    }

    fn refuse(&self, file: &str, problems: Vec<Problem>) -> Result<(), ConfigErrors> {
        if problems.is_empty() {
            return Ok(());
        }
        let errors = in_order(problems.into_iter().map(|problem| self.placed(problem)).collect());
        Err(ConfigErrors { file: file.to_owned(), errors })
    }
}

fn fit<'a, T: DeserializeOwned>(
    file: &str,
    text: &'a str,
    variables: Variables<'_>,
) -> Result<Fitted<'a, T>, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (root, faults) = tree::parse(text, variables).map_err(|fault| {
        let finding = match fault.place {
            Some(place) => Source::unparsed(text).finding(place, fault.path, fault.message, fault.hint),
            None => Finding::placeless(fault.path, fault.message, fault.hint),
        };
        ConfigErrors::one(file, finding)
    })?;
    let decoded = decode::<T>(&root);
    let source = Source::parsed(text, &root, &decoded.showable);
    let mut errors: Vec<Finding> = Vec::new();
    for misfit in decoded.misfits {
        // A reference that could not be replaced has left a hole; what does not like the hole is no second fault.
        if !faults.iter().any(|fault| fault.path == misfit.path) {
            errors.push(source.finding(misfit.place, misfit.path, misfit.message, misfit.hint));
        }
    }
    errors.extend(
        faults
            .into_iter()
            .filter_map(|fault| fault.place.map(|place| source.finding(place, fault.path, fault.message, fault.hint))),
    );
    match decoded.value.filter(|_| errors.is_empty()) {
        Some(value) => Ok(Fitted { value, source, root }),
        None => Err(ConfigErrors { file: file.to_owned(), errors: in_order(errors) }),
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err("it is larger than 16 MiB".to_owned());
    }
    Ok(text)
}
