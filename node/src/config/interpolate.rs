//! `${NAME}`, `${NAME:-default}`, `$${` and `file:///path` in the scalars of a parsed file.

use std::fs::File;
use std::io::Read as _;

/// How a variable of the environment is looked up; tests pass a table.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A secret is a line, not a file system.
const MAX_FILE: u64 = 64 * 1024;

/// A scalar with its references replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// It held none.
    AsWritten,
    /// The text that takes its place.
    Replaced(String),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InterpolateError {
    #[error("the environment variable `{name}` is not set")]
    NotSet { name: String },
    #[error("`${{` is not closed by `}}`")]
    Unclosed,
    #[error("`${{{inside}}}` does not name a variable")]
    BadName { inside: String },
    #[error("cannot read `{path}`: {reason}")]
    File { path: String, reason: String },
}

impl InterpolateError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NotSet { name } => Some(format!("set it, or give a default: ${{{name}:-default}}")),
            Self::Unclosed | Self::BadName { .. } => {
                Some("write ${NAME} or ${NAME:-default}; for the characters themselves write $${".to_owned())
            }
            Self::File { .. } => None,
        }
    }
}

pub(super) fn expand(written: &str, variables: Variables<'_>) -> Result<Expanded, InterpolateError> {
    // Only the written text can name a file: what a variable holds is never read as an instruction.
    let names_file = written.starts_with("file:///");
    let text = match references(written, variables)? {
        Some(text) => text,
        None if names_file => written.to_owned(),
        None => return Ok(Expanded::AsWritten),
    };
    if names_file { read(&text).map(Expanded::Replaced) } else { Ok(Expanded::Replaced(text)) }
}

fn references(written: &str, variables: Variables<'_>) -> Result<Option<String>, InterpolateError> {
    let mut text = String::new();
    let mut rest = written;
    let mut any = false;
    while let Some(at) = rest.find("${") {
        any = true;
        if let Some(before) = rest[..at].strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        text.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or(InterpolateError::Unclosed)?;
        text.push_str(&value(&inside[..end], variables)?);
        rest = &inside[end + 1..];
    }
    text.push_str(rest);
    Ok(any.then_some(text))
}

fn value(inside: &str, variables: Variables<'_>) -> Result<String, InterpolateError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(InterpolateError::BadName { inside: inside.to_owned() });
    }
    // As in the shell, `:-` also stands in for a variable that is empty.
    match (variables(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(InterpolateError::NotSet { name: name.to_owned() }),
    }
}

fn read(url: &str) -> Result<String, InterpolateError> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    let failed = |reason: String| InterpolateError::File { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed("it is larger than 64 KiB".to_owned()));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A} file:///etc/hostname".to_owned()),
            _ => None,
        }
    }

    fn replaced(written: &str) -> String {
        match expand(written, &variables) {
            Ok(Expanded::Replaced(text)) => text,
            other => panic!("{written}: {other:?}"),
        }
    }

    #[test]
    fn references_are_replaced_once() {
        for (written, expected) in [
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${NONE:-two}", "two"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${A:-two}", "one"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("${NESTED}", "${A} file:///etc/hostname"),
            ("${NONE:-a:-b}", "a:-b"),
        ] {
            assert_eq!(replaced(written), expected, "{written}");
        }
        for plain in ["", "plain", "$A", "$", "{A}"] {
            assert_eq!(expand(plain, &variables), Ok(Expanded::AsWritten), "{plain}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        assert_eq!(expand("${NONE}", &variables), Err(InterpolateError::NotSet { name: "NONE".to_owned() }));
        assert_eq!(expand("a ${A", &variables), Err(InterpolateError::Unclosed));
        for bad in ["${}", "${1A}", "${A B}", "${A:default}", "${A-default}"] {
            assert!(matches!(expand(bad, &variables), Err(InterpolateError::BadName { .. })), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "s: #\"x\" ${A}\r\n\n").unwrap();
        assert_eq!(replaced(&format!("file://{}", path.display())), "s: #\"x\" ${A}");
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(expand(&format!("file://{}", path.display()), &variables).is_err());
        let missing = expand("file:///does/not/exist", &variables).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read `/does/not/exist`"));
    }
}
