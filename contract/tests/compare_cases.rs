//! Pairs of schemas whose verdict is known: what registries get wrong, each kind of change, and pairs made to be hard.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::time::{Duration, Instant};

use celerysalt_contract::compare::{Comparable, Digits, Options, Verdict, contains};
use serde_json::{Value, json};

fn verdict(old: &Value, new: &Value) -> Verdict {
    let start = Instant::now();
    let verdict = contains(old, new, &Options::default());
    let took = start.elapsed();
    // Unoptimised code takes ten times as long.
    let most = if cfg!(debug_assertions) { 10 } else { 1 };
    let shown: String = old.to_string().chars().take(300).collect();
    println!("{took:?} {shown}");
    assert!(took < Duration::from_secs(most), "{took:?}: {shown}");
    verdict
}

fn compatible(old: &Value, new: &Value) {
    assert_eq!(verdict(old, new), Verdict::Compatible, "{old} in {new}");
}

fn breaking(rule: &str, old: &Value, new: &Value) -> Value {
    match verdict(old, new) {
        Verdict::Breaking { witness, findings } => {
            let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
            assert!(rules.contains(&rule), "{rule}: {findings:?}: {old} in {new}");
            witness.value().clone()
        }
        other => panic!("{other:?}: {old} in {new}"),
    }
}

#[test]
fn rewrites_that_mean_the_same_are_compatible_both_ways() {
    let pairs = [
        (json!({"type": ["string", "null"]}), json!({"anyOf": [{"type": "null"}, {"type": "string"}]})),
        (json!({"type": "integer"}), json!({"type": "number", "multipleOf": 1})),
        (json!({"enum": [1, 2]}), json!({"anyOf": [{"const": 1.0}, {"const": 2}]})),
        (json!({"pattern": "^a+$"}), json!({"pattern": "^aa*$"})),
        (json!({"pattern": "^(a|b)$"}), json!({"pattern": "^[ab]$"})),
        (
            json!({"type": "string", "minLength": 2, "maxLength": 2}),
            json!({"type": "string", "pattern": "^[\\s\\S]{2}$"}),
        ),
        (json!({"not": {"required": ["a"]}}), json!({"type": "object", "properties": {"a": false}})),
        (json!({"exclusiveMinimum": 0, "type": "integer"}), json!({"minimum": 1, "type": "integer"})),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}), json!({"type": "null"})),
        (
            json!({"items": {"type": "boolean"}, "uniqueItems": true}),
            json!({"items": {"type": "boolean"}, "uniqueItems": true, "maxItems": 2}),
        ),
        (
            json!({"type": "object", "minProperties": 1, "propertyNames": {"enum": ["a"]}}),
            json!({"propertyNames": {"enum": ["a"]}, "type": "object", "not": {"maxProperties": 0}}),
        ),
        (
            json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}}}}),
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"items": {"items": {"$ref": "#/$defs/node"}}}}}),
        ),
    ];
    for (a, b) in &pairs {
        compatible(a, b);
        compatible(b, a);
    }
}

/// Bounds that differ by less than a float can tell, and what is between them: whichever of the two the text spells out.
#[test]
fn a_bound_that_is_tightened_by_1e_17_is_shown_by_its_digits() {
    let ready =
        |text: &str| Comparable::new(&serde_json::from_str(text).unwrap()).unwrap().with_digits(Digits::of_text(text));
    for (old, new, expected) in [
        // Where floats are dense there is one between, and it is shown.
        (r#"{"minimum": 0}"#, r#"{"minimum": 1e-17}"#, "0"),
        (r#"{"minimum": 0.0}"#, r#"{"exclusiveMinimum": 0.0}"#, "0"),
        // Where they are not, it has more digits than they hold.
        (r#"{"exclusiveMaximum": 1.0}"#, r#"{"exclusiveMaximum": 0.99999999999999999}"#, "0.99999999999999999"),
        (r#"{"exclusiveMaximum": 1.0}"#, r#"{"maximum": 0.99999999999999999}"#, "0.999999999999999991"),
        (r#"{"exclusiveMinimum": 1}"#, r#"{"minimum": 1.00000000000000001}"#, "1.000000000000000001"),
        (r#"{"maximum": 100}"#, r#"{"maximum": 99.99999999999999999}"#, "100"),
        (r#"{"exclusiveMaximum": 1.0}"#, r#"{"maximum": 0.9999999999999999}"#, "0.99999999999999991"),
        (
            r#"{"properties": {"n": {"exclusiveMaximum": 1}}}"#,
            r#"{"properties": {"n": {"exclusiveMaximum": 0.99999999999999999}}}"#,
            r#"{"n":0.99999999999999999}"#,
        ),
        (
            r#"{"items": {"exclusiveMaximum": 0.3}}"#,
            r#"{"items": {"exclusiveMaximum": 0.29999999999999999}}"#,
            "[0.29999999999999999]",
        ),
    ] {
        let (before, after) = (ready(old), ready(new));
        for closed in [false, true] {
            let options = Options::default().closed_writer(closed);
            let Verdict::Breaking { witness, findings } = before.is_within(&after, &options) else {
                panic!("{old} in {new}: {:?}", before.is_within(&after, &options))
            };
            assert_eq!(witness.text(), expected, "{old} in {new}");
            assert_eq!(findings[0].rule, "NUM_BOUND_TIGHTENED", "{old} in {new}: {findings:?}");
            assert!(findings[0].pointer_new.ends_with("imum"), "{findings:?}");
        }
        assert_eq!(after.is_within(&before, &Options::default()), Verdict::Compatible, "{new} in {old}");
    }
}

#[test]
fn each_kind_of_narrowing_is_found() {
    for (rule, old, new) in [
        ("TYPE_NARROWED", json!({"type": "number"}), json!({"type": "integer"})),
        ("TYPE_CHANGED", json!({}), json!({"type": "integer"})),
        ("SCHEMA_FALSE", json!({}), json!(false)),
        ("ENUM_VALUE_REMOVED", json!({"enum": [1, 2]}), json!({"enum": [1]})),
        ("ENUM_ADDED", json!({"type": "string"}), json!({"enum": ["a"]})),
        ("CONST_CHANGED", json!({"const": 1}), json!({"const": 2})),
        ("NUM_BOUND_TIGHTENED", json!({"minimum": 0}), json!({"minimum": 1e-17})),
        (
            "NUM_BOUND_TIGHTENED",
            json!({"maximum": 9_007_199_254_740_993_i64}),
            json!({"maximum": 9_007_199_254_740_992_i64}),
        ),
        ("NUM_MULTIPLEOF", json!({"multipleOf": 0.1}), json!({"multipleOf": 0.3})),
        ("STR_LENGTH", json!({"maxLength": 10}), json!({"maxLength": 9})),
        ("STR_PATTERN_CHANGED", json!({"pattern": "^[a-z]+$"}), json!({"pattern": "^[a-y]+$"})),
        ("REQ_ADDED", json!({"properties": {"a": {}}}), json!({"properties": {"a": {}}, "required": ["a"]})),
        ("REQ_ADDED", json!({}), json!({"required": ["undeclared"]})),
        (
            "ADDL_CLOSED",
            json!({"properties": {"a": {}}}),
            json!({"properties": {"a": {}}, "additionalProperties": false}),
        ),
        (
            "PROP_REMOVED_CLOSED",
            json!({"properties": {"a": {}}, "additionalProperties": false}),
            json!({"additionalProperties": false}),
        ),
        ("PROP_FORBIDDEN", json!({}), json!({"properties": {"a": false}})),
        ("PATTERNPROP_ADDED", json!({}), json!({"patternProperties": {"^x": {"type": "string"}}})),
        (
            "PATTERNPROP_REMOVED_CLOSED",
            json!({"patternProperties": {"^x": {}}, "additionalProperties": false}),
            json!({"properties": {"a": {}}, "additionalProperties": false}),
        ),
        (
            "PROP_ADDED_OPEN",
            json!({"properties": {"a": {}}}),
            json!({"properties": {"a": {}, "b": {"type": "string"}}}),
        ),
        (
            "PROP_ADDED_OPEN",
            json!({"properties": {"a": {}}}),
            json!({"properties": {"a": {}, "b": {"properties": {"c": {"minimum": 1}}}}}),
        ),
        (
            "PROP_ADDED_PARTIAL",
            json!({"additionalProperties": {"type": ["string", "null"]}}),
            json!({"properties": {"b": {"type": "string"}}, "additionalProperties": {"type": ["string", "null"]}}),
        ),
        (
            "ADDL_SCHEMA_NARROWED",
            json!({"additionalProperties": {"type": "number"}}),
            json!({"additionalProperties": {"type": "integer"}}),
        ),
        ("ADDL_SCHEMA_NARROWED", json!({}), json!({"additionalProperties": {"type": "integer"}})),
        ("ADDL_CLOSED", json!({"additionalProperties": {"type": "null"}}), json!({"additionalProperties": false})),
        ("TUPLE_ADDED_OPEN", json!({"prefixItems": [{}]}), json!({"prefixItems": [{}, {"type": "null"}]})),
        (
            "REQ_ADDED_DEFAULT",
            json!({"properties": {"a": {"type": "string"}}}),
            json!({"properties": {"a": {"type": "string", "default": "x"}}, "required": ["a"]}),
        ),
        ("PROP_COUNT", json!({"maxProperties": 3}), json!({"maxProperties": 2})),
        ("DEP_REQUIRED", json!({}), json!({"dependentRequired": {"a": ["b"]}})),
        ("ITEMS_COUNT", json!({"maxItems": 3}), json!({"maxItems": 2})),
        ("UNIQUE_ADDED", json!({"type": "array"}), json!({"type": "array", "uniqueItems": true})),
        ("CONTAINS_ADDED", json!({}), json!({"contains": {"type": "null"}})),
        ("ANYOF_BRANCH_REMOVED", json!({}), json!({"anyOf": [{"type": "null"}, {"type": "string"}]})),
        (
            "ONEOF_OVERLAP",
            json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"oneOf": [{"type": "string"}, {"type": "null"}, {"maxLength": 3, "type": "string"}]}),
        ),
        ("NOT_ADDED", json!({}), json!({"not": {"type": "null"}})),
        (
            "UNEVALUATED_PROPS",
            json!({"properties": {"a": {}}}),
            json!({"properties": {"a": {}}, "unevaluatedProperties": false}),
        ),
    ] {
        breaking(rule, &old, &new);
    }
}

#[test]
fn digits_beyond_a_double_are_compared() {
    let schema =
        |text: &str| Comparable::new(&serde_json::from_str(text).unwrap()).unwrap().with_digits(Digits::of_text(text));
    let verdict = |old: &str, new: &str| schema(old).is_within(&schema(new), &Options::default());
    // 1e-17 on top of numbers of which a double holds the first sixteen digits.
    for (tighter, wider) in [
        (r#"{"minimum": 0.10000000000000001}"#, r#"{"minimum": 0.1}"#),
        (r#"{"maximum": 99.99999999999999999}"#, r#"{"maximum": 100}"#),
        (r#"{"properties": {"a": {"minimum": 1000.00000000000000001}}}"#, r#"{"properties": {"a": {"minimum": 1e3}}}"#),
        (r#"{"maximum": 123456789012345678901233}"#, r#"{"maximum": 123456789012345678901234.5}"#),
        (r#"{"minimum": 0.10000000000000002}"#, r#"{"minimum": 0.10000000000000001}"#),
    ] {
        assert_eq!(verdict(tighter, wider), Verdict::Compatible, "{tighter} in {wider}");
        match verdict(wider, tighter) {
            Verdict::Breaking { findings, .. } => assert_eq!(findings[0].rule, "NUM_BOUND_TIGHTENED", "{findings:?}"),
            // A double can't be between the two.
            Verdict::Unknown { .. } => assert!(wider.contains("4.5") || wider.ends_with("01}"), "{wider}"),
            other => panic!("{other:?}: {wider} in {tighter}"),
        }
    }
    assert_eq!(
        verdict(r#"{"enum": [0.10000000000000001]}"#, r#"{"minimum": 0.10000000000000001}"#),
        Verdict::Compatible
    );
    assert!(!matches!(verdict(r#"{"const": 0.1}"#, r#"{"const": 0.10000000000000001}"#), Verdict::Compatible));
}

#[test]
fn what_can_not_be_used_says_which_rule_it_breaks() {
    for (rule, bad) in [
        ("REF_UNRESOLVED", json!({"$ref": "#/$defs/away"})),
        ("REF_UNRESOLVED", json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}})),
        ("SCHEMA_UNUSABLE", json!({"type": "strin"})),
    ] {
        for (old, new) in [(&bad, &json!({})), (&json!({}), &bad)] {
            match contains(old, new, &Options::default()) {
                Verdict::Unknown { rule: said, .. } => assert_eq!(said, rule, "{bad}"),
                other => panic!("{other:?}"),
            }
        }
    }
    let hard = contains(&json!({"pattern": "^(?=a)"}), &json!({"pattern": "^(?!b)"}), &Options::default());
    assert!(matches!(hard, Verdict::Unknown { rule: "UNDECIDED", .. }), "{hard:?}");
}

#[test]
fn what_other_checkers_miss() {
    // Bounds that a double can't tell apart, an overlap of `oneOf`, a change inside `else`, under `not`, of a name.
    breaking(
        "NUM_BOUND_TIGHTENED",
        &json!({"type": "integer"}),
        &json!({"type": "integer", "minimum": -9_007_199_254_740_993_i64}),
    );
    breaking("ONEOF_OVERLAP", &json!({"type": "integer"}), &json!({"oneOf": [{"type": "integer"}, {"multipleOf": 2}]}));
    breaking(
        "TYPE_NARROWED",
        &json!({"if": {"type": "object", "required": ["a"]}, "else": {"type": ["object", "null"]}}),
        &json!({"if": {"type": "object", "required": ["a"]}, "else": {"type": "object"}}),
    );
    breaking("NOT_WIDENED", &json!({"not": {"minimum": 5}}), &json!({"not": {"minimum": 4}}));
    compatible(&json!({"not": {"minimum": 4}}), &json!({"not": {"minimum": 5}}));
    breaking("STR_LENGTH", &json!({"propertyNames": {"maxLength": 3}}), &json!({"propertyNames": {"maxLength": 2}}));
    // A new property that is narrower than what additional ones may be, and one that is not.
    let old = json!({"additionalProperties": {"type": "string"}});
    breaking(
        "PROP_ADDED_PARTIAL",
        &old,
        &json!({"properties": {"a": {"maxLength": 3}}, "additionalProperties": {"type": "string"}}),
    );
    compatible(
        &old,
        &json!({"properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": {"type": "string"}}),
    );
    compatible(&json!({"type": "object"}), &json!(true));
    // Across drafts: a flag there is a number here.
    let draft4 = json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": true});
    compatible(&draft4, &json!({"exclusiveMinimum": 0}));
    compatible(&json!({"exclusiveMinimum": 0}), &draft4);
}

#[test]
fn what_says_the_same_is_within_itself_whatever_it_says() {
    // Found among random schemas: the search does not see the end of it.
    let hard = |word: &str, name: &str| {
        let (x, y) = (format!("#/definitions/x{name}"), format!("#/definitions/y{name}"));
        json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "definitions": {
                format!("x{name}"): {"properties": {"a": {"$ref": y}}}, format!("y{name}"): {"items": {"$ref": x}}
            },
            "patternProperties": {"b$": {"allOf": [{"$ref": x}], "enum": [{"a": -1, "b": 2}]}},
            "properties": {"c": {"description": word, "not": {"anyOf": [{"type": ["integer"]}]}}}
        })
    };
    compatible(&hard("one", ""), &hard("other", ""));
    compatible(&hard("", "1"), &hard("", "2"));
}

#[test]
fn a_format_beside_a_change_does_not_hide_it() {
    // Without `$schema` formats are asserted. What is required stands in every witness, with a text of its format.
    for format in ["date-time", "date", "time", "duration", "email", "ipv4", "ipv6", "uuid"] {
        let moment = json!({"type": "string", "format": format});
        let old = json!({"type": "object", "properties": {"at": moment}, "required": ["at"]});
        let new = json!({
            "type": "object", "properties": {"at": moment, "id": {"type": "integer"}}, "required": ["at", "id"]
        });
        for closed in [false, true] {
            let found = contains(&old, &new, &Options::default().closed_writer(closed));
            assert!(matches!(found, Verdict::Breaking { .. }), "{format} {closed}: {found:?}");
        }
        compatible(&new, &old);
    }
}

fn text(formats: &str, rest: Value) -> Value {
    let mut schema = json!({"type": "string", "x-celerysalt": {"formats": formats}});
    schema.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    schema
}

#[test]
fn formats_are_compared_by_their_texts() {
    for (formats, narrow, wide) in [
        // Names of which one takes more.
        ("pydantic", json!({"format": "uuid4"}), json!({"format": "uuid"})),
        ("pydantic", json!({"format": "date"}), json!({"format": "date-time"})),
        ("pydantic", json!({"format": "ipv4"}), json!({"format": "ipvanynetwork"})),
        ("pydantic", json!({"format": "ipv6network"}), json!({"format": "ipv6interface"})),
        ("assertion", json!({"format": "uri"}), json!({"format": "iri-reference"})),
        // A format and what else is asked of texts.
        ("pydantic", json!({"format": "uuid"}), json!({"minLength": 32, "maxLength": 45})),
        ("assertion", json!({"format": "date"}), json!({"pattern": "^[0-9]{4}-[01][0-9]-[0-3][0-9]$"})),
        ("assertion", json!({"format": "time"}), json!({"minLength": 9})),
        ("assertion", json!({"format": "duration"}), json!({"pattern": "^P.+[A-Z]$"})),
        ("pydantic", json!({"format": "ipv4"}), json!({"not": {"enum": ["", "256.0.0.1"]}})),
        ("pydantic", json!({"enum": ["P1D", "1 day, 10:30:00"]}), json!({"format": "duration"})),
        // None at all: no JSON is written so.
        ("pydantic", json!({"format": "json-string", "pattern": "^[ab]*$"}), json!({"format": "email"})),
    ] {
        let (narrow, wide) = (text(formats, narrow), text(formats, wide));
        compatible(&narrow, &wide);
        assert!(matches!(verdict(&wide, &narrow), Verdict::Breaking { .. }), "{wide} in {narrow}");
    }
}

#[test]
fn a_text_is_found_that_keeps_a_format_and_what_stands_beside_it() {
    for (formats, format) in [
        ("pydantic", "date-time"),
        ("pydantic", "date"),
        ("pydantic", "time"),
        ("pydantic", "duration"),
        ("assertion", "date-time"),
        ("assertion", "time"),
        ("assertion", "duration"),
    ] {
        let old = text(formats, json!({"format": format, "minLength": 5, "pattern": "[1-9]"}));
        let new = text(formats, json!({"format": format, "minLength": 5, "pattern": "[1-8]"}));
        compatible(&new, &old);
        assert!(matches!(verdict(&old, &new), Verdict::Breaking { .. }), "{old} in {new}");
    }
}

#[test]
fn a_text_of_one_format_is_none_of_another() {
    for (old, new) in [
        (json!({"format": "json-string", "pattern": ":"}), json!({"format": "email"})),
        (json!({"format": "date", "minLength": 36}), json!({"format": "email"})),
        // Only addresses with a scope end so.
        (json!({"format": "ipvanynetwork", "pattern": "Z$"}), json!({"format": "ipvanynetwork", "minLength": 11})),
    ] {
        let (old, new) = (text("pydantic", old), text("pydantic", new));
        assert!(matches!(verdict(&old, &new), Verdict::Breaking { .. }), "{old} in {new}");
    }
}

#[test]
fn a_text_that_is_hard_to_find_beside_recursion_is_not_looked_for_again_and_again() {
    // Any text that ends in two of these letters may be one, as far as the pattern around the format says; none is known.
    let text = json!({
        "type": "string", "format": "ipvanynetwork", "minLength": 11, "pattern": "[.][.]$",
        "properties": {"a": {"$ref": "#/definitions/x"}}
    });
    let definitions = json!({
        "x": {"properties": {"a": {"$ref": "#/definitions/y"}}}, "y": {"items": {"$ref": "#/definitions/x"}}, "z": {"maximum": 2}
    });
    let schema = |second: Value| {
        json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "x-celerysalt": {"formats": "pydantic"},
            "items": [text, second], "definitions": definitions
        })
    };
    let (written, referred) = (schema(json!({"maximum": 2})), schema(json!({"$ref": "#/definitions/z"})));
    compatible(&written, &referred);
    compatible(&referred, &written);
}

#[test]
fn drafts_read_formats_alike() {
    let drafts = ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"];
    let [old, new] = drafts.map(|draft| text("assertion", json!({"$schema": draft, "format": "date-time"})));
    compatible(&old, &new);
    compatible(&new, &old);
    // But one: labels that stand for other letters were just labels.
    let host = |draft: &str| text("assertion", json!({"$schema": draft, "format": "hostname"}));
    let found = breaking("STR_FORMAT_CHANGED", &host("http://json-schema.org/draft-06/schema#"), &host(drafts[0]));
    assert!(found.as_str().unwrap().contains("--"), "{found}");
}

#[test]
fn what_is_asserted_is_compared_and_what_is_not_is_no_change() {
    let (said, none) = (json!({"format": "date-time"}), json!({}));
    for formats in ["assertion", "pydantic"] {
        compatible(&text(formats, said.clone()), &text(formats, none.clone()));
        compatible(&text(formats, said.clone()), &text("annotation", said.clone()));
        for old in [text(formats, none.clone()), text("annotation", said.clone())] {
            assert!(matches!(verdict(&old, &text(formats, said.clone())), Verdict::Breaking { .. }), "{old}");
        }
    }
    compatible(&text("annotation", none), &text("annotation", said.clone()));
    // The standard has leap seconds, pydantic has times without a zone.
    for (old, new) in [("assertion", "pydantic"), ("pydantic", "assertion")] {
        let (old, new) = (text(old, said.clone()), text(new, said.clone()));
        assert!(matches!(verdict(&old, &new), Verdict::Breaking { .. }), "{old} in {new}");
    }
}

/// What is not understood of a recursive definition is the same on both sides, where both have all of it.
#[test]
fn definitions_that_both_have_are_the_same_and_others_are_not() {
    let schema = |deepest: Value, more: Value, rest: Value| {
        json!({
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "contains": {
                "additionalProperties": {"$ref": "#/$defs/y", "items": {"const": 0.5}},
                "anyOf": [
                    {"items": {"enum": [[null, null], 1.0], "exclusiveMinimum": 0.5, "type": "integer"}},
                    {"else": {"const": {"k": 2}}, "if": {"type": "string"}, "then": {"type": ["object", "null"]}}
                ],
                "propertyNames": {"minLength": 1, "pattern": "^a+$"}
            },
            "minContains": 1, "maxContains": 2,
            "$defs": {
                "x": {"properties": {"a": {"$ref": "#/$defs/y"}, "b": {"$ref": "#/$defs/z"}}},
                "y": {"items": {"$ref": "#/$defs/x"}},
                "z": deepest,
                "more": more
            },
            "additionalProperties": rest
        })
    };
    let (text, no) = (json!({"type": "string"}), json!({"allOf": [false]}));
    let old = schema(text.clone(), no.clone(), json!(false));
    let new = schema(text, no.clone(), json!({"$ref": "#/$defs/more"}));
    compatible(&old, &new);
    compatible(&new, &old);
    // Of the same words, but for what is two references away.
    let narrower = schema(json!({"type": "string", "maxLength": 1}), no, json!(false));
    assert_ne!(verdict(&old, &narrower), Verdict::Compatible);
    let list = |longest: u64| {
        json!({"$ref": "#/$defs/list", "$defs": {
            "list": {"properties": {"next": {"$ref": "#/$defs/list"}, "name": {"$ref": "#/$defs/name"}}},
            "name": {"type": "string", "maxLength": longest}
        }})
    };
    breaking("STR_LENGTH", &list(2), &list(1));
    compatible(&list(1), &list(2));
}

#[test]
fn recursion_ends_and_is_decided() {
    let tree = |value: Value| json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"v": value, "l": {"$ref": "#/$defs/n"}, "r": {"$ref": "#/$defs/n"}}, "required": ["v"]}}});
    compatible(&tree(json!({"type": "integer"})), &tree(json!({"type": "number"})));
    breaking("TYPE_NARROWED", &tree(json!({"type": "number"})), &tree(json!({"type": "integer"})));
    // No value is finite: whatever is asked of it holds.
    let endless = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}}});
    compatible(&endless, &json!(false));
}

/// A union of many kinds of events, told apart by one property.
fn union(kinds: usize, keyword: &str, bound: usize) -> Value {
    let branches: Vec<Value> = (0..kinds)
        .map(|kind| {
            json!({
                "type": "object",
                "properties": {
                    "kind": {"const": format!("kind{kind}")},
                    "amount": {"type": "integer", "minimum": 0, "maximum": 1000 + bound},
                    "text": {"type": "string", "maxLength": 100},
                },
                "required": ["kind", "amount"],
            })
        })
        .collect();
    json!({ keyword: branches })
}

#[test]
fn large_and_hostile_pairs_end_in_time() {
    for keyword in ["anyOf", "oneOf"] {
        compatible(&union(30, keyword, 0), &union(31, keyword, 0));
        compatible(&union(30, keyword, 0), &union(30, keyword, 1));
        assert!(matches!(verdict(&union(31, keyword, 0), &union(30, keyword, 0)), Verdict::Breaking { .. }));
    }
    let wide = |bound: i32| {
        let properties: serde_json::Map<String, Value> = (0..300)
            .map(|at| {
                (
                    format!("p{at}"),
                    json!({"type": "object", "properties": {"x": {"type": "integer", "maximum": bound}}}),
                )
            })
            .collect();
        let names: Vec<&String> = properties.keys().collect();
        json!({"type": "object", "required": names, "properties": properties, "additionalProperties": false})
    };
    compatible(&wide(5), &wide(6));
    breaking("NUM_BOUND_TIGHTENED", &wide(6), &wide(5));
    let names = |count: usize| json!({"enum": (0..count).map(|at| format!("value{at}")).collect::<Vec<_>>()});
    compatible(&names(5_000), &names(5_001));
    breaking("ENUM_VALUE_REMOVED", &names(5_001), &names(5_000));
    let deep = |levels: usize, leaf: Value| (0..levels).fold(leaf, |inner, _| json!({"properties": {"a": inner}}));
    for levels in [10, 30, 40, 60] {
        let (old, new) = (deep(levels, json!({"minimum": 1})), deep(levels, json!({"minimum": 0})));
        assert!(!matches!(verdict(&old, &new), Verdict::Breaking { .. }));
        assert!(!matches!(verdict(&new, &old), Verdict::Compatible));
    }
    let chain = |last: Value| {
        let mut shared: serde_json::Map<String, Value> = (0..3_000)
            .map(|at| (format!("d{at}"), json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", at + 1)}}})))
            .collect();
        shared.insert("d3000".to_owned(), last);
        json!({"$ref": "#/$defs/d0", "$defs": shared})
    };
    assert!(!matches!(verdict(&chain(json!({"minimum": 1})), &chain(json!({"minimum": 2}))), Verdict::Compatible));
    // Work that nests: items that must exist within items, schemas within schemas.
    let nest = |levels: usize, around: &dyn Fn(Value) -> Value| {
        (0..levels).fold(json!({"minimum": 1}), |inner, _| around(inner))
    };
    let around: [&dyn Fn(Value) -> Value; 8] = [
        &|inner| json!({"items": inner, "minItems": 600, "type": "array"}),
        &|inner| json!({"additionalProperties": inner, "minProperties": 200, "type": "object"}),
        &|inner| json!({"contains": inner, "minContains": 30, "type": "array"}),
        &|inner| json!({"contains": inner, "minContains": 2, "maxContains": 3, "uniqueItems": true, "minItems": 1}),
        &|inner| json!({"not": inner}),
        &|inner| json!({"oneOf": [inner, {"type": "null"}]}),
        &|inner| json!({"patternProperties": {"^a": inner, "b$": {"minProperties": 1}}, "minProperties": 3}),
        &|inner| json!({"if": inner, "then": {"maxLength": 2}}),
    ];
    for around in around {
        for levels in [5, 20, 45] {
            let (one, other) = (nest(levels, around), nest(levels + 1, around));
            verdict(&one, &other);
            verdict(&other, &one);
        }
    }
    // Automata that double with each letter, and a product of two.
    let far = |from: &str, count: usize| json!({"pattern": format!("{from}[ab]{{{count}}}$")});
    for (old, new) in [(far("a", 30), far("b", 30)), (far("^(a|b)*a", 25), far("^(a|b)*a", 26))] {
        assert!(!matches!(verdict(&old, &new), Verdict::Compatible));
    }
    verdict(&json!({"pattern": "^(([a-z]+\\.)*[a-z]+@)+$"}), &json!({"pattern": "^[\\w.@]{3,400}$"}));
    verdict(&json!({"pattern": "^\\w{1,64}$"}), &json!({"pattern": "^[\\p{L}\\p{N}_]{1,80}$"}));
    verdict(&json!({"minLength": 1_000_000_000}), &json!({"maxLength": 10}));
    verdict(&json!({"minItems": 1_000_000_000}), &json!({"maxItems": 10}));
    verdict(&json!({"multipleOf": 1e-300}), &json!({"multipleOf": 1e300}));
    verdict(&json!({"multipleOf": 1e300, "minimum": 1}), &json!({"maximum": 1e-300}));
    // Many choices that have nothing to do with each other.
    let choices = |count: usize| {
        let rules: Vec<Value> = (0..count)
            .map(|at| json!({"anyOf": [{"required": [format!("a{at}")]}, {"required": [format!("b{at}")]}, {"maxProperties": at}]}))
            .collect();
        json!({"type": "object", "allOf": rules})
    };
    verdict(&choices(20), &choices(21));
    verdict(&choices(21), &choices(20));
    let few = |count: u64| json!({"contains": {"type": "string"}, "minContains": count, "maxContains": count + 30, "uniqueItems": true});
    verdict(&few(10), &few(11));
    verdict(&json!({"not": {"not": few(25)}, "maxItems": 40}), &few(3));
}
