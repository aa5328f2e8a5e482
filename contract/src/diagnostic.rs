//! What is wrong, where, and what to do. (stub)
use std::path::PathBuf;
/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span { /// byte offset
 pub offset: usize, /// bytes
 pub len: usize, /// line
 pub line: usize, /// column
 pub column: usize }
/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity { /// Reported.
 Warning, /// Refused.
 Error }
/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic { /// how bad
 pub severity: Severity, /// stable kebab-case id
 pub code: &'static str, /// the file, as given by the user joined with the relative path
 pub path: PathBuf, /// where in it
 pub span: Option<Span>, /// what
 pub message: String, /// what to do
 pub help: Option<String>, /// the source line at fault, for an excerpt
 pub source_line: Option<String> }
/// All findings of a run.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics { /// sorted by path and place
 pub items: Vec<Diagnostic> }
impl std::fmt::Display for Diagnostics { fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
impl std::error::Error for Diagnostics {}
