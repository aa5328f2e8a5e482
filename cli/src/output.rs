//! What commands say, and how it is printed: text for people, one JSON document for programs, annotations for those that
//! show findings in files, and the exit status.

pub(crate) mod annotation;
pub(crate) mod github;
pub(crate) mod sarif;

use std::{
    env,
    ffi::OsStr,
    io::{self, ErrorKind, IsTerminal, Write},
    process::ExitCode,
};

use celerysalt::registry::RegistryError;
use celerysalt_contract::{Diagnostics, compare::Witness, evolution::Change};
use clap::ValueEnum;
use serde_json::{Value, json};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Annotations of a GitHub workflow (commands that check files)
    Github,
    /// SARIF 2.1.0, for code scanning (breaking, lint)
    Sarif,
}

/// How text may look where it is going.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether a person sees it now, so that excerpts help and lines should be short.
    pub(crate) terminal: bool,
    /// What was asked for: what commands say as text is in that format, but for JSON.
    pub(crate) format: Format,
    color: bool,
}

/// What a command found, in both formats.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whether anything was found that should not be.
    pub(crate) findings: bool,
    /// For people, on standard output; empty or ending in a newline.
    pub(crate) text: String,
    /// For people, on standard error: what it comes to. One line or several, empty for none.
    pub(crate) summary: String,
    /// For programs; null when all that there is to say was printed as it came.
    pub(crate) json: Value,
}

/// Why a command stopped before it had a report.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The contracts of a folder are invalid: findings.
    Refused(Diagnostics),
    /// It ran, and could not decide: neither fine nor a finding.
    Undecided(Report),
    /// It could not run.
    Failed {
        /// Stable, for programs.
        kind: &'static str,
        /// For people.
        message: String,
    },
}

impl Stop {
    pub(crate) fn failed(kind: &'static str, message: impl Into<String>) -> Self {
        Self::Failed { kind, message: message.into() }
    }
}

impl From<RegistryError> for Stop {
    fn from(error: RegistryError) -> Self {
        let kind = match error {
            RegistryError::Unavailable { .. } => "registry-unavailable",
            RegistryError::Denied { .. } => "registry-denied",
            RegistryError::Unusable { .. } => "registry-unusable",
            RegistryError::Unstorable { .. } => "registry-unstorable",
            RegistryError::Url { .. } => "registry-url",
            RegistryError::NotFound { .. } => "not-found",
            _ => "registry",
        };
        Self::failed(kind, error.to_string())
    }
}

impl Style {
    /// Of what goes to standard output.
    pub(crate) fn of_stdout(format: Format) -> Self {
        Self::of(&io::stdout(), format)
    }

    fn of(stream: &impl IsTerminal, format: Format) -> Self {
        let terminal = stream.is_terminal() && format == Format::Text;
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|value| value == OsStr::new("dumb"));
        Self { terminal, format, color: terminal && !no_color && !dumb }
    }

    /// `text` in bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// `text` as something that is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// `text` as something that deserves a look.
    pub(crate) fn notable(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// `text` as something good.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Whether text goes to a terminal that shows colours.
    pub(crate) fn is_colored(self) -> bool {
        self.color
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Findings with excerpts on a terminal, one a line elsewhere.
    pub(crate) fn diagnostics(self, findings: &Diagnostics) -> String {
        if self.format == Format::Github {
            return github::commands(&annotation::of(findings));
        }
        if self.terminal {
            return findings.render(self.color);
        }
        lines(&findings.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

/// Where a run's outcome goes.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints the outcome and gives its exit status.
    pub(crate) fn finish(&self, outcome: Result<Report, Stop>) -> ExitCode {
        let style = Style::of(&io::stderr(), self.format);
        let (status, text, aside, json) = match outcome {
            Ok(report) => (u8::from(report.findings), report.text, report.summary, report.json),
            Err(Stop::Refused(findings)) => {
                let count = findings.errors().count();
                let message = format!("{count} {} in the contracts", plural(count, "error"));
                let json = json!({"error": {
                    "kind": "invalid-contracts", "message": message, "findings": findings.to_json(),
                }});
                let aside = format!("{}: {message}", style.bad("error"));
                // Annotations are read from standard output.
                match self.format {
                    Format::Github => (1, style.diagnostics(&findings), aside, json),
                    Format::Sarif => (1, format!("{:#}\n", sarif::log(&annotation::of(&findings), &[])), aside, json),
                    Format::Text | Format::Json => {
                        (1, String::new(), format!("{}{aside}", style.diagnostics(&findings)), json)
                    }
                }
            }
            Err(Stop::Undecided(report)) => (3, report.text, report.summary, report.json),
            Err(Stop::Failed { kind, message }) => {
                let json = json!({"error": {"kind": kind, "message": message}});
                (2, String::new(), format!("{}: {}", style.bad("error"), escape_lines(&message)), json)
            }
        };
        let printed = match self.format {
            Format::Json if json.is_null() => Ok(()),
            Format::Json => print_json(&json),
            Format::Text | Format::Github | Format::Sarif => print(&text).inspect(|()| {
                // What standard error does not take can't be told of anywhere.
                let _ = if aside.is_empty() { Ok(()) } else { writeln!(io::stderr(), "{}", aside.trim_end()) };
            }),
        };
        match printed {
            // Whoever read has seen enough: `celerysalt list-events | head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(status),
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: can't write to standard output: {error}");
                ExitCode::from(2)
            }
            Ok(()) => ExitCode::from(status),
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn print_json(document: &Value) -> io::Result<()> {
    print(&format!("{document:#}\n"))
}

/// Prints what clap has to say about arguments, help and version among it.
pub(crate) fn refuse_arguments(error: &clap::Error) -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    // As in `finish`, a reader that is gone is no failure.
    let _ = if error.use_stderr() && json {
        let message = error.render().to_string();
        print_json(&json!({"error": {"kind": "arguments", "message": message.trim_end()}}))
    } else {
        error.print()
    };
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// `text` on one line, without anything that could drive a terminal: it may come from a registry.
pub(crate) fn escape(text: &str) -> String {
    let drives = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if drives(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// As [`escape`], keeping the lines.
pub(crate) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// Each line with its end.
pub(crate) fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Columns of equal width, two spaces apart, each row after `indent`.
pub(crate) fn table(indent: &str, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{indent}{}", cells.join("  ")).trim_end().to_owned()
    };
    lines(&rows.iter().map(line).collect::<Vec<_>>())
}

/// Adds the value that shows a break, and its digits as text where numbers of programs do not hold them.
pub(crate) fn write_witness(witness: Option<&Witness>, document: &mut Value) {
    let Some(members) = document.as_object_mut() else { return };
    members.insert("witness".to_owned(), witness.map_or(Value::Null, |witness| witness.value().clone()));
    if let Some(witness) = witness.filter(|witness| !witness.is_exact()) {
        members.insert("witness_text".to_owned(), witness.text().into());
    }
}

/// What every command tells programs of a change.
pub(crate) fn of_change(change: &Change) -> Value {
    let mut document = json!({
        "rule": change.rule,
        "level": change.level,
        "topic": change.topic,
        "version": change.version,
        "against": change.against,
        "message": change.message,
        "mend": change.mend,
    });
    write_witness(change.witness.as_ref(), &mut document);
    document
}

/// `word`, or more of it.
pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_drives_a_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb\u{9b}31m\r\n\u{202e}ü"), "a\\u{1b}[2Jb\\u{9b}31m\\r\\n\\u{202e}ü");
        assert_eq!(escape_lines("a\nb\tc"), "a\nb\\tc");
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table("  ", &[row(["größe", "x"]), row(["a", ""])]), "  größe  x\n  a\n");
    }
}
