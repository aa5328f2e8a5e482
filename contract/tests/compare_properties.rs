//! Random pairs of schemas: no verdict is contradicted by any value that an independent validator is asked about.
//!
//! Schemas and values are made of few names, numbers and texts, so that they meet. `CELERYSALT_COMPAT_PAIRS` runs more.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use celerysalt_contract::{
    Validator,
    compare::{Options, Verdict, contains},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

const NAMES: [&str; 4] = ["a", "b", "ab", "c"];
const TEXTS: [&str; 8] = ["", "a", "b", "ab", "aa", "abc", "1", "a1"];
const PATTERNS: [&str; 9] = ["a", "^a", "b$", "^a+$", "^[ab]*$", r"\d", "^.$", "^(a|ab)$", "c?"];
const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

fn number(dice: &mut Dice) -> Value {
    let numbers =
        [json!(-1), json!(0), json!(0.5), json!(1), json!(1.0), json!(1.5), json!(2), json!(3), json!(4), json!(6)];
    dice.pick(&numbers)
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 4 } else { 7 }) {
        0 => Value::Null,
        1 => json!(dice.roll(2) == 0),
        2 => number(dice),
        3 => json!(dice.pick(&TEXTS)),
        4 | 5 => {
            let count = dice.roll(4);
            Value::Object((0..count).map(|_| (dice.pick(&NAMES).to_owned(), value(dice, depth - 1))).collect())
        }
        _ => {
            let count = dice.roll(4);
            Value::Array((0..count).map(|_| value(dice, depth - 1)).collect())
        }
    }
}

/// One schema; `draft` counts from 4's 0.
fn schema(dice: &mut Dice, draft: usize, depth: usize) -> Value {
    if dice.roll(12) == 0 && draft > 0 {
        return json!(dice.roll(3) > 0);
    }
    let mut members = Map::new();
    for _ in 0..=dice.roll(3) {
        keyword(dice, draft, depth, &mut members);
    }
    Value::Object(members)
}

fn keyword(dice: &mut Dice, draft: usize, depth: usize, members: &mut Map<String, Value>) {
    let mut put = |keyword: &str, value: Value| {
        members.insert(keyword.to_owned(), value);
    };
    let leaf = 13;
    match dice.roll(if depth == 0 { leaf } else { leaf + 22 }) {
        0..=2 => {
            let types = ["null", "boolean", "integer", "number", "string", "array", "object", "object", "array"];
            let (a, b) = (dice.pick(&types), dice.pick(&types));
            put("type", if a == b || dice.roll(2) == 0 { json!(a) } else { json!([a, b]) });
        }
        3 => {
            let mut values: Vec<Value> = Vec::new();
            for _ in 0..=dice.roll(3) {
                let one = value(dice, 1);
                if !values.iter().any(|known| known.to_string().replace(".0", "") == one.to_string().replace(".0", ""))
                {
                    values.push(one);
                }
            }
            put("enum", Value::Array(values));
        }
        4 => put("const", value(dice, 1)),
        5 => {
            let keyword = dice.pick(&["minimum", "maximum"]);
            put(keyword, number(dice));
        }
        6 if draft > 0 => {
            let keyword = dice.pick(&["exclusiveMinimum", "exclusiveMaximum"]);
            put(keyword, number(dice));
        }
        6 => {
            put("minimum", number(dice));
            put("exclusiveMinimum", json!(dice.roll(2) == 0));
        }
        7 => put("multipleOf", dice.pick(&[json!(1), json!(0.5), json!(2), json!(3), json!(1.5)])),
        8 => put(dice.pick(&["minLength", "maxLength"]), json!(dice.roll(4))),
        9 => put("pattern", json!(dice.pick(&PATTERNS))),
        10 => put(dice.pick(&["minItems", "maxItems", "minProperties", "maxProperties"]), json!(dice.roll(4))),
        11 => put("uniqueItems", json!(true)),
        12 => {
            let (a, b) = (dice.pick(&NAMES), dice.pick(&NAMES));
            put("required", if a == b { json!([a]) } else { json!([a, b]) });
        }
        13..=16 => {
            let count = 1 + dice.roll(3);
            let properties =
                (0..count).map(|_| (dice.pick(&NAMES).to_owned(), schema(dice, draft, depth - 1))).collect();
            put("properties", Value::Object(properties));
        }
        17 | 18 => put("additionalProperties", schema(dice, draft.max(1), depth - 1)),
        19 => put("patternProperties", json!({dice.pick(&PATTERNS): schema(dice, draft, depth - 1)})),
        20 => put("propertyNames", schema(dice, draft, 0)),
        21 => {
            let inner = schema(dice, draft, depth - 1);
            let wanted = if dice.roll(2) == 0 && inner.is_object() { inner } else { json!([dice.pick(&NAMES)]) };
            let keyword = match (draft >= 3, wanted.is_array()) {
                (false, _) => "dependencies",
                (true, true) => "dependentRequired",
                (true, false) => "dependentSchemas",
            };
            put(keyword, json!({dice.pick(&NAMES): wanted}));
        }
        22 | 23 => put("items", schema(dice, draft.max(1), depth - 1).as_object().map_or(json!({}), |one| json!(one))),
        24 | 25 => {
            let count = 1 + dice.roll(2);
            let list: Vec<Value> =
                (0..count).map(|_| schema(dice, draft, depth - 1)).filter(|one| draft > 0 || one.is_object()).collect();
            if list.is_empty() {
                return;
            }
            put(if draft >= 4 { "prefixItems" } else { "items" }, Value::Array(list));
            if draft < 4 && dice.roll(2) == 0 {
                put("additionalItems", schema(dice, draft.max(1), depth - 1));
            }
        }
        26 => {
            put("contains", schema(dice, draft, depth - 1));
            if draft >= 3 && dice.roll(2) == 0 {
                put("minContains", json!(dice.roll(3)));
            }
            if draft >= 3 && dice.roll(2) == 0 {
                put("maxContains", json!(dice.roll(3)));
            }
        }
        27 => put("unevaluatedProperties", schema(dice, draft, depth - 1)),
        28 => put("unevaluatedItems", schema(dice, draft, depth - 1)),
        29 => put("not", schema(dice, draft, depth - 1)),
        30 => {
            put("if", schema(dice, draft, depth - 1));
            put("then", schema(dice, draft, depth - 1));
            put("else", schema(dice, draft, depth - 1));
        }
        31 => put("$ref", json!(dice.pick(&["#/definitions/x", "#/definitions/y"]))),
        _ => {
            let list: Vec<Value> = (0..=dice.roll(3)).map(|_| schema(dice, draft, depth - 1)).collect();
            put(dice.pick(&["allOf", "anyOf", "oneOf"]), Value::Array(list));
        }
    }
}

fn document(dice: &mut Dice, draft: usize) -> Value {
    let mut document = schema(dice, draft, 3);
    let text = document.to_string();
    if let Value::Object(members) = &mut document {
        members.insert("$schema".to_owned(), json!(DRAFTS[draft]));
        if text.contains("#/definitions") {
            // References into themselves only by way of a part.
            let mut x = schema(dice, draft, 1);
            if let Value::Object(x) = &mut x {
                x.remove("$ref");
                x.insert("properties".to_owned(), json!({"a": {"$ref": "#/definitions/y"}}));
            }
            members.insert("definitions".to_owned(), json!({"x": x, "y": {"items": {"$ref": "#/definitions/x"}}}));
        }
    }
    document
}

/// The same schema with one part of it changed: such pairs are compatible more often.
fn changed(dice: &mut Dice, document: &Value, draft: usize) -> Value {
    let mut changed = document.clone();
    let Value::Object(members) = &mut changed else { return schema(dice, draft, 2) };
    let keys: Vec<String> =
        members.keys().filter(|key| !key.starts_with('$') && *key != "definitions").cloned().collect();
    if keys.is_empty() {
        return changed;
    }
    let key = dice.pick(&keys);
    match (dice.roll(4), members.get_mut(&key)) {
        (0, _) => {
            members.remove(&key);
        }
        (1, Some(Value::Object(inner))) if !inner.is_empty() => {
            let keys: Vec<String> = inner.keys().cloned().collect();
            let part = inner.get_mut(&dice.pick(&keys)).unwrap();
            if part.is_object() {
                *part = self::changed(dice, part, draft);
            }
        }
        (1 | 2, Some(Value::Array(list))) if list.len() > 1 => {
            list.pop();
        }
        _ => keyword(dice, draft, 2, members),
    }
    changed
}

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

fn pair(seed: u64) -> (Value, Value, Dice) {
    let mut dice = Dice(seed);
    let draft = dice.roll(DRAFTS.len());
    let old = document(&mut dice, draft);
    let new = match dice.roll(3) {
        0 => {
            let draft = dice.roll(DRAFTS.len());
            document(&mut dice, draft)
        }
        _ => changed(&mut dice, &old, draft),
    };
    if dice.roll(2) == 0 { (old, new, dice) } else { (new, old, dice) }
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
            prop_assert!(accepts.is_valid(&witness) && !refuses.is_valid(&witness), "{witness}: {old} in {new}");
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
        Verdict::Unknown { reason } => {
            if std::env::var_os("CELERYSALT_COMPAT_PAIRS").is_some() {
                println!("seed {seed}: {reason}, {took:?}\n  {old}\n  {new}");
            }
            Ok("unknown")
        }
        _ => Ok("other"),
    }
}

/// The same schema with words that mean nothing, in every object that is surely a schema.
fn annotated(document: &Value) -> Value {
    let mut annotated = document.clone();
    if let Value::Object(members) = &mut annotated {
        members.insert("title".to_owned(), json!("Title"));
        members.insert("description".to_owned(), json!("Words."));
        members.insert("x-order".to_owned(), json!([1, {"type": 3}]));
        for keyword in ["not", "additionalProperties", "contains", "if", "then", "else"] {
            if let Some(inner) = members.get_mut(keyword) {
                *inner = self::annotated(inner);
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if let Some(Value::Array(inner)) = members.get_mut(keyword) {
                for one in inner.iter_mut() {
                    *one = self::annotated(one);
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
    for seed in 0..u64::from(pairs() / 2) {
        let (old, ..) = pair(seed);
        let other = annotated(&old);
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
    for seed in 0..u64::from(pairs() * 2) {
        let (old, new, _) = pair(seed);
        let Some(written) = closed(&old) else { continue };
        let (a, b) = (
            contains(&old, &new, &Options::default().closed_writer(true)),
            contains(&written, &new, &Options::default()),
        );
        let kind = |verdict: &Verdict| std::mem::discriminant(verdict);
        assert_eq!(kind(&a), kind(&b), "seed {seed}: {old}\nin\n{new}\n{a:?}\n{b:?}");
        if let Verdict::Breaking { witness, .. } = &a {
            assert!(Validator::new(&written).unwrap().is_valid(witness), "seed {seed}: {witness} by {written}");
        }
        told += u32::from(written != old);
    }
    assert!(told > 50, "{told}");
}

/// How many pairs are tried.
fn pairs() -> u32 {
    std::env::var("CELERYSALT_COMPAT_PAIRS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_500)
}

#[test]
fn no_verdict_is_contradicted() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..u64::from(pairs()) {
        match check(seed) {
            Ok(verdict) => *counts.entry(verdict).or_insert(0_u32) += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{counts:?}");
    assert!(counts["compatible"] > 100.min(pairs() / 20) && counts["breaking"] > 100.min(pairs() / 20), "{counts:?}");
    assert!(counts.get("unknown").copied().unwrap_or(0) * 20 < pairs(), "{counts:?}");
}
