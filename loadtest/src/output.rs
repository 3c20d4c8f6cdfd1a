//! What goes to the terminal: progress to stderr, one line a second, results to stdout.

use std::io::{IsTerminal, Write};

/// Writes a result line to stdout; a closed pipe is not our failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes a line of progress to stderr.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A heading in the progress: bold on a terminal, plain elsewhere.
pub(crate) fn heading(line: &str) {
    if std::io::stderr().is_terminal() { note(&format!("\x1b[1m{line}\x1b[0m")) } else { note(line) }
}

/// A line of progress that tells of failures: red on a terminal.
pub(crate) fn alarm(line: &str) {
    if std::io::stderr().is_terminal() { note(&format!("\x1b[31m{line}\x1b[0m")) } else { note(line) }
}

/// Microseconds as milliseconds with the digits that mean something.
pub(crate) fn millis(us: f64) -> String {
    let ms = us / 1e3;
    match ms.abs() {
        small if small < 10.0 => format!("{ms:.2} ms"),
        middle if middle < 100.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
