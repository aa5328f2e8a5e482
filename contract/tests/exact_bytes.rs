//! Any bytes at all: what is no JSON is never accepted, what is JSON is judged as its parsed value, and nothing hangs,
//! panics or overflows the stack.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod exact_random;

use std::{thread, time::Instant};

use celerysalt_contract::{Exact, Validator, Way};
use exact_random::{Dice, document, fit, text};
use serde_json::{Value, json};

fn keyword(exact: &Exact, json: &[u8]) -> String {
    exact.check(json).unwrap_err().as_slice()[0].to_string()
}

#[test]
fn only_one_json_text_is_accepted() {
    let exact = Exact::new(&json!({})).unwrap();
    for text in ["null", " [1, {\"a\": \"\\ud83d\\ude00\"}]\r\n\t", "\"é\"", "-0.0e+1", "\"\u{7f}\""] {
        assert!(exact.accepts(text.as_bytes()) && exact.check(text.as_bytes()).is_ok(), "{text}");
    }
    let broken: [&[u8]; 24] = [
        b"",
        b" ",
        b"nul",
        b"NaN",
        b"Infinity",
        b"01",
        b"1.",
        b".1",
        b"+1",
        b"1e",
        b"[1,]",
        b"{\"a\":1,}",
        b"{a:1}",
        b"[1] x",
        b"{} {}",
        b"'a'",
        b"\"\\ud800\"",
        b"\"\\ude00\\ud83d\"",
        b"\"\x01\"",
        b"\"\xff\"",
        b"\xef\xbb\xbf1",
        b"\"a",
        b"[",
        b"\"\\x\"",
    ];
    for json in broken {
        assert!(!exact.accepts(json), "{json:?}");
        assert_eq!(keyword(&exact, json), "json: expected one JSON text in UTF-8", "{json:?}");
    }
    // No branch takes what is broken for a value that fails, or is nobody's business.
    for schema in [
        json!({"not": {"type": "string"}}),
        json!({"if": {"minimum": 1}, "else": true}),
        json!({"properties": {"a": true}}),
        json!({"oneOf": [{"type": "string"}, {}]}),
        json!({"contains": {}, "minContains": 0}),
    ] {
        let exact = Exact::new(&schema).unwrap();
        for json in broken {
            assert!(!exact.accepts(json), "{schema} {json:?}");
        }
    }
}

#[test]
fn levels_are_counted() {
    for schema in [json!({}), json!({"items": {"$ref": "#"}}), json!({"not": {"type": "string"}})] {
        let exact = Exact::new(&schema).unwrap();
        let nested = |levels: usize| ("[".repeat(levels) + &"]".repeat(levels)).into_bytes();
        assert!(exact.accepts(&nested(128)), "{schema}");
        assert!(!exact.accepts(&nested(129)), "{schema}");
        assert_eq!(keyword(&exact, &nested(129)), "depth: expected at most 128 levels of nesting");
        assert_eq!(keyword(&exact, &nested(100_000)), "depth: expected at most 128 levels of nesting");
    }
}

#[test]
fn of_members_of_one_name_the_last_one_counts() {
    for (schema, text, accepted) in [
        (json!({"properties": {"a": {"type": "string"}}}), r#"{"a":1,"a":"x"}"#, true),
        (json!({"properties": {"a": {"type": "string"}}}), r#"{"a":"x","\u0061":1}"#, false),
        (json!({"not": {"properties": {"a": {"type": "string"}}}}), r#"{"a":1,"a":"x"}"#, false),
        (json!({"minProperties": 2}), r#"{"a":1,"a":2}"#, false),
        (json!({"maxProperties": 1}), r#"{"a":1,"a":2}"#, true),
        (json!({"const": {"a": 2}}), r#"{"a":1,"a":2}"#, true),
        (json!({"contains": {"required": ["a"], "properties": {"a": {"const": 1}}}}), r#"[{"a":1,"a":2}]"#, false),
        (json!({"additionalProperties": {"type": "null"}}), r#"{"x":[],"x":null}"#, true),
        (json!({"uniqueItems": true}), r#"[{"a":1,"a":2},{"a":2}]"#, false),
        (json!({"oneOf": [{"properties": {"a": {"const": 1}}}, {"required": ["b"]}]}), r#"{"a":1,"b":0,"a":2}"#, true),
    ] {
        let exact = Exact::new(&schema).unwrap();
        assert_eq!(exact.accepts(text.as_bytes()), accepted, "{schema} {text}");
        assert_eq!(exact.check(text.as_bytes()).is_ok(), accepted, "{schema} {text}");
    }
}

/// A bounded walk over damaged texts; `serde_json` and the library say what is right.
#[test]
fn damaged_texts_are_judged_as_their_parsed_value() {
    let mut dice = Dice(11);
    let (mut parsed, mut broken) = (0, 0);
    while parsed + broken < 20_000 {
        let schema = document(&mut dice);
        let Ok(validator) = Validator::new(&schema) else { continue };
        if schema.to_string().contains("draft/2019-09") {
            continue;
        }
        let exact = Exact::new(&schema).unwrap();
        let value = fit(&mut dice, &schema, &schema, 4);
        for _ in 0..8 {
            let mut bytes = text(&mut dice, &value).into_bytes();
            for _ in 0..=dice.roll(2) {
                let at = dice.roll(bytes.len());
                match dice.roll(5) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = dice.pick(b"{}[]\":,\\ \x000-.eEu\xc3\xff"),
                    2 => bytes.insert(at, dice.pick(b"{}[]\":,\\ 1e.\xe9")),
                    3 => drop(bytes.remove(at)),
                    _ => {}
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            let expected = serde_json::from_slice::<Value>(&bytes).ok().map(|value| validator.is_valid(&value));
            if expected.is_some() {
                parsed += 1;
            } else {
                broken += 1;
            }
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            // What the parser can't hold is judged all the same.
            if expected.is_none() && shown.contains(['e', 'E']) && exact.check(&bytes).is_ok() {
                continue;
            }
            assert_eq!(exact.accepts(&bytes), expected == Some(true), "{schema} {shown}");
            assert_eq!(exact.check(&bytes).is_ok(), expected == Some(true), "{schema} {shown}");
        }
    }
    assert!(parsed > 2_000 && broken > 2_000, "{parsed} {broken}");
}

#[test]
fn deep_values_of_recursive_schemas_need_no_large_stack() {
    let tree = json!({
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"type": "string"}, {"allOf": [{"$ref": "#/$defs/tree"}], "minProperties": 1}]}},
            "unevaluatedProperties": false
        }}
    });
    let exact = Exact::new(&tree).unwrap();
    let good = r#"{"next":"#.repeat(128) + "\"end\"" + &"}".repeat(128);
    let bad = good.replace("\"end\"", "1");
    let verdicts = thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || {
            let verdict = |text: &str| (exact.accepts(text.as_bytes()), exact.check(text.as_bytes()).is_ok());
            (verdict(&good), verdict(&bad))
        })
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(verdicts, ((true, true), (false, false)));
}

/// Each level would be read twice by each of two branches: two to the power of a hundred.
#[test]
fn branches_that_double_take_no_time() {
    let schema = json!({
        "oneOf": [
            {"properties": {"a": {"$ref": "#"}}, "required": ["b"]},
            {"properties": {"a": {"$ref": "#"}}, "not": {"required": ["b"]}}
        ]
    });
    let exact = Exact::new(&schema).unwrap();
    let start = Instant::now();
    let good = r#"{"a":"#.repeat(100) + "1" + &"}".repeat(100);
    assert!(exact.accepts(good.as_bytes()));
    let schema = json!({"anyOf": [
        {"properties": {"a": {"$ref": "#"}}, "required": ["b"]},
        {"properties": {"a": {"$ref": "#"}}, "required": ["c"]}
    ]});
    let exact = Exact::new(&schema).unwrap();
    assert!(!exact.accepts(good.as_bytes()));
    assert!(exact.check(good.as_bytes()).is_err());
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn what_is_handed_to_the_library_is_said() {
    let ways = |schema: &Value| -> Vec<(String, Way)> {
        Exact::new(schema).unwrap().explain().into_iter().map(|one| (one.pointer, one.way)).collect()
    };
    let schema =
        json!({"properties": {"a": {"pattern": "^(?=a)"}, "b": {"pattern": "^a"}}, "unevaluatedProperties": false});
    let compiled = |pointer: &str| (pointer.to_owned(), Way::Compiled);
    let library = |pointer: &str| (pointer.to_owned(), Way::Library);
    assert_eq!(
        ways(&schema),
        [compiled(""), library("/properties/a"), compiled("/properties/b"), compiled("/unevaluatedProperties")]
    );
    let draft7 = "http://json-schema.org/draft-07/schema#";
    assert_eq!(ways(&json!({"$schema": draft7, "contentEncoding": "base64"})), [library("")]);
    assert_eq!(ways(&json!({"contentEncoding": "base64"})), [compiled("")]);
    let meta = json!({"$schema": draft7, "items": {"$ref": draft7}});
    assert_eq!(ways(&meta), [compiled(""), library("/items")]);
    let mixed = json!({"$defs": {"a": {"$id": "https://example.com/a", "$schema": draft7}}, "$ref": "#/$defs/a"});
    assert_eq!(ways(&mixed), [library("")]);
    let exact = Exact::new(&schema).unwrap();
    assert!(exact.accepts(br#"{"a":"abc"}"#) && !exact.accepts(br#"{"a":"b"}"#));
}
