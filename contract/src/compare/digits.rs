//! Numbers with more digits than JSON values hold here: `0.10000000000000001` is read as `0.1`, and is more.
//!
//! They are read from the text a second time and kept by their place, so that no bound is rounded before it is compared.

use std::{collections::BTreeMap, fmt::Write as _};

use jsonc_parser::{CollectOptions, ParseOptions, ast, parse_to_ast};
use num_rational::BigRational;
use serde_json::{Number, Value};

use super::exact::{Exact, Quantity, decimal, rational};
use crate::{Document, source::escape};

/// The numbers of a schema's text that its [`Value`] has rounded, by JSON pointer.
///
/// ```
/// use celerysalt_contract::compare::Digits;
///
/// assert!(Digits::of_text(r#"{"minimum": 0.1, "maximum": 1e400}"#).is_empty());
/// assert!(!Digits::of_text(r#"{"minimum": 0.10000000000000001}"#).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digits(BTreeMap<String, BigRational>);

impl Digits {
    /// Those of a JSON text; none of a text that is no JSON.
    pub fn of_text(text: &str) -> Self {
        let mut digits = Self::default();
        // Most texts have no number that is long enough: each of those that have is read again.
        if has_long_number(text)
            && let Ok(parsed) = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default())
            && let Some(value) = parsed.value
        {
            digits.collect(&value, &mut String::new());
        }
        digits
    }

    /// Those of a contract's document, from all the files that it was made of.
    pub fn of_document(document: &Document) -> Self {
        let mut digits = Self::of_text(document.source.text());
        for (at, source, pointer) in document.origins() {
            for (place, number) in Self::of_text(source.text()).0 {
                if let Some(rest) = place.strip_prefix(pointer).filter(|rest| rest.starts_with('/')) {
                    digits.0.insert(format!("{at}{rest}"), number);
                }
            }
        }
        digits
    }

    /// Whether every number is what the value says.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places of both whose numbers differ.
    pub(super) fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let places = self.0.keys().chain(other.0.keys().filter(|place| !self.0.contains_key(*place)));
        places.filter(|place| self.0.get(*place) != other.0.get(*place)).map(String::as_str)
    }

    /// The number at a place.
    pub(super) fn number(&self, pointer: &str, rounded: &Number) -> Option<BigRational> {
        self.0.get(pointer).cloned().or_else(|| rational(rounded))
    }

    /// The value at a place. As deep as it nests.
    pub(super) fn value(&self, pointer: &str, rounded: &Value) -> Option<Exact> {
        if self.0.is_empty() {
            return Exact::of(rounded);
        }
        Some(match rounded {
            Value::Number(number) => {
                Exact::Number(Quantity { exact: self.number(pointer, number)?, dotted: number.is_f64() })
            }
            Value::Array(items) => Exact::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.value(&format!("{pointer}/{at}"), item))
                    .collect::<Option<_>>()?,
            ),
            Value::Object(members) => Exact::Object(
                members
                    .iter()
                    .map(|(key, member)| {
                        Some((key.clone(), self.value(&format!("{pointer}/{}", escape(key)), member)?))
                    })
                    .collect::<Option<_>>()?,
            ),
            other => return Exact::of(other),
        })
    }

    fn collect(&mut self, value: &ast::Value<'_>, pointer: &mut String) {
        let before = pointer.len();
        match value {
            ast::Value::NumberLit(literal) => {
                let written = decimal(literal.value);
                let read = serde_json::from_str::<Number>(literal.value).ok().and_then(|number| rational(&number));
                if let (Some(written), Some(read)) = (written, read)
                    && written != read
                {
                    self.0.insert(pointer.clone(), written);
                }
            }
            ast::Value::Array(array) => {
                for (at, element) in array.elements.iter().enumerate() {
                    let _ = write!(pointer, "/{at}");
                    self.collect(element, pointer);
                    pointer.truncate(before);
                }
            }
            ast::Value::Object(object) => {
                for property in &object.properties {
                    pointer.push('/');
                    pointer.push_str(&escape(property.name.as_str()));
                    self.collect(&property.value, pointer);
                    pointer.truncate(before);
                }
            }
            _ => {}
        }
    }
}

/// Whether some number has 16 characters or more: every shorter one is told apart from its neighbours.
fn has_long_number(text: &str) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        run = if byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-') { run + 1 } else { 0 };
        run >= 16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rounded_numbers_are_kept_and_by_their_place() {
        let digits = Digits::of_text(
            r#"{"a/b": [1, 0.1, 100.00000000000000001], "b": 12345678901234567890123, "c": 9007199254740993, "d": "100.00000000000000001"}"#,
        );
        assert_eq!(digits.0.keys().collect::<Vec<_>>(), ["/a~1b/2", "/b"]);
        assert_eq!(digits.0["/b"], BigRational::from_integer(12_345_678_901_234_567_890_123_i128.into()));
        let rounded = serde_json::json!([1, 0.1, 100.0]);
        assert_ne!(digits.value("/a~1b", &rounded), Exact::of(&rounded));
        assert_eq!(digits.value("/other", &rounded), Exact::of(&rounded));
        for odd in ["", "{", "1e99999999999999999999", "[1e-400000000000000]"] {
            assert!(Digits::of_text(odd).is_empty(), "{odd}");
        }
    }
}
