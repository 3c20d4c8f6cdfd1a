//! The file's text beside its tree: from a place to a line that may be shown.

use std::collections::HashSet;

use super::finding::{Excerpt, Finding};
use super::tree::{Node, Place, Value};

const CONCEALED: &str = "***";

/// What a finding is shown with.
#[derive(Debug)]
pub(super) struct Source<'a> {
    lines: Vec<&'a str>,
    /// Parts of lines that must not be shown: line from 1, first and last character from 0, the last excluded.
    concealed: Vec<(usize, usize, usize)>,
}

impl<'a> Source<'a> {
    /// For a file that is no tree: what looks like a secret is concealed.
    pub(super) fn unparsed(text: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let concealed = lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| {
                let from = after_secret_key(line)?;
                Some((index + 1, line[..from].chars().count(), usize::MAX))
            })
            .collect();
        Self { lines, concealed }
    }

    /// Conceals every scalar that was not taken as something harmless.
    pub(super) fn parsed(text: &'a str, root: &Node, showable: &HashSet<*const Node>) -> Self {
        let mut source = Self { lines: text.lines().collect(), concealed: Vec::new() };
        source.conceal(root, showable);
        source
    }

    fn conceal(&mut self, node: &Node, showable: &HashSet<*const Node>) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.conceal(item, showable)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| self.conceal(value, showable)),
            Value::Text(text) => {
                let has_user = text.text.contains("://") && text.text.contains('@');
                if !text.only_reference && (has_user || !showable.contains(&(node as *const Node))) {
                    self.conceal_place(node.place);
                }
            }
            Value::Number(..) if !showable.contains(&(node as *const Node)) => self.conceal_place(node.place),
            Value::Null | Value::Bool(_) | Value::Number(..) => {}
        }
    }

    fn conceal_place(&mut self, place: Place) {
        let (mut line, mut from, mut left) = (place.line, place.column.saturating_sub(1), place.length);
        while left > 0 && line <= self.lines.len() {
            let width = self.lines[line - 1].chars().count();
            let to = from.saturating_add(left).min(width).max(from);
            // A block text reaches to the next line's first word.
            if self.lines[line - 1].chars().take(to).skip(from).any(|c| !c.is_whitespace()) {
                self.concealed.push((line, from, to));
            }
            left = left.saturating_sub(to - from + 1);
            (line, from) = (line + 1, 0);
        }
    }

    pub(super) fn finding(&self, place: Place, path: String, message: String, hint: Option<String>) -> Finding {
        let excerpt = self.excerpt(place);
        Finding { line: place.line, column: place.column, path, message, hint, excerpt }
    }

    /// The line with its secrets concealed, and where in it the meant part then begins and how long it is.
    fn excerpt(&self, place: Place) -> Option<Excerpt> {
        let line: Vec<char> = self.lines.get(place.line.checked_sub(1)?)?.trim_end().chars().collect();
        let start = place.column.saturating_sub(1).min(line.len());
        let end = start.saturating_add(place.length.max(1)).min(line.len().max(start + 1));
        let mut parts: Vec<(usize, usize)> = self
            .concealed
            .iter()
            .filter(|(number, from, _)| *number == place.line && *from < line.len())
            .map(|(_, from, to)| (*from, (*to).min(line.len())))
            .collect();
        parts.sort_unstable();
        let (mut shown, mut shown_start, mut shown_end) = (String::new(), None, None);
        let mut at = 0;
        while at <= line.len() {
            let width = shown.chars().count();
            if at >= start && shown_start.is_none() {
                shown_start = Some(width);
            }
            if at >= end && shown_end.is_none() {
                shown_end = Some(width);
            }
            match parts.iter().find(|(from, to)| *from <= at && at < *to) {
                Some((_, to)) => {
                    shown.push_str(CONCEALED);
                    at = *to;
                }
                None => {
                    shown.extend(line.get(at).map(|c| if *c == '\t' { ' ' } else { *c }));
                    at += 1;
                }
            }
        }
        let first = shown_start.unwrap_or_else(|| shown.chars().count());
        let last = shown_end.unwrap_or_else(|| shown.chars().count());
        Some(Excerpt { text: shown, start: first, length: last.saturating_sub(first).max(1) })
    }
}

/// Where the value of a key that usually holds a secret begins; the whole of a line that is not of the form `key: ...`.
fn after_secret_key(line: &str) -> Option<usize> {
    let content = line.len() - line.trim_start().len();
    if line.trim().is_empty() || line.trim_start().starts_with('#') {
        return None;
    }
    if !line.contains(':') {
        return Some(content);
    }
    ["value", "token", "secret"]
        .iter()
        .filter_map(|key| line.find(key).and_then(|at| line[at..].find(':').map(|colon| at + colon + 1)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize, length: usize) -> (String, usize, usize) {
        let Excerpt { text, start, length } = Source::unparsed(text).excerpt(Place { line, column, length }).unwrap();
        (text, start, length)
    }

    #[test]
    fn a_place_is_shown_with_its_line() {
        assert_eq!(shown("a: b\n  c: dé\n", 2, 6, 2), ("  c: dé".to_owned(), 5, 2));
        assert_eq!(shown("a: b", 1, 5, 1), ("a: b".to_owned(), 4, 1), "one past the end");
        assert_eq!(shown("a: b", 1, 40, 9), ("a: b".to_owned(), 4, 1));
        assert!(Source::unparsed("a").excerpt(Place { line: 2, column: 1, length: 1 }).is_none());
    }

    #[test]
    fn an_unparsed_file_shows_no_secret() {
        assert_eq!(shown("  - { id: a, value: sk-1, x: [ }", 1, 31, 1).0, "  - { id: a, value:***");
        assert_eq!(shown("value:\n  sk-1\n  b", 2, 3, 1).0, "  ***");
    }
}
