//! The exact checker: a schema is compiled once, and run over the bytes of a JSON text in one sweep.
//!
//! No tree is built. Each sub-schema is a node that knows the cheapest way to decide each kind of value; references are
//! numbers; branches read the same bytes again. Numbers are compared as the digits that they are written with, so
//! that no bound, constant or step is missed by the rounding of a float, and `1e999999999` is no work.
//!
//! What can't be compiled is handed to the library behind [`Validator`], in the smallest part that decides it:
//! [`Exact::explain`] says which and why.

mod bits;
mod canon;
mod compile;
mod containers;
mod decimal;
mod fault;
pub mod guide;
mod keywords;
mod merge;
mod node;
mod pattern;
mod run;
pub mod scan;
mod shortcut;
mod slots;
mod states;
mod table;
mod tagged;

use std::thread;

use serde_json::Value;

use self::{
    node::Program,
    run::{FEW_FRAMES, Run},
    scan::Form,
};
use crate::{Draft, SchemaError, Validator, Violation, Violations};

/// The stack of the thread that takes over where schemas nest too deep for the one at hand. Only what is used of it is
/// ever there.
const LARGE_STACK: usize = 256 << 20;

/// A schema compiled to run over the bytes of a JSON text.
///
/// Its verdict is that of [`Validator`] on the parsed text, with two differences, in which it follows the standard:
/// numbers are exact however long they are, and 128 levels of nesting are read where the parser stops at 127. Of
/// properties of the same name the last one counts, as in the parsers of Rust and Python.
///
/// ```
/// use celerysalt_contract::Exact;
/// use serde_json::json;
///
/// let exact = Exact::new(&json!({"properties": {"risk_score": {"maximum": 10}}}))?;
/// assert!(exact.accepts(br#"{"risk_score": 1e1}"#));
/// let violations = exact.check(br#"{"risk_score": 10.00000000000000000001}"#).unwrap_err();
/// assert_eq!(violations.to_string(), "/risk_score: maximum: expected at most 10");
/// # Ok::<(), celerysalt_contract::SchemaError>(())
/// ```
#[derive(Debug)]
pub struct Exact {
    how: How,
    explained: Vec<Explained>,
}

#[derive(Debug)]
enum How {
    Compiled(Box<Program>),
    Library(Box<Validator>),
}

/// How one sub-schema is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Way {
    /// By checks of its own, over the bytes.
    Compiled,
    /// By the library, over a tree of the value: the value of all of the schema, or of the part that the reason names.
    Library,
}

/// How one sub-schema is checked, and why so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// JSON pointer of the sub-schema in the schema, empty for the root.
    pub pointer: String,
    /// How it is checked.
    pub way: Way,
    /// Why.
    pub why: &'static str,
}

impl Exact {
    /// Compiles a self-contained schema of the draft that its `$schema` names, 2020-12 without one.
    ///
    /// Formats are asserted as [`Formats::of`](crate::Formats::of) the schema says. Patterns run in linear time; those that need look-around run under a bound.
    ///
    /// # Errors
    /// [`SchemaError`] for what [`Validator::new`] refuses.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        // It holds the schema against its meta-schema, and refuses references that never end.
        let validator = Validator::new(schema)?;
        let draft = Draft::of(schema).unwrap_or(Draft::Draft202012);
        Ok(match compile::compile(schema, draft) {
            Ok((program, explained)) => Self { how: How::Compiled(Box::new(program)), explained },
            Err(why) => {
                let explained = vec![Explained { pointer: String::new(), way: Way::Library, why }];
                Self { how: How::Library(Box::new(validator)), explained }
            }
        })
    }

    /// Whether `json` is one JSON text that keeps every rule. Text that is no JSON is not accepted.
    ///
    /// This is the fast question: nothing is allocated for a text that is accepted, unless the schema has `uniqueItems`
    /// or a constant that is an array or object, or the text has escapes in names.
    pub fn accepts(&self, json: &[u8]) -> bool {
        match &self.how {
            How::Compiled(program) => str::from_utf8(json).is_ok_and(|text| accepts(program, text)),
            How::Library(validator) => serde_json::from_slice(json).is_ok_and(|value| validator.is_valid(&value)),
        }
    }

    /// Checks one JSON text against every rule.
    ///
    /// # Errors
    /// Every violation, up to 100 of them, in the words of [`Validator::validate`]. A text that is no JSON has the one
    /// violation `json`, and one that nests deeper than 128 levels the one violation `depth`.
    pub fn check(&self, json: &[u8]) -> Result<(), Violations> {
        if self.accepts(json) {
            return Ok(());
        }
        let alone = |keyword: &str, expected: &str| Err(vec![Violation::new("", keyword, expected)].into());
        let Ok(text) = str::from_utf8(json) else { return alone("json", "one JSON text in UTF-8") };
        match scan::form(text.as_bytes()) {
            Form::Broken => return alone("json", "one JSON text in UTF-8"),
            Form::TooDeep => return alone("depth", "at most 128 levels of nesting"),
            Form::Json => {}
        }
        let violations = match &self.how {
            How::Compiled(program) => violations(program, text),
            How::Library(validator) => match serde_json::from_str(text) {
                Ok(value) => return validator.validate(&value),
                Err(_) => return alone("json", "numbers that fit 64 bits, and less than 128 levels of nesting"),
            },
        };
        if violations.is_empty() { alone("schema", "a value that the schema allows") } else { Err(violations.into()) }
    }

    /// How each sub-schema that can be reached is checked, by pointer: compiled to checks over the bytes, or handed to
    /// the library. A sub-schema of which one keyword is handed over is listed with that reason.
    ///
    /// ```
    /// use celerysalt_contract::{Exact, Way};
    /// use serde_json::json;
    ///
    /// let exact = Exact::new(&json!({"properties": {"sku": {"pattern": "^(?!X)"}}}))?;
    /// let ways: Vec<_> = exact.explain().into_iter().map(|one| (one.pointer, one.way)).collect();
    /// assert_eq!(ways, [("".to_owned(), Way::Compiled), ("/properties/sku".to_owned(), Way::Library)]);
    /// # Ok::<(), celerysalt_contract::SchemaError>(())
    /// ```
    pub fn explain(&self) -> Vec<Explained> {
        self.explained.clone()
    }
}

fn accepts(program: &Program, text: &str) -> bool {
    let mut run = Run::<false>::new(program, text, FEW_FRAMES);
    let passes = run.whole();
    if run.overflow {
        return with_large_stack(|| accepts_slowly(program, text, usize::MAX)).unwrap_or(false);
    }
    if passes && !run.doubted {
        return true;
    }
    accepts_slowly(program, text, FEW_FRAMES)
}

/// The same where members of the same name may matter: without them.
fn accepts_slowly(program: &Program, text: &str, frames: usize) -> bool {
    if scan::form(text.as_bytes()) != Form::Json {
        return false;
    }
    let clean = canon::without_repeats(text);
    let text = clean.as_deref().unwrap_or(text);
    let mut run = Run::<false>::new(program, text, frames);
    let passes = run.whole();
    if run.overflow {
        return with_large_stack(|| accepts_slowly(program, text, usize::MAX)).unwrap_or(false);
    }
    passes
}

/// What a JSON text breaks.
fn violations(program: &Program, text: &str) -> Vec<Violation> {
    let clean = canon::without_repeats(text);
    let text = clean.as_deref().unwrap_or(text);
    let told = |frames| {
        let mut run = Run::<true>::new(program, text, frames);
        run.whole();
        (run.violations(), run.overflow)
    };
    match told(FEW_FRAMES) {
        (_, true) => with_large_stack(|| told(usize::MAX).0).unwrap_or_default(),
        (violations, false) => violations,
    }
}

/// None where the system has no room for a further thread.
fn with_large_stack<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(LARGE_STACK).spawn_scoped(scope, act).ok()?;
        thread.join().ok()
    })
}
