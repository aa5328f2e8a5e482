//! Random pairs of schemas: no verdict is contradicted by any value that an independent validator is asked about.
//!
//! Schemas and values are made of few names, numbers and texts, so that they meet. `CELERYSALT_COMPAT_PAIRS` runs more,
//! `CELERYSALT_COMPAT_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod generator;

use celerysalt_contract::{
    Exact, Formats, Validator,
    compare::{Options, Verdict, contains},
};
use generator::{pair, seeds, value};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the two documents hold, parts included: values that they speak of.
fn spoken(schema: &Value, values: &mut Vec<Value>) {
    match schema {
        Value::Object(members) => {
            for (key, inner) in members {
                if key == "const" {
                    values.push(inner.clone());
                }
                if let ("enum", Value::Array(list)) = (key.as_str(), inner) {
                    values.extend(list.iter().cloned());
                }
                spoken(inner, values);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| spoken(inner, values)),
        _ => {}
    }
}

fn check(seed: u64) -> Result<&'static str, TestCaseError> {
    let (old, new, mut dice) = pair(seed);
    let (Ok(accepts), Ok(refuses)) = (Validator::new(&old), Validator::new(&new)) else { return Ok("no schema") };
    let start = std::time::Instant::now();
    let verdict = contains(&old, &new, &Options::default());
    let took = start.elapsed();
    prop_assert!(took.as_secs() < 10, "{took:?} for seed {seed}: {old} in {new}");
    match verdict {
        Verdict::Breaking { witness, findings } => {
            // What no value holds is for the checker that reads digits.
            let takes = |schema: &Value, validator: &Validator| {
                if witness.is_exact() {
                    validator.is_valid(witness.value())
                } else {
                    Exact::new(schema).unwrap().accepts(witness.text().as_bytes())
                }
            };
            prop_assert!(takes(&old, &accepts) && !takes(&new, &refuses), "{witness}: {old} in {new}");
            prop_assert!(!findings.is_empty());
            Ok("breaking")
        }
        Verdict::Compatible => {
            let mut values = Vec::new();
            spoken(&old, &mut values);
            spoken(&new, &mut values);
            values.extend((0..300).map(|_| value(&mut dice, 3)));
            for value in values {
                prop_assert!(
                    !accepts.is_valid(&value) || refuses.is_valid(&value),
                    "seed {seed}: called compatible, but {value} tells apart\n{old}\nin\n{new}"
                );
            }
            Ok("compatible")
        }
        Verdict::Unknown { reason, .. } => {
            if std::env::var_os("CELERYSALT_COMPAT_PAIRS").is_some() {
                println!("seed {seed}: {reason}, {took:?}\n  {old}\n  {new}");
            }
            Ok("unknown")
        }
        _ => Ok("other"),
    }
}

/// The same schema with words that mean nothing, in every object that is surely a schema.
fn annotated(document: &Value, formats: Formats) -> Value {
    let mut annotated = document.clone();
    if let Value::Object(members) = &mut annotated {
        members.insert("title".to_owned(), json!("Title"));
        members.insert("description".to_owned(), json!("Words."));
        members.insert("x-order".to_owned(), json!([1, {"type": 3}]));
        if formats == Formats::Annotation {
            members.insert("format".to_owned(), json!("date"));
        }
        for keyword in ["not", "additionalProperties", "contains", "if", "then", "else"] {
            if let Some(inner) = members.get_mut(keyword) {
                *inner = self::annotated(inner, formats);
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if let Some(Value::Array(inner)) = members.get_mut(keyword) {
                for one in inner.iter_mut() {
                    *one = self::annotated(one, formats);
                }
                inner.reverse();
            }
        }
        if let Some(Value::Array(names)) = members.get_mut("required") {
            names.reverse();
        }
    }
    annotated
}

#[test]
fn words_and_order_mean_nothing() {
    for seed in seeds(pairs() / 2) {
        let (old, ..) = pair(seed);
        let other = annotated(&old, Formats::of(&old));
        if Validator::new(&old).is_err() {
            continue;
        }
        assert_eq!(contains(&old, &old, &Options::default()), Verdict::Compatible, "seed {seed}: {old}");
        for (a, b) in [(&old, &other), (&other, &old)] {
            assert_eq!(contains(a, b, &Options::default()), Verdict::Compatible, "seed {seed}: {a}\nin\n{b}");
        }
    }
}

/// The schema with each object closed that declares properties: what a writer's schema is read as. None where schemas
/// are joined, since then it can't be told object by object.
fn closed(schema: &Value) -> Option<Value> {
    let Value::Object(members) = schema else { return Some(schema.clone()) };
    let joins = [
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "$ref",
        "dependencies",
        "dependentSchemas",
        "unevaluatedProperties",
        "contains",
        "definitions",
        "patternProperties",
        "unevaluatedItems",
    ];
    if joins.iter().any(|keyword| members.contains_key(*keyword)) {
        return None;
    }
    let mut closed = members.clone();
    for keyword in ["additionalProperties", "items", "additionalItems"] {
        if let Some(inner) = closed.get_mut(keyword).filter(|inner| inner.is_object()) {
            *inner = self::closed(inner)?;
        }
    }
    for keyword in ["items", "prefixItems"] {
        if let Some(Value::Array(inner)) = closed.get_mut(keyword) {
            for one in inner {
                *one = self::closed(one)?;
            }
        }
    }
    if let Some(Value::Object(properties)) = closed.get_mut("properties") {
        for (_, one) in properties.iter_mut() {
            *one = self::closed(one)?;
        }
        let declares = !properties.is_empty();
        // Without any, the object is free-form.
        if declares {
            closed.entry("additionalProperties").or_insert(json!(false));
        }
    }
    Some(Value::Object(closed))
}

#[test]
fn a_writer_is_read_as_if_its_objects_were_closed() {
    let mut told = 0;
    for seed in seeds(pairs() * 2) {
        let (old, new, _) = pair(seed);
        let Some(written) = closed(&old) else { continue };
        let (a, b) = (
            contains(&old, &new, &Options::default().closed_writer(true)),
            contains(&written, &new, &Options::default()),
        );
        let kind = |verdict: &Verdict| std::mem::discriminant(verdict);
        assert_eq!(kind(&a), kind(&b), "seed {seed}: {old}\nin\n{new}\n{a:?}\n{b:?}");
        if let Verdict::Breaking { witness, .. } = &a {
            assert!(Validator::new(&written).unwrap().is_valid(witness.value()), "seed {seed}: {witness} by {written}");
        }
        told += u32::from(written != old);
    }
    assert!(told > 50, "{told}");
}

/// How many pairs are tried.
fn pairs() -> u64 {
    generator::pairs(1_500)
}

#[test]
fn no_verdict_is_contradicted() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in seeds(pairs()) {
        match check(seed) {
            Ok(verdict) => *counts.entry(verdict).or_insert(0_u64) += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{counts:?}");
    assert!(counts["compatible"] > 100.min(pairs() / 20) && counts["breaking"] > 100.min(pairs() / 20), "{counts:?}");
    assert!(counts.get("unknown").copied().unwrap_or(0) * 20 < pairs(), "{counts:?}");
}
