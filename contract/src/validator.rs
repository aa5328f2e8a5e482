//! The verdict of a schema on a value.
//!
//! What comes back names the place and the rule, in the schema's words, and never the value: it may be logged.

use std::{collections::HashMap, fmt};

use jsonschema::{PatternOptions, ValidationOptions};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Draft, expansion,
    formats::{self, Formats},
    plain::is_plain,
    words,
};

/// The most violations that one value is told of.
const MAX_VIOLATIONS: usize = 100;
/// The deepest value that is looked at. JSON text that serde_json reads never gets there.
const MAX_DEPTH: usize = 128;
/// How often a pattern with look-around may try again before its text counts as not matching.
const BACKTRACK_LIMIT: usize = 100_000;

/// A schema that can't be compiled.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{pointer}: {message}")]
#[non_exhaustive]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    code: &'static str,
}

impl SchemaError {
    fn new(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), code }
    }

    /// The id of the finding that this is in a file: `meta-schema`, `schema-too-deep`, `ref-loop` and so on.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// One broken rule; never holds a value of the payload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// JSON pointer into the payload, empty for the root.
    pub pointer: String,
    /// The keyword of the schema.
    pub keyword: String,
    /// What was expected, such as `at most 10`.
    pub expected: String,
}

impl Violation {
    /// A broken rule; `expected` must not hold anything of the payload.
    pub fn new(pointer: impl Into<String>, keyword: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), keyword: keyword.into(), expected: expected.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer.escape_debug())?;
        }
        write!(f, "{}: expected {}", self.keyword, self.expected)
    }
}

/// All broken rules of a payload, printed as `/risk_score: maximum: expected at most 10; ...`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The violations by pointer, then keyword.
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// How many there are; at most 100 are told of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, which no failed validation gives.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl From<Vec<Violation>> for Violations {
    fn from(violations: Vec<Violation>) -> Self {
        Self(violations)
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// A compiled schema.
///
/// ```
/// use celerysalt_contract::Validator;
/// use serde_json::json;
///
/// let validator = Validator::new(&json!({"properties": {"risk_score": {"maximum": 10}}}))?;
/// let violations = validator.validate(&json!({"risk_score": 11})).unwrap_err();
/// assert_eq!(violations.to_string(), "/risk_score: maximum: expected at most 10");
/// # Ok::<(), celerysalt_contract::SchemaError>(())
/// ```
pub struct Validator {
    compiled: jsonschema::Validator,
    /// For the words of a violation.
    schema: Value,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Validator {
    /// Compiles a self-contained schema of the draft that its `$schema` names, 2020-12 without one.
    ///
    /// Formats are asserted as [`Formats::of`] the schema says. Patterns run in linear time; those that need look-around run under a bound.
    ///
    /// # Errors
    /// [`SchemaError`] for a schema that its draft's meta-schema refuses, an unknown `$schema`, a reference that does
    /// not resolve inside the schema (nothing is ever fetched), a pattern that is no regular expression, references
    /// that go round in a circle without looking at a part of the value, and more than 128 levels of nesting.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        let draft = bounded(schema)?;
        let compiled = compile(schema, draft).map_err(|error| {
            let pointer = error.instance_path().as_str().to_owned();
            SchemaError::new("meta-schema", pointer, words::cut(error.to_string()))
        })?;
        Ok(Self { compiled, schema: schema.clone() })
    }

    /// Checks a value against every rule.
    ///
    /// # Errors
    /// Every violation, up to 100 of them.
    pub fn validate(&self, value: &Value) -> Result<(), Violations> {
        if deeper_than(value, MAX_DEPTH) {
            return Err(Violations(vec![too_deep()]));
        }
        let mut violations: Vec<Violation> = self
            .compiled
            .iter_errors(value)
            .take(MAX_VIOLATIONS)
            .map(|error| Violation {
                pointer: error.instance_path().as_str().to_owned(),
                keyword: words::keyword(&error),
                expected: words::expected(&error, &self.schema),
            })
            .collect();
        violations.sort();
        violations.dedup();
        if violations.is_empty() { Ok(()) } else { Err(Violations(violations)) }
    }

    /// Whether the value keeps every rule: cheaper than [`Validator::validate`] when nobody asks why.
    pub fn is_valid(&self, value: &Value) -> bool {
        !deeper_than(value, MAX_DEPTH) && self.compiled.is_valid(value)
    }
}

/// Whether [`Validator::new`] takes a bundled schema whose files were each held against their meta-schema.
///
/// # Errors
/// As [`Validator::new`].
pub(crate) fn check_bundled(schema: &Value, patterns: &mut Patterns) -> Result<(), SchemaError> {
    let draft = bounded(schema)?;
    if is_plain(schema, draft, patterns) { Ok(()) } else { Validator::new(schema).map(drop) }
}

/// The draft of a schema that is not too much for one value.
fn bounded(schema: &Value) -> Result<Draft, SchemaError> {
    if deeper_than(schema, MAX_DEPTH) {
        let message = format!("the schema nests deeper than {MAX_DEPTH} levels");
        return Err(SchemaError::new("schema-too-deep", "", message));
    }
    let Some(draft) = Draft::of(schema) else {
        return Err(SchemaError::new("unknown-draft", "/$schema", "this is no known draft of JSON Schema"));
    };
    expansion::check(schema, draft)
        .map_err(|refusal| SchemaError::new(refusal.code, refusal.pointer, refusal.message))?;
    Ok(draft)
}

fn too_deep() -> Violation {
    Violation::new("", "depth", format!("at most {MAX_DEPTH} levels of nesting"))
}

fn compile(schema: &Value, draft: Draft) -> Result<jsonschema::Validator, jsonschema::ValidationError<'static>> {
    let formats = Formats::of(schema);
    let linear = base(draft, formats).with_pattern_options(PatternOptions::regex()).build(schema);
    linear.or_else(|_| {
        // Only a pattern can be the reason that the other engine does away with.
        let bounded = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT);
        base(draft, formats).with_pattern_options(bounded).build(schema)
    })
}

fn base(draft: Draft, formats: Formats) -> ValidationOptions<'static> {
    formats::asserted(jsonschema::options().with_draft(draft.engine()).offline(), formats, draft)
}

/// What was found of patterns: contracts repeat theirs, and compiling one takes longer than all else that is asked of it.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    is_linear: HashMap<String, bool>,
}

impl Patterns {
    /// Whether a pattern is one that the validator can run.
    pub(crate) fn is_pattern(&mut self, pattern: &str) -> bool {
        // Nearly all are ones of the linear engine, and a whole validator costs twenty times as much.
        self.is_linear(pattern) || compile(&serde_json::json!({ "pattern": pattern }), Draft::Draft202012).is_ok()
    }

    /// Whether a pattern is one of the linear engine.
    pub(crate) fn is_linear(&mut self, pattern: &str) -> bool {
        if let Some(is) = self.is_linear.get(pattern) {
            return *is;
        }
        let is = jsonschema_regex::to_rust_regex(pattern).is_ok_and(|rust| regex::Regex::new(&rust).is_ok());
        self.is_linear.insert(pattern.to_owned(), is);
        is
    }
}

/// Without recursion: the value may be made to overflow the stack.
fn deeper_than(value: &Value, limit: usize) -> bool {
    let mut level = vec![value];
    for _ in 0..limit {
        level = level
            .iter()
            .flat_map(|value| {
                let (items, members) = (value.as_array(), value.as_object());
                items.into_iter().flatten().chain(members.into_iter().flat_map(|members| members.values()))
            })
            .filter(|value| value.is_array() || value.is_object())
            .collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}
