//! Whoever reads a text by [`Exact::guide`] gets through exactly where the schema accepts the text.
//!
//! `CELERYSALT_FUZZ_CASES` runs more schemas, `CELERYSALT_FUZZ_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod exact_random;

use std::{
    collections::BTreeSet,
    env,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use celerysalt_contract::{
    Exact,
    exact::{
        guide::{Asked, Expected, Guide, Items, Known, Members, Refused, kind},
        scan,
    },
};
use exact_random::{Dice, document, fit, text, text_without_repeats};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A reader that keeps nothing.
struct Walk<'t> {
    text: &'t [u8],
    guide: Guide<'t>,
    /// What it knows of names.
    names: &'static [&'static str],
    /// Members that came as they were expected.
    expected: usize,
}

impl Walk<'_> {
    /// Behind the value at `at`.
    fn value(&mut self, asked: Asked, at: usize, depth: usize) -> Result<usize, Refused> {
        let text = self.text;
        match text.get(at) {
            Some(b'{') => {
                let mut members = Members::default();
                if !asked.takes(kind::OBJECT) {
                    self.guide.object(asked, at, depth, self.names, &mut members)?;
                }
                let mut here = scan::space(text, at + 1);
                if text.get(here) != Some(&b'}') {
                    loop {
                        let name = scan::string_at(text, here).ok_or(Refused)?;
                        let colon = scan::space(text, name.end + 1);
                        let mut place = scan::space(text, colon + 1);
                        let asked = if let Some(Expected { end, asked, place: index }) = members.expected(text, here) {
                            self.expected += 1;
                            assert_eq!(self.names[index].as_bytes(), &text[name.start..name.end]);
                            place = scan::space(text, end);
                            asked
                        } else {
                            let (asked, known) = self.guide.member(&mut members, name, place, depth + 1)?;
                            if let Known::At(index) = known
                                && !name.escaped
                            {
                                assert_eq!(self.names[index].as_bytes(), &text[name.start..name.end]);
                            }
                            asked
                        };
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
                let items =
                    if asked.takes(kind::ARRAY) { Items::default() } else { self.guide.array(asked, at, depth)? };
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
                if !asked.takes(kind::STRING) {
                    self.guide.string(asked, at, span, depth)?;
                }
                Ok(span.end + 1)
            }
            Some(word @ (b't' | b'f' | b'n')) => {
                if !asked.takes(if *word == b'n' { kind::NULL } else { kind::BOOLEAN }) {
                    self.guide.word(asked, at, depth)?;
                }
                Ok(at + if *word == b'f' { 5 } else { 4 })
            }
            _ => {
                let digits = scan::number(text, at).ok_or(Refused)?;
                if !asked.takes(if digits.plain { kind::INTEGER } else { kind::FRACTION }) {
                    self.guide.number(asked, at, digits, depth)?;
                }
                Ok(digits.end)
            }
        }
    }
}

/// Every name of the schema, which a reader may know, but for every third.
fn names(schema: &Value) -> &'static [&'static str] {
    let mut names = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        names.extend(value.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        open.extend(value.as_object().into_iter().flat_map(|members| members.values()));
        open.extend(value.as_array().into_iter().flatten());
    }
    let known = names.into_iter().enumerate().filter(|(at, _)| at % 3 != 2);
    Box::leak(known.map(|(_, name)| &*Box::leak(name.into_boxed_str())).collect())
}

/// None for a schema that is the library's.
fn gets_through(exact: &Exact, names: &'static [&'static str], text: &str) -> Option<bool> {
    let (guide, asked) = exact.guide(text)?;
    let mut walk = Walk { text: text.as_bytes(), guide, names, expected: 0 };
    let start = scan::space(walk.text, 0);
    let passes = walk.value(asked, start, 0).is_ok();
    EXPECTED.fetch_add(walk.expected, Relaxed);
    Some(passes)
}

/// How many members came as they were expected, in all.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

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
        let names = names(&schema);
        for _ in 0..12 {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text(&mut dice, &value);
            if gets_through(&exact, names, &text) == Some(true) {
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
        let names = names(&schema);
        for _ in 0..12 {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text_without_repeats(&mut dice, &value);
            if text.contains('\\') {
                continue;
            }
            if let Some(through) = gets_through(&exact, names, &text) {
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
        assert!(gets_through(&exact, &["n", "kind"], text) != Some(true) || valid, "{text}");
    }
}

/// Whoever names the members is told of most of them by one comparison, and of none that is not there.
#[test]
fn members_are_expected_in_the_order_in_which_they_last_came() {
    const NAMES: &[&str] = &["id", "kind", "a_name_that_is_longer_than_one_look"];
    let schema = json!({
        "properties": {"id": {"type": "integer"}, "kind": {"maxLength": 3}, "a_name_that_is_longer_than_one_look": {}, "other": {}},
        "required": ["id"],
        "maxProperties": 4
    });
    let exact = Exact::new(&schema).unwrap();
    let expected = |text: &str| {
        let (guide, asked) = exact.guide(text).unwrap();
        let mut walk = Walk { text: text.as_bytes(), guide, names: NAMES, expected: 0 };
        walk.value(asked, 0, 0).is_ok().then_some(walk.expected)
    };
    let text = r#"{"kind":"x","a_name_that_is_longer_than_one_look":1,"id":123456789012}"#;
    expected(text);
    assert_eq!(expected(text), Some(3));
    assert_eq!(expected(r#"{"kind" :"x", "a_name_that_is_longer_than_one_look": 1,"id":123456789012}"#), Some(2));
    assert_eq!(expected(r#"{"kind":"x","a_name_that_is_longer_than_one_lock":1,"id":123456789012}"#), Some(1));
    assert_eq!(expected(r#"{"kind":"xyzz","id":123456789012345}"#), None);
    assert_eq!(expected(r#"{"kind":"x","other":123456789012345}"#), None);
    assert_eq!(expected(r#"{"kind":"x","a":1,"b":2,"c":3,"id":123456789012345}"#), None);
}
