//! What must be true of verdicts whatever the schemas are: that they hold together, and that what means the same is
//! compared the same. `CELERYSALT_COMPAT_PAIRS` runs more, `CELERYSALT_COMPAT_SEED` others.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod generator;

use std::time::Instant;

use celerysalt_contract::{
    Draft, Validator,
    compare::{Comparable, Options, Verdict, contains},
    for_each_subschema,
};
use generator::{DRAFTS, Dice, changed, document, pair, seeds};
use serde_json::{Value, json};

fn pairs() -> u64 {
    generator::pairs(500)
}

fn verdict(old: &Value, new: &Value) -> Verdict {
    contains(old, new, &Options::default())
}

fn is_usable(schema: &Value) -> bool {
    Validator::new(schema).is_ok()
}

/// One of the schemas inside a document moved to a definition, and a reference to it where it was.
fn outlined(dice: &mut Dice, document: &Value) -> Option<Value> {
    let draft = Draft::of(document)?;
    let mut pointers = Vec::new();
    let mut queue = vec![String::new()];
    while let Some(pointer) = queue.pop() {
        for_each_subschema(document.pointer(&pointer)?, draft, &mut |place, _| {
            queue.push(place.below(&pointer));
            // A definition is referred to already; a list of dependencies is no schema.
            if pointer.starts_with("/definitions") || place.keyword() != "definitions" {
                pointers.push(place.below(&pointer));
            }
        });
    }
    if pointers.is_empty() {
        return None;
    }
    let pointer = dice.pick(&pointers);
    let mut outlined = document.clone();
    let slot = outlined.pointer_mut(&pointer)?;
    // Draft 4 has no schema that is a boolean, except where it has.
    let moved = std::mem::replace(slot, json!({"$ref": "#/definitions/moved~1here"}));
    if draft == Draft::Draft4 && moved.is_boolean() {
        return None;
    }
    let members = outlined.as_object_mut()?;
    let definitions = members.entry("definitions").or_insert(json!({}));
    definitions.as_object_mut()?.insert("moved/here".to_owned(), moved);
    Some(outlined)
}

/// The document with its definitions called otherwise.
fn renamed(document: &Value) -> Option<Value> {
    document.get("definitions")?;
    let text = document
        .to_string()
        .replace("#/definitions/x", "#/definitions/ren%20amed")
        .replace("#/definitions/y", "#/definitions/~0y");
    let mut renamed: Value = serde_json::from_str(&text).unwrap();
    let definitions = renamed.get_mut("definitions")?.as_object_mut()?;
    let (x, y) = (definitions.remove("x")?, definitions.remove("y")?);
    definitions.insert("ren amed".to_owned(), x);
    definitions.insert("~y".to_owned(), y);
    definitions.insert("unused".to_owned(), json!({"type": "null"}));
    Some(renamed)
}

#[test]
fn every_schema_is_within_itself() {
    for seed in seeds(pairs()) {
        let (old, ..) = pair(seed);
        if !is_usable(&old) {
            continue;
        }
        // With an annotation, so that it is not over when both are the same text.
        let mut other = old.clone();
        if let Value::Object(members) = &mut other {
            members.insert("$comment".to_owned(), json!("other"));
        }
        assert_eq!(verdict(&old, &other), Verdict::Compatible, "seed {seed}: {old}");
    }
}

#[test]
fn what_is_within_what_is_within_is_within() {
    let mut chains = 0;
    for seed in seeds(pairs() * 2) {
        let mut dice = Dice(seed);
        let draft = dice.roll(DRAFTS.len());
        let middle = document(&mut dice, draft);
        let (a, c) = (changed(&mut dice, &middle, draft), changed(&mut dice, &middle, draft));
        let (a, c) = if dice.roll(2) == 0 { (a, changed(&mut dice, &c, draft)) } else { (a, c) };
        if ![&a, &middle, &c].into_iter().all(is_usable) {
            continue;
        }
        if verdict(&a, &middle) == Verdict::Compatible && verdict(&middle, &c) == Verdict::Compatible {
            chains += 1;
            let whole = verdict(&a, &c);
            assert!(!matches!(whole, Verdict::Breaking { .. }), "seed {seed}: {whole:?}\n{a}\nin\n{middle}\nin\n{c}");
        }
    }
    println!("{chains} chains");
    assert!(chains > pairs() / 20, "{chains}");
}

#[test]
fn references_mean_what_they_refer_to() {
    let mut told = [0; 2];
    for seed in seeds(pairs()) {
        let (old, new, mut dice) = pair(seed);
        if !is_usable(&old) || !is_usable(&new) {
            continue;
        }
        let others = [outlined(&mut dice, &old), renamed(&old)];
        for (other, told) in others.into_iter().zip(&mut told) {
            let Some(other) = other.filter(is_usable) else { continue };
            *told += 1;
            for (a, b) in [(&old, &other), (&other, &old)] {
                let both = verdict(a, b);
                assert!(!matches!(both, Verdict::Breaking { .. }), "seed {seed}: {both:?}\n{a}\nin\n{b}");
                assert_eq!(both, Verdict::Compatible, "seed {seed}: {a}\nin\n{b}");
            }
            // Whatever it is compared with, it comes to the same.
            let (one, two) = (verdict(&old, &new), verdict(&other, &new));
            let undecided = |verdict: &Verdict| matches!(verdict, Verdict::Unknown { .. });
            let same = std::mem::discriminant(&one) == std::mem::discriminant(&two);
            assert!(same || undecided(&one) || undecided(&two), "seed {seed}: {old}\nand\n{other}\nin\n{new}");
        }
    }
    println!("{told:?}");
    assert!(told[0] > pairs() / 4 && told[1] > pairs() / 100, "{told:?}");
}

/// Contracts as teams write them: an object of a dozen properties, some of them nested, shared by a definition.
fn contract(seed: u64, properties: usize) -> Value {
    let mut dice = Dice(seed);
    let members: serde_json::Map<String, Value> = (0..properties)
        .map(|at| {
            let schema = match dice.roll(7) {
                0 => json!({"type": "string", "minLength": 1, "maxLength": 200}),
                1 => json!({"type": "integer", "minimum": 0}),
                2 => json!({"type": ["string", "null"], "pattern": "^[A-Z]{2}[0-9]{1,8}$"}),
                3 => json!({"enum": ["new", "paid", "sent", "lost"]}),
                4 => json!({"type": "array", "items": {"$ref": "#/$defs/money"}, "maxItems": 50}),
                5 => json!({"anyOf": [{"$ref": "#/$defs/money"}, {"type": "null"}]}),
                _ => json!({"type": "object", "properties": {"street": {"type": "string"}, "zip": {"type": "string"}}}),
            };
            (format!("property_{at}"), schema)
        })
        .collect();
    json!({
        "type": "object", "properties": members, "required": ["property_0", "property_1"],
        "$defs": {"money": {"type": "object", "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}}, "required": ["amount"]}},
    })
}

#[test]
fn contracts_of_common_size_are_compared_in_little_time() {
    let mut slowest = std::time::Duration::ZERO;
    for seed in 0..60 {
        let options = Options::default().closed_writer(true);
        let (old, new) = (contract(seed, 12), contract(seed, 14));
        let (old, new) = (Comparable::new(&old).unwrap(), Comparable::new(&new).unwrap());
        let start = Instant::now();
        assert_eq!(old.is_within(&new, &options), Verdict::Compatible);
        assert_eq!(new.is_within(&old, &options), Verdict::Compatible);
        slowest = slowest.max(start.elapsed());
    }
    println!("the slowest pair, both ways: {slowest:?}");
    assert!(slowest.as_secs() < 5);
}
