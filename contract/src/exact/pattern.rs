//! A pattern, by the cheapest means that decide it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema_regex::{PatternAnalysis, analyze_pattern, to_rust_regex};
use regex::Regex;
use serde_json::{Value, json};

use super::{canon, scan::Span, states::States};
use crate::Validator;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    Prefix(Box<str>),
    Exact(Box<str>),
    OneOf(Vec<Box<str>>),
    /// A small table of states, one look-up a byte.
    States(Box<States>),
    Linear(Regex),
    /// Look-around and back-references: the library runs them, under its bound.
    Library(Box<Validator>),
}

impl Pattern {
    /// None for what is no pattern at all.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        match analyze_pattern(pattern) {
            Some(PatternAnalysis::Prefix(prefix)) => return Some(Self::Prefix(prefix.as_ref().into())),
            Some(PatternAnalysis::Exact(exact)) => return Some(Self::Exact(exact.as_ref().into())),
            Some(PatternAnalysis::Alternation(all)) => {
                return Some(Self::OneOf(all.iter().map(|one| one.as_str().into()).collect()));
            }
            _ => {}
        }
        let translated = to_rust_regex(pattern).ok();
        if let Some(states) = translated.as_deref().and_then(States::new) {
            return Some(Self::States(Box::new(states)));
        }
        let linear = translated.and_then(|translated| Regex::new(&translated).ok());
        match linear {
            Some(linear) => Some(Self::Linear(linear)),
            None => Some(Self::Library(Box::new(Validator::new(&json!({ "pattern": pattern })).ok()?))),
        }
    }

    /// Whether it is found in a string of the text.
    #[inline]
    pub(super) fn matches_string(&self, text: &str, span: Span) -> bool {
        if let (Self::States(states), false) = (self, span.escaped) {
            return text.as_bytes().get(span.start..span.end).is_some_and(|raw| states.matches(raw));
        }
        self.matches(&canon::plain(text, span))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Exact(exact) => *text == **exact,
            Self::OneOf(all) => all.iter().any(|one| **one == *text),
            Self::States(states) => states.matches(text.as_bytes()),
            // The engine is known to panic on some patterns (rust-lang/regex#1344). The library, which takes such a
            // text for one that does not match, is followed.
            Self::Linear(regex) => catch_unwind(AssertUnwindSafe(|| regex.is_match(text))).unwrap_or(false),
            Self::Library(validator) => validator.is_valid(&Value::from(text)),
        }
    }

    pub(super) fn is_library(&self) -> bool {
        matches!(self, Self::Library(_))
    }
}
