//! Random schemas and values: the verdict over the bytes is the library's over the tree, and so are the violations.
//!
//! `CELERYSALT_FUZZ_CASES` runs more schemas, `CELERYSALT_FUZZ_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod exact_random;

use std::env;

use celerysalt_contract::{Exact, Validator, Violation, Way};
use exact_random::{Dice, document, fit, text, text_without_repeats};
use proptest::prelude::*;
use serde_json::Value;

/// How many values each schema is asked about.
const VALUES: usize = 12;

fn cases(usual: u32) -> ProptestConfig {
    let cases = env::var("CELERYSALT_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn seed(seed: u64) -> u64 {
    seed ^ env::var("CELERYSALT_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// In 2019-09, other than from 2020-12 on, an item that `contains` matches is still unevaluated; the library takes both
/// alike.
fn differs_from_the_library(schema: &Value) -> bool {
    let text = schema.to_string();
    text.contains("draft/2019-09") && text.contains("\"contains\"") && text.contains("unevaluatedItems")
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn verdicts_are_the_librarys(start: u64) {
        let mut dice = Dice(seed(start));
        let schema = document(&mut dice);
        let Ok(validator) = Validator::new(&schema) else {
            prop_assert!(Exact::new(&schema).is_err());
            return Ok(());
        };
        let exact = Exact::new(&schema).unwrap();
        prop_assume!(!differs_from_the_library(&schema));
        for _ in 0..VALUES {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text(&mut dice, &value);
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(exact.accepts(text.as_bytes()), validator.is_valid(&value), "{} {}", schema, text);
            prop_assert_eq!(exact.check(text.as_bytes()).is_ok(), validator.is_valid(&value), "{} {}", schema, text);
        }
    }
}

/// Pointer, keyword and words. Words may differ where alternatives are told in another order, and where the library looks
/// for them in the wrong place: in a schema below one with an `$id` of its own.
fn told(violation: &Violation, schema: &Value) -> (String, String, String) {
    let alternatives = ["anyOf", "oneOf", "propertyNames"].contains(&violation.keyword.as_str());
    let neighbours = ["contains", "additionalProperties"].contains(&violation.keyword.as_str());
    let apart = alternatives || neighbours && schema.to_string().contains("y.json");
    let expected = if apart { String::new() } else { violation.expected.clone() };
    (violation.pointer.clone(), violation.keyword.clone(), expected)
}

/// Now and then the library misses a property beside `additionalProperties: false` that is there.
fn is_there((pointer, keyword, expected): &(String, String, String), value: &Value) -> bool {
    let object = value.pointer(pointer).and_then(Value::as_object);
    keyword == "required"
        && object.is_some_and(|object| {
            object.keys().any(|key| format!("the property {}", Value::from(key.as_str())) == *expected)
        })
}

/// Of a value that fits several alternatives of a `oneOf`, the library says now that they evaluate its parts and now that
/// they don't. It is refused in any case.
fn hangs_on_alternatives((pointer, keyword, _): &(String, String, String), all: &[(String, String, String)]) -> bool {
    keyword.starts_with("unevaluated") && all.iter().any(|(at, other, _)| at == pointer && other == "oneOf")
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn violations_are_the_librarys(start: u64) {
        let mut dice = Dice(seed(start));
        let schema = document(&mut dice);
        let Ok(validator) = Validator::new(&schema) else { return Ok(()) };
        let exact = Exact::new(&schema).unwrap();
        prop_assume!(!differs_from_the_library(&schema));
        for _ in 0..VALUES {
            let value = fit(&mut dice, &schema, &schema, 4);
            let text = text_without_repeats(&mut dice, &value);
            let list = |violations: celerysalt_contract::Violations| -> Vec<_> {
                let all: Vec<_> = violations.iter().map(|violation| told(violation, &schema)).collect();
                let sure = all.iter().filter(|one| !hangs_on_alternatives(one, &all));
                sure.cloned().collect()
            };
            let ours = exact.check(text.as_bytes()).map_err(list);
            let theirs = validator.validate(&value).map_err(list);
            let theirs = theirs.map_err(|all| all.into_iter().filter(|one| !is_there(one, &value)).collect::<Vec<_>>());
            prop_assert_eq!(&ours, &theirs, "{} {}", &schema, &text);
        }
    }
}

#[test]
fn the_random_schemas_are_worth_it() {
    let (mut schemas, mut compiled, mut accepted, mut refused) = (0, 0, 0, 0);
    for start in 0..1_000 {
        let mut dice = Dice(start);
        let schema = document(&mut dice);
        let Ok(exact) = Exact::new(&schema) else { continue };
        schemas += 1;
        compiled += usize::from(exact.explain().iter().all(|one| one.way == Way::Compiled));
        for _ in 0..VALUES {
            let value = fit(&mut dice, &schema, &schema, 4);
            if exact.accepts(text(&mut dice, &value).as_bytes()) { accepted += 1 } else { refused += 1 }
        }
    }
    println!("{schemas} schemas, {compiled} compiled; {accepted} texts accepted, {refused} refused");
    assert!(schemas > 700 && compiled * 10 > schemas * 8, "{schemas} {compiled}");
    assert!(accepted * 4 > refused && refused * 4 > accepted, "{accepted} {refused}");
}
