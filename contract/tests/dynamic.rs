//! Dynamic references between files mean what they mean in one document.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::{fs, path::PathBuf};

use celerysalt_contract::{Catalog, Exact};
use serde_json::{Value, json};

/// The bundled schema of `a.b/v1.json` in a folder of these files.
fn bundled(name: &str, files: &[(&str, Value)]) -> Value {
    let root: PathBuf = std::env::temp_dir().join(format!("celerysalt-dynamic-{}-{name}", std::process::id()));
    for (path, schema) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, schema.to_string()).unwrap();
    }
    let catalog = Catalog::load(&root).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
    fs::remove_dir_all(&root).unwrap();
    catalog.contracts[0].request.schema.clone()
}

fn verdicts(schema: &Value, cases: &[(Value, bool)]) {
    let text = schema.to_string();
    assert!(!text.contains("dynamic") && !text.contains("recursive"), "{text}");
    let exact = Exact::new(schema).unwrap();
    for (payload, valid) in cases {
        assert_eq!(exact.accepts(payload.to_string().as_bytes()), *valid, "{payload} under {schema}");
    }
}

/// The example of the standard: a tree that is extended from outside (JSON Schema 2020-12, core, appendix C).
#[test]
fn a_tree_is_extended_from_outside() {
    let tree = json!({
        "$dynamicAnchor": "node", "type": "object",
        "properties": {"data": true, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}}
    });
    let strict = json!({
        "title": "T", "$dynamicAnchor": "node", "$ref": "../_common/tree.json", "unevaluatedProperties": false
    });
    let schema = bundled("strict", &[("_common/tree.json", tree.clone()), ("a.b/v1.json", strict)]);
    verdicts(
        &schema,
        &[
            (json!({"children": [{"data": 1}]}), true),
            (json!({"daat": 1}), false),
            (json!({"children": [{"daat": 1}]}), false),
            (json!({"children": [{"children": [{"daat": 1}]}]}), false),
        ],
    );
    // Reached from a file that extends nothing, it is what it says.
    let plain = json!({"title": "T", "type": "object", "properties": {"t": {"$ref": "../_common/tree.json"}}});
    let schema = bundled("plain", &[("_common/tree.json", tree), ("a.b/v1.json", plain)]);
    verdicts(
        &schema,
        &[(json!({"t": {"children": [{"daat": 1}]}}), true), (json!({"t": {"children": [{"children": 1}]}}), false)],
    );
}

/// One list of numbers and one of texts from one generic list, in one contract.
#[test]
fn a_generic_is_bound_twice() {
    let list = json!({
        "type": "array", "items": {"$dynamicRef": "#item"},
        "$defs": {"item": {"$dynamicAnchor": "item", "not": {}}}
    });
    let of = |item: Value| json!({"$ref": "list.json", "$defs": {"item": {"$dynamicAnchor": "item", "allOf": [item]}}});
    let event = json!({
        "title": "T", "type": "object",
        "properties": {"n": {"$ref": "../_common/numbers.json"}, "t": {"$ref": "../_common/texts.json"}}
    });
    let schema = bundled(
        "generic",
        &[
            ("_common/list.json", list),
            ("_common/numbers.json", of(json!({"type": "number"}))),
            ("_common/texts.json", of(json!({"type": "string"}))),
            ("a.b/v1.json", event),
        ],
    );
    verdicts(
        &schema,
        &[
            (json!({"n": [1, 2], "t": ["a"]}), true),
            (json!({"n": ["a"]}), false),
            (json!({"t": [1]}), false),
            (json!({"n": [], "t": []}), true),
        ],
    );
}

/// The same in one file with schemas of their own `$id`.
#[test]
fn resources_inside_one_file_count_as_files_do() {
    let event = json!({
        "$id": "https://e.org/event", "title": "T", "type": "object",
        "properties": {"n": {"$ref": "numbers"}, "any": {"$ref": "list"}},
        "$defs": {
            "list": {
                "$id": "list", "type": "array", "items": {"$dynamicRef": "#item"},
                "$defs": {"item": {"$dynamicAnchor": "item"}}
            },
            "numbers": {
                "$id": "numbers", "$ref": "list", "$defs": {"item": {"$dynamicAnchor": "item", "type": "number"}}
            }
        }
    });
    let schema = bundled("inner", &[("a.b/v1.json", event)]);
    verdicts(
        &schema,
        &[(json!({"n": [1], "any": ["a"]}), true), (json!({"n": ["a"]}), false), (json!({"any": 1}), false)],
    );
}

#[test]
fn recursive_references_of_2019_09_as_well() {
    let draft = "https://json-schema.org/draft/2019-09/schema";
    let tree = json!({
        "$schema": draft, "$recursiveAnchor": true, "type": "object",
        "properties": {"children": {"type": "array", "items": {"$recursiveRef": "#"}}}
    });
    let strict = json!({
        "$schema": draft, "title": "T", "$recursiveAnchor": true, "$ref": "../_common/tree.json",
        "unevaluatedProperties": false
    });
    let schema = bundled("recursive", &[("_common/tree.json", tree), ("a.b/v1.json", strict)]);
    verdicts(&schema, &[(json!({"children": [{}]}), true), (json!({"children": [{"x": 1}]}), false)]);
}
