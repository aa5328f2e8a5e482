//! A file's text, and where in it a JSON pointer stands. (stub)
use std::path::{Path, PathBuf};
use crate::Span;
/// A file's text with spans.
#[derive(Clone, Debug)]
pub struct Source { path: PathBuf, text: String }
impl Source {
    /// The path relative to the folder.
    pub fn path(&self) -> &Path { &self.path }
    /// The text.
    pub fn text(&self) -> &str { &self.text }
    /// The span of the value at `pointer` (of the longest existing prefix when absent).
    pub fn span_of(&self, _pointer: &str) -> Span { let _ = &self.text; Span::default() }
    /// The span of the key of the member at `pointer`.
    pub fn key_span_of(&self, _pointer: &str) -> Span { Span::default() }
}
