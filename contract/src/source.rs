//! A file's text, its value, and where in the text a JSON pointer stands.
//!
//! `serde_json` alone decides what is legal JSON; `jsonc-parser`, with every extension switched off, only says where
//! the values of a legal text are, and is asked when something is to be said of one.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged, parse_to_ast};
use serde_json::Value;

use crate::{Diagnostic, Span};

/// The largest file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The longest line that a finding carries along for its excerpt: many findings may stand in one line.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// The most duplicate keys that one file is told of.
const MAX_DUPLICATES: usize = 100;

/// A file's text with spans.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    shown: PathBuf,
    text: String,
    value: Value,
    lines: Vec<usize>,
    /// Made when it is first asked for: most files have nothing that is to be pointed at.
    root: OnceLock<Option<Node>>,
}

/// A value's place in the text, and those of what it holds.
#[derive(Clone, Debug)]
struct Node {
    start: usize,
    end: usize,
    children: Children,
}

#[derive(Clone, Debug)]
enum Children {
    None,
    Items(Vec<Node>),
    /// Key, place of the key, value.
    Members(Vec<(String, (usize, usize), Node)>),
}

impl Source {
    /// Takes the bytes of a file; `root` is the folder as the user wrote it and `path` is relative to it.
    ///
    /// # Errors
    /// Findings, in the order of the text: `too-large`, `encoding` (no UTF-8, or a byte order mark, which JSON
    /// forbids), `json-syntax` (also more than 127 levels of nesting), `duplicate-key` (each of them).
    pub fn parse(root: &Path, path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, Vec<Diagnostic>> {
        let path = path.into();
        let shown = root.join(&path);
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(vec![too_large(shown)]);
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                return Err(vec![Self::bare(path, shown, text).refuse(
                    "encoding",
                    valid,
                    "this byte is not UTF-8",
                    Some("save the file as UTF-8"),
                )]);
            }
        };
        if text.starts_with('\u{feff}') {
            return Err(vec![Self::bare(path, shown, text).refuse(
                "encoding",
                0,
                "the file starts with a byte order mark, which JSON does not allow",
                Some("save the file as UTF-8 without a byte order mark"),
            )]);
        }
        let mut source = Self::bare(path, shown, text);
        match serde_json::from_str(&source.text) {
            Ok(value) => source.value = value,
            Err(error) => return Err(vec![source.syntax_error(&error)]),
        }
        let repeats = members_kept(&source.value) < members_written(&source.text);
        if repeats { Err(source.duplicates()) } else { Ok(source) }
    }

    /// The path relative to the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path for people: the folder as they wrote it, joined with the relative path.
    pub fn shown_path(&self) -> &Path {
        &self.shown
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of the text, references as written.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The span of the value at `pointer` (of the longest existing prefix when absent).
    pub fn span_of(&self, pointer: &str) -> Span {
        match self.walk(pointer) {
            Some((node, _)) => self.span(node.start, node.end),
            None => self.span(0, self.text.len()),
        }
    }

    /// The span of the key of the member at `pointer`; of the value where there is no key (items, the root).
    pub fn key_span_of(&self, pointer: &str) -> Span {
        match self.walk(pointer) {
            Some((_, Some((start, end)))) => self.span(start, end),
            _ => self.span_of(pointer),
        }
    }

    /// The span of the first character, for findings about the file as a whole.
    pub fn start(&self) -> Span {
        let first = self.span(0, 0);
        Span { len: self.text.chars().next().map_or(0, char::len_utf8), ..first }
    }

    /// The same text, read as another value, of which every part that is in the text stands there.
    pub(crate) fn with_value(self, value: Value) -> Self {
        Self { value, ..self }
    }

    /// The span of the value at `pointer`, or of the first character when there is none.
    pub(crate) fn span_or_start(&self, pointer: &str) -> Span {
        let exists = !pointer.is_empty() && self.value.pointer(pointer).is_some();
        if exists { self.span_of(pointer) } else { self.start() }
    }

    /// An error at a place of this file; take the place from [`Source::span_of`] or [`Source::key_span_of`].
    pub fn error(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let line = self.line(span.line);
        Diagnostic {
            span: Some(span),
            source_line: (line.len() <= MAX_LINE_BYTES).then(|| line.to_owned()),
            ..Diagnostic::error(code, &self.shown, message)
        }
    }

    /// A warning at a place of this file.
    pub fn warning(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: crate::Severity::Warning, ..self.error(code, span, message) }
    }

    /// A source that knows its lines and nothing of their meaning.
    fn bare(path: PathBuf, shown: PathBuf, text: String) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        Self { path, shown, text, value: Value::Null, lines, root: OnceLock::new() }
    }

    fn refuse(&self, code: &'static str, offset: usize, message: &str, help: Option<&str>) -> Diagnostic {
        let diagnostic = self.error(code, self.span(offset, offset + 1), message);
        match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        }
    }

    /// serde_json's verdict at its own place: it counts columns in bytes, and from 0 at a line's end.
    fn syntax_error(&self, error: &serde_json::Error) -> Diagnostic {
        let start = self.lines.get(error.line().saturating_sub(1)).copied().unwrap_or(0);
        let offset = if error.is_eof() {
            // The last thing that is there, not the empty line behind it.
            self.text.trim_end().char_indices().next_back().map_or(0, |(last, _)| last)
        } else {
            (start + error.column().saturating_sub(1)).min(self.text.len())
        };
        let full = error.to_string();
        let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
        let help = match message {
            "trailing comma" => Some("remove the comma before the closing bracket"),
            "recursion limit exceeded" => Some("a schema may nest at most 127 levels; move parts into `$defs`"),
            "key must be a string" => Some("keys stand in double quotes; JSON has no comments"),
            _ => None,
        };
        self.refuse("json-syntax", offset, message, help)
    }

    /// Where every value stands, and the keys that an object has twice.
    fn locate(&self) -> (Option<Node>, Vec<Duplicate>) {
        let options = ParseOptions {
            allow_comments: false,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let mut duplicates = Vec::new();
        let root = match parse_to_ast(&self.text, &CollectOptions::default(), &options) {
            Ok(result) => result.value.map(|value| Node::from_ast(value, &mut duplicates)),
            // Legal JSON all the same: serde_json has read it. Only the places are lost.
            Err(_) => None,
        };
        (root, duplicates)
    }

    fn duplicates(&self) -> Vec<Diagnostic> {
        let (_, duplicates) = self.locate();
        if duplicates.is_empty() {
            // Never without a word.
            return vec![self.error("duplicate-key", self.start(), "a key stands in one object twice")];
        }
        duplicates
            .into_iter()
            .take(MAX_DUPLICATES)
            .map(|(key, start, end, first)| {
                let line = self.span(first, first).line;
                self.error(
                    "duplicate-key",
                    self.span(start, end),
                    format!("the key {key:?} stands in this object twice, first in line {line}"),
                )
                .with_help("keep one of the two: readers disagree on which of them counts")
            })
            .collect()
    }

    /// The node at `pointer` or at its longest existing prefix, and where its key stands.
    fn walk(&self, pointer: &str) -> Option<(&Node, Option<(usize, usize)>)> {
        let mut found = (self.root.get_or_init(|| self.locate().0).as_ref()?, None);
        for token in pointer.split('/').skip(1) {
            let next = match &found.0.children {
                Children::None => None,
                Children::Items(items) => {
                    token.parse::<usize>().ok().and_then(|i| items.get(i)).map(|node| (node, None))
                }
                Children::Members(members) => {
                    let key = unescape(token);
                    members.iter().find(|(k, ..)| *k == key).map(|(_, range, node)| (node, Some(*range)))
                }
            };
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        Some(found)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let mut offset = start.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.lines.partition_point(|first| *first <= offset).max(1);
        let first = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(first..offset).map_or(0, |before| before.chars().count()) + 1;
        let mut end = end.min(self.text.len()).max(offset);
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Span { offset, len: end - offset, line, column }
    }

    /// The text of a line, counted from 1.
    fn line(&self, number: usize) -> &str {
        let start = self.lines.get(number.saturating_sub(1)).copied().unwrap_or(0);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("")
    }
}

/// How many members the objects of a legal text have: each has a colon that stands in no string.
fn members_written(text: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// How many members a value has, in all its objects: fewer than were written where a key stood twice. As deep as it nests.
fn members_kept(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members_kept).sum(),
        Value::Object(members) => members.len() + members.values().map(members_kept).sum::<usize>(),
        _ => 0,
    }
}

/// The finding about a file over the limit.
pub(crate) fn too_large(shown: PathBuf) -> Diagnostic {
    Diagnostic::error("too-large", shown, format!("the file has more than {} MiB", MAX_FILE_BYTES / (1024 * 1024)))
}

/// A token of a JSON pointer as the key it stands for.
pub(crate) fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') { Cow::Owned(token.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(token) }
}

/// A key as a token of a JSON pointer.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { Cow::Owned(key.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(key) }
}

/// A key that an object has again: key, its start and end, and the start of the first one.
type Duplicate = (String, usize, usize, usize);

impl Node {
    /// As deep as the text nests, which serde_json has limited by then.
    fn from_ast(value: ast::Value<'_>, duplicates: &mut Vec<Duplicate>) -> Self {
        let (start, end) = (value.start(), value.end());
        let children = match value {
            ast::Value::Array(array) => {
                Children::Items(array.elements.into_iter().map(|v| Self::from_ast(v, duplicates)).collect())
            }
            ast::Value::Object(object) => {
                let mut seen: HashMap<String, usize> = HashMap::with_capacity(object.properties.len());
                let mut members = Vec::with_capacity(object.properties.len());
                for property in object.properties {
                    let (from, to) = (property.name.start(), property.name.end());
                    let key = property.name.into_string();
                    if let Some(first) = seen.get(&key) {
                        duplicates.push((key.clone(), from, to, *first));
                    } else {
                        seen.insert(key.clone(), from);
                    }
                    members.push((key, (from, to), Self::from_ast(property.value, duplicates)));
                }
                Children::Members(members)
            }
            _ => Children::None,
        };
        Self { start, end, children }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, Vec<Diagnostic>> {
        Source::parse(Path::new("schemas"), "a/v1.json", text.as_bytes().to_vec())
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn pointers_find_values_and_keys() {
        let source = parse("{\n  \"ä\": \"é\", \"a/b~c\": [1, {\"x\": true}]\n}").unwrap();
        let place = |span: Span| (span.line, span.column, &source.text()[span.offset..span.offset + span.len]);
        assert_eq!(place(source.span_of("/ä")), (2, 8, "\"é\""));
        assert_eq!(place(source.key_span_of("/a~1b~0c")), (2, 13, "\"a/b~c\""));
        assert_eq!(place(source.span_of("/a~1b~0c/1/x")), (2, 32, "true"));
        assert_eq!(place(source.key_span_of("/a~1b~0c/1/x")), (2, 27, "\"x\""));
        assert_eq!(place(source.span_of("/a~1b~0c/0/no/where")), (2, 23, "1"));
        assert_eq!(source.span_of("").line, 1);
    }

    #[test]
    fn serde_json_decides_and_says_where() {
        assert_eq!(refusal("{\n  \"ä\": 1,\n}"), "schemas/a/v1.json:3:1: json-syntax: trailing comma");
        assert_eq!(refusal("{\"ä\": tru}"), "schemas/a/v1.json:1:10: json-syntax: expected ident");
        assert_eq!(refusal(""), "schemas/a/v1.json:1:1: json-syntax: EOF while parsing a value");
        for extension in ["{/**/}", "[1,]", "{a:1}", "['a']", "[0xF]", "[+1]", "[.5]", "[NaN]", "[1 2]", r#"["\x41"]"#]
        {
            assert!(refusal(extension).contains("json-syntax"), "{extension}");
        }
        assert!(refusal(&"[".repeat(100_000)).contains("recursion limit exceeded"));
        assert!(parse(&format!("{}{}", "[".repeat(127), "]".repeat(127))).is_ok());
    }

    #[test]
    fn every_duplicate_key_is_found() {
        assert_eq!(
            refusal("{\"a\": 1,\n \"b\": {\"x\": 1, \"\\u0078\": 2},\n \"a\": 2}"),
            "schemas/a/v1.json:2:16: duplicate-key: the key \"x\" stands in this object twice, first in line 2\n\
             schemas/a/v1.json:3:2: duplicate-key: the key \"a\" stands in this object twice, first in line 1"
        );
    }

    #[test]
    fn other_encodings_are_refused() {
        assert!(
            refusal("\u{feff}{}").starts_with("schemas/a/v1.json:1:1: encoding: the file starts with a byte order")
        );
        let latin1 = Source::parse(Path::new("s"), "v1.json", b"{\n \"\xe4\": 1}".to_vec()).unwrap_err();
        assert_eq!(latin1[0].to_string(), "s/v1.json:2:3: encoding: this byte is not UTF-8");
        let large = Source::parse(Path::new("s"), "v1.json", vec![b' '; 8 * 1024 * 1024 + 1]).unwrap_err();
        assert_eq!(large[0].code, "too-large");
    }
}
