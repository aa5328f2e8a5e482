//! What is wrong, where, and what to do about it.
//!
//! Every step of loading hands its findings on as [`Diagnostic`]s; a run reports all of them at once as
//! [`Diagnostics`]. Text that comes from files is escaped here, on the way out: a schema must not drive a terminal.
//!
//! | codes | about |
//! | --- | --- |
//! | `empty-catalog`, `file-system`, `unexpected-file` | the folder |
//! | `illegal-topic`, `illegal-version`, `duplicate-topic`, `duplicate-version` | names in it |
//! | `too-large`, `encoding`, `json-syntax`, `duplicate-key` | a file's text |
//! | `unknown-draft`, `meta-schema`, `invalid-pattern`, `schema-too-deep` | a schema for itself |
//! | `ref-missing-file`, `ref-missing-pointer`, `ref-outside`, `ref-remote`, `ref-other-draft`, `ref-loop`, `ref-explosion` | its references |
//! | `response-without-request`, `error-without-response`, `mode-conflict`, `unknown-setting`, `payload-not-object`, `no-title`, `no-description` | a contract |

use std::{
    fmt::{self, Write as _},
    path::PathBuf,
};

use serde_json::{Value, json};

/// The most characters of a source line that an excerpt shows.
const EXCERPT_WIDTH: usize = 120;

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Where it starts, in bytes from the start of the file.
    pub offset: usize,
    /// How long it is, in bytes.
    pub len: usize,
    /// The line it starts in.
    pub line: usize,
    /// The character of that line it starts at.
    pub column: usize,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Reported, and nothing more.
    Warning,
    /// Refused.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding. Printed as `path:line:column: code: message`, with `warning: ` before the code of a warning.
///
/// ```
/// use celerysalt_contract::Diagnostic;
///
/// let finding = Diagnostic::error("empty-catalog", "schemas", "there is no such folder");
/// assert_eq!(finding.to_string(), "schemas:1:1: empty-catalog: there is no such folder");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case id.
    pub code: &'static str,
    /// The file: the folder as given by the user, joined with the relative path.
    pub path: PathBuf,
    /// Where in the file; none for the file as a whole.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The source line at fault, for an excerpt.
    pub source_line: Option<String>,
}

impl Diagnostic {
    /// An error about a file as a whole; [`crate::Source::error`] makes one about a place in it.
    pub fn error(code: &'static str, path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            path: path.into(),
            span: None,
            message: message.into(),
            help: None,
            source_line: None,
        }
    }

    /// A warning about a file as a whole; [`crate::Source::warning`] makes one about a place in it.
    pub fn warning(code: &'static str, path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    /// The same finding, saying what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding as an object: `severity`, `code`, `path`, `line`, `column`, `offset`, `length`, `message`, `help`.
    pub fn to_json(&self) -> Value {
        let span = self.place();
        json!({
            "severity": self.severity.as_str(),
            "code": self.code,
            "path": self.path.to_string_lossy(),
            "line": span.line,
            "column": span.column,
            "offset": span.offset,
            "length": span.len,
            "message": self.message,
            "help": self.help,
        })
    }

    /// The finding for a terminal: its line, the source line with a caret under the place, and the help.
    pub fn render(&self, color: bool) -> String {
        let paint = |style: &str, text: &str| {
            if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let level = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        let place = self.place();
        let path = escape(&self.path.to_string_lossy());
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        let mut out = format!(
            "{}: {}: {}\n",
            paint("1", &format!("{path}:{}:{}", place.line, place.column)),
            paint(level, &format!("{warning}{}", self.code)),
            escape(&self.message)
        );
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        if let (Some(line), Some(span)) = (&self.source_line, self.span) {
            let (excerpt, before, width) = excerpt(line, &span);
            let bar = paint("1;34", "|");
            let caret = paint(level, &"^".repeat(width));
            let number = paint("1;34", &number);
            let _ =
                write!(out, "{gutter} {bar}\n{number} {bar} {excerpt}\n{gutter} {bar} {}{caret}\n", " ".repeat(before));
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{gutter} {} help: {}", paint("1;34", "="), escape(help));
        }
        out
    }

    /// The span, or the start of the file.
    fn place(&self) -> Span {
        self.span.unwrap_or(Span { offset: 0, len: 0, line: 1, column: 1 })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(
            f,
            "{}:{}:{}: {warning}{}: {}",
            escape(&self.path.to_string_lossy()),
            place.line,
            place.column,
            self.code,
            escape(&self.message)
        )
    }
}

/// All findings of a run. Printed as one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The findings; [`Diagnostics::sort`] orders them by path and place.
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No findings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding at the end.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Whether there is no finding at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The findings in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// The errors among them.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter().filter(|item| item.severity == Severity::Error)
    }

    /// The warnings among them.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter().filter(|item| item.severity == Severity::Warning)
    }

    /// Whether anything was refused.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Orders the findings by path, then place, and drops repeated ones.
    pub fn sort(&mut self) {
        let key = |item: &Diagnostic| {
            let place = item.place();
            (place.line, place.column, std::cmp::Reverse(item.severity), item.code)
        };
        self.items.sort_by(|a, b| {
            a.path.cmp(&b.path).then_with(|| key(a).cmp(&key(b))).then_with(|| a.message.cmp(&b.message))
        });
        self.items.dedup();
    }

    /// All findings for a terminal, with source excerpts; `color` turns ANSI colours on.
    pub fn render(&self, color: bool) -> String {
        let rendered: Vec<String> = self.items.iter().map(|item| item.render(color)).collect();
        rendered.join("\n")
    }

    /// All findings as an array of objects, see [`Diagnostic::to_json`].
    pub fn to_json(&self) -> Value {
        self.items.iter().map(Diagnostic::to_json).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                f.write_char('\n')?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// Whether a character could move the cursor, colour the terminal or reorder the text around it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text` with every character that a terminal could obey written as `\u{...}`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The part of `line` around `span` that fits, how many columns stand before the caret, and how wide the caret is.
fn excerpt(line: &str, span: &Span) -> (String, usize, usize) {
    // Each character with what is printed for it: a tab is one space, so that the caret stands right.
    let cells: Vec<String> =
        line.chars().map(|c| if c == '\t' { " ".to_owned() } else { escape(&c.to_string()) }).collect();
    let at = span.column.saturating_sub(1).min(cells.len());
    let mut marked = 0;
    let mut bytes = 0;
    for c in line.chars().skip(at) {
        if bytes >= span.len {
            break;
        }
        bytes += c.len_utf8();
        marked += 1;
    }
    let from = if cells.len() <= EXCERPT_WIDTH { 0 } else { at.saturating_sub(EXCERPT_WIDTH / 3) };
    let to = cells.len().min(from + EXCERPT_WIDTH);
    let width = |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).sum::<usize>();
    let (head, tail) = (if from > 0 { "..." } else { "" }, if to < cells.len() { "..." } else { "" });
    let before = head.len() + width(cells.get(from..at).unwrap_or_default());
    let caret = width(cells.get(at..(at + marked).min(to)).unwrap_or_default()).max(1);
    (format!("{head}{}{tail}", cells[from..to].concat()), before, caret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str, column: usize, len: usize) -> Diagnostic {
        Diagnostic {
            span: Some(Span { offset: 0, len, line: 12, column }),
            source_line: Some(line.to_owned()),
            ..Diagnostic::error("some-code", "schemas/a/v1.json", "broken").with_help("mend it")
        }
    }

    #[test]
    fn a_rendered_finding_has_its_line_an_excerpt_and_the_help() {
        assert_eq!(
            at("  \"type\": \"strin\"", 11, 7).render(false),
            "schemas/a/v1.json:12:11: some-code: broken\n   |\n12 |   \"type\": \"strin\"\n   |           ^^^^^^^\n   = help: mend it\n"
        );
    }

    #[test]
    fn text_from_files_drives_no_terminal() {
        let mut finding = at("\u{1b}[31m\t\"x\"", 7, 3);
        finding.message = "a\u{1b}[2Jb\nc\u{202e}d".to_owned();
        finding.path = "s\u{7}/v1.json".into();
        for text in [finding.render(false), finding.to_string()] {
            assert!(!text.chars().any(|c| is_unsafe(c) && c != '\n'), "{text:?}");
            assert!(text.starts_with(r"s\u{7}/v1.json:12:7: some-code: a\u{1b}[2Jb\nc\u{202e}d"), "{text}");
        }
        // The caret stands below the place although the escapes before it are wider than the characters.
        let rendered = finding.render(false);
        let lines: Vec<&str> = rendered.lines().collect();
        assert_eq!(lines[2].find("\"x\""), lines[3].find('^'), "{rendered}");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line = format!("{}\"here\"{}", "x".repeat(5000), "y".repeat(5000));
        let rendered = at(&line, 5001, 6).render(false);
        let lines: Vec<&str> = rendered.lines().collect();
        assert!(lines[2].len() < 140, "{rendered}");
        assert_eq!(lines[2].find("\"here\""), lines[3].find("^^^^^^"), "{rendered}");
    }

    #[test]
    fn places_outside_the_line_are_survived() {
        for (column, len) in [(0, 0), (1, 1000), (99, 5)] {
            assert!(at("äö", column, len).render(true).contains('^'));
        }
        assert!(at("", 1, 1).render(false).contains('^'));
    }

    #[test]
    fn sorted_by_path_and_place_without_repetition() {
        let mut all: Diagnostics = [at("x", 2, 1), at("x", 1, 1), at("x", 2, 1)].into_iter().collect();
        all.push(Diagnostic::warning("w", "a", "first"));
        all.sort();
        let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "a:1:1: warning: w: first",
                "schemas/a/v1.json:12:1: some-code: broken",
                "schemas/a/v1.json:12:2: some-code: broken"
            ]
        );
        assert!(all.has_errors() && all.errors().count() == 2 && all.warnings().count() == 1);
        assert_eq!(all.to_json()[1]["line"], 12);
    }
}
