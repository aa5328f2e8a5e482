//! Whoever reads a text by [`Exact::guide`] gets through exactly where the schema accepts the text.
//!
//! `CELERYSALT_FUZZ_CASES` runs more schemas, `CELERYSALT_FUZZ_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod exact_random;

use std::env;

use celerysalt_contract::{
    Exact,
    exact::{
        guide::{Asked, Guide, Refused},
        scan,
    },
};
use exact_random::{Dice, document, fit, text, text_without_repeats};
use proptest::prelude::*;
use serde_json::json;

/// A reader that keeps nothing.
struct Walk<'t> {
    text: &'t [u8],
    guide: Guide<'t>,
}

impl Walk<'_> {
    /// Behind the value at `at`.
    fn value(&mut self, asked: Asked, at: usize, depth: usize) -> Result<usize, Refused> {
        let text = self.text;
        match text.get(at) {
            Some(b'{') => {
                let mut members = self.guide.object(asked, at, depth, &[])?;
                let mut here = scan::space(text, at + 1);
                if text.get(here) != Some(&b'}') {
                    loop {
                        let name = scan::string_at(text, here).ok_or(Refused)?;
                        let colon = scan::space(text, name.end + 1);
                        let place = scan::space(text, colon + 1);
                        let (asked, _) = self.guide.member(&mut members, name, place, depth + 1)?;
                        here = scan::space(text, self.value(asked, place, depth + 1)?);
                        if text.get(here) != Some(&b',') {
                            break;
                        }
                        here = scan::space(text, here + 1);
                    }
                }
                self.guide.end_of_object(&members)?;
                Ok(here + 1)
            }
            Some(b'[') => {
                let items = self.guide.array(asked, at, depth)?;
                let mut here = scan::space(text, at + 1);
                let mut count = 0;
                if text.get(here) != Some(&b']') {
                    loop {
                        here = scan::space(text, self.value(items.item(count), here, depth + 1)?);
                        count += 1;
                        if text.get(here) != Some(&b',') {
                            break;
                        }
                        here = scan::space(text, here + 1);
                    }
                }
                self.guide.end_of_array(&items, count)?;
                Ok(here + 1)
            }
            Some(b'"') => {
                let span = scan::string_at(text, at).ok_or(Refused)?;
                if !asked.is_nothing() {
                    self.guide.string(asked, at, span, depth)?;
                }
                Ok(span.end + 1)
            }
            Some(b't' | b'f' | b'n') => {
                let end = at + if text.get(at) == Some(&b'f') { 5 } else { 4 };
                if !asked.is_nothing() {
                    self.guide.value(asked, at, depth)?;
                }
                Ok(end)
            }
            _ => {
                let digits = scan::number(text, at).ok_or(Refused)?;
                if !asked.is_nothing() {
                    self.guide.number(asked, at, digits, depth)?;
                }
                Ok(digits.end)
            }
        }
    }
}

/// None for a schema that is the library's.
fn gets_through(exact: &Exact, text: &str) -> Option<bool> {
    let (guide, asked) = exact.guide(text)?;
    let mut walk = Walk { text: text.as_bytes(), guide };
    let start = scan::space(walk.text, 0);
    Some(walk.value(asked, start, 0).is_ok())
}

fn cases(usual: u32) -> ProptestConfig {
    let cases = env::var("CELERYSALT_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn dice(start: u64) -> Dice {
    Dice(start ^ env::var("CELERYSALT_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0))
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn what_gets_through_is_valid(start: u64) {
        let mut dice = dice(start);
        let schema = document(&mut dice);
        let Ok(exact) = Exact::new(&schema) else { return Ok(()) };
        for _ in 0..12 {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text(&mut dice, &value);
            if gets_through(&exact, &text) == Some(true) {
                prop_assert!(exact.accepts(text.as_bytes()), "{} {}", schema, text);
            }
        }
    }

    /// Only members of the same name and escapes in names may keep a valid text from getting through.
    #[test]
    fn what_is_valid_gets_through(start: u64) {
        let mut dice = dice(start);
        let schema = document(&mut dice);
        let Ok(exact) = Exact::new(&schema) else { return Ok(()) };
        for _ in 0..12 {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text_without_repeats(&mut dice, &value);
            if text.contains('\\') {
                continue;
            }
            if let Some(through) = gets_through(&exact, &text) {
                prop_assert_eq!(through, exact.accepts(text.as_bytes()), "{} {}", schema, text);
            }
        }
    }
}

#[test]
fn alternatives_that_a_property_tells_apart_are_read_in_one_sweep() {
    let one = |kind: &str, rest: serde_json::Value| json!({"type": "object", "required": ["kind", "n"], "properties": {"kind": {"const": kind}, "n": rest}});
    let schema =
        json!({"oneOf": [one("a", json!({"minimum": 3})), one("b", json!({"type": "string"})), {"type": "null"}]});
    let exact = Exact::new(&schema).unwrap();
    for (text, valid) in [
        (r#"{"n": 3, "kind": "a"}"#, true),
        (r#"{"n": 2, "kind": "a"}"#, false),
        (r#"{"kind": "b", "n": "x"}"#, true),
        (r#"{"kind": "b", "n": 5}"#, false),
        (r#"{"kind": "c", "n": 5}"#, false),
        (r#"{"n": 5}"#, false),
        (r#"{"kind": "b", "kind": "a", "n": 5}"#, true),
        (r#"{"kind": "a", "kind": "b", "n": 5}"#, false),
        (r#"{"k\u0069nd": "a", "n": 5}"#, true),
        (r#"{"kind": "\u0061", "n": 5}"#, true),
        (r#"{"kind": 1, "n": 5}"#, false),
        ("null", true),
        ("1", false),
    ] {
        assert_eq!(exact.accepts(text.as_bytes()), valid, "{text}");
        assert!(gets_through(&exact, text) != Some(true) || valid, "{text}");
    }
}
