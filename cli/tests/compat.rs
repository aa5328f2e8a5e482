//! `celerysalt compat`, run as users run it.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Folder, Run};

fn compat(old: &Value, new: &Value, arguments: &[&str]) -> Run {
    let folder = Folder::empty();
    folder.write("old.json", &old.to_string());
    folder.write("new.json", &new.to_string());
    folder.run(&[&["compat", "old.json", "new.json"], arguments].concat())
}

fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn changes_that_surprise_nobody_are_fine() {
    let old = object(json!({"id": {"type": "string"}, "amount": {"type": "integer"}}), json!(["id"]));
    let mut described = old.clone();
    described["description"] = json!("Something else.");
    described["properties"]["id"]["title"] = json!("Id");
    let wider = object(
        json!({"id": {"type": "string"}, "amount": {"type": "integer"}, "note": {"type": "string"}}),
        json!(["id"]),
    );
    let split = object(
        json!({"id": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 4}]},
            "amount": {"type": "integer"}}),
        json!(["id"]),
    );
    for new in [&old, &described, &wider, &split] {
        let run = compat(&old, new, &[]);
        assert_eq!((run.status, run.stderr.trim()), (0, "compatible"), "{run:?}");
        assert_eq!(run.stdout.lines().count(), 2, "{run:?}");
    }
    let number = object(json!({"id": {"type": "string"}, "amount": {"type": "number"}}), json!(["id"]));
    assert_eq!(compat(&old, &number, &["--direction", "backward"]).status, 0);
    assert_eq!(compat(&old, &number, &["--direction", "forward"]).status, 1);
}

#[test]
fn a_break_is_shown_by_an_example_and_its_place() {
    let old = object(json!({"kind": {"enum": ["a", "b"]}}), json!(["kind"]));
    let new = object(json!({"kind": {"enum": ["a"]}}), json!(["kind"]));
    let run = compat(&old, &new, &[]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("backward: breaking: NEW refuses what OLD allows\n"), "{run:?}");
    assert!(run.stdout.contains("  example: {\"kind\":\"b\"}\n"), "{run:?}");
    assert!(
        run.stdout.contains("  ENUM_VALUE_REMOVED at /properties/kind/enum of NEW (/properties/kind/enum of OLD)\n")
    );
    assert!(run.stdout.contains("forward: compatible"), "{run:?}");
    assert!(run.stderr.contains("new major version"), "{run:?}");

    let document = compat(&old, &new, &["--format", "json"]).json();
    assert_eq!((&document["verdict"], &document["writers"]), (&json!("breaking"), &json!("closed")));
    assert_eq!(document["checks"][0]["witness"], json!({"kind": "b"}));
    assert_eq!(document["checks"][0]["findings"][0]["rule"], "ENUM_VALUE_REMOVED");
    assert_eq!(document["checks"][1], json!({"direction": "forward", "verdict": "compatible"}));
}

/// Half-way between two bounds that no float tells apart.
#[test]
fn a_bound_that_is_tightened_by_1e_17_is_breaking_with_all_its_digits() {
    let folder = Folder::empty();
    let order = |bound: &str| {
        format!(r#"{{"type": "object", "properties": {{"share": {{"type": "number", "exclusiveMaximum": {bound}}}}}}}"#)
    };
    folder.write("old.json", &order("1.0"));
    folder.write("new.json", &order("0.99999999999999999"));
    let run = folder.run(&["compat", "old.json", "new.json"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("  example: {\"share\":0.99999999999999999}\n"), "{run:?}");
    assert!(run.stdout.contains("  NUM_BOUND_TIGHTENED at /properties/share/exclusiveMaximum of NEW"), "{run:?}");
    assert!(run.stdout.contains("forward: compatible"), "{run:?}");
    let document = folder.run(&["compat", "old.json", "new.json", "--format", "json"]).json();
    let check = &document["checks"][0];
    assert_eq!(
        (&check["witness_text"], &check["witness"]["share"]),
        (&json!("{\"share\":0.99999999999999999}"), &json!(1.0))
    );

    // The same as versions of a contract, with the old bound's digits in a fragment.
    for (version, bound) in [("v1", "1.0"), ("v1.1", "0.99999999999999999")] {
        folder.write(&format!("schemas/orders.shared/{version}.json"), &order(bound));
    }
    std::fs::create_dir_all(folder.path("released")).unwrap();
    folder.write("released/orders.shared/v1.json", &order("1.0"));
    let run = folder.run(&["breaking", "--against", "released"]);
    assert!(run.status == 1 && run.stdout.contains("NUM_BOUND_TIGHTENED: readers of v1.1 refuse"), "{run:?}");
    assert!(run.stdout.contains("  example: {\"share\":0.99999999999999999}\n"), "{run:?}");
}

#[test]
fn writers_send_what_they_declare_unless_told_otherwise() {
    let old = object(json!({"id": {"type": "string"}}), json!([]));
    let new = object(json!({"id": {"type": "string"}, "note": {"type": "string"}}), json!([]));
    assert_eq!(compat(&old, &new, &[]).status, 0);
    for open in ["--literal", "--open-writers"] {
        let run = compat(&old, &new, &[open, "--direction", "backward", "--format", "json"]);
        assert_eq!((run.status, &run.json()["writers"]), (1, &json!("open")), "{run:?}");
        assert!(run.json()["checks"][0]["witness"]["note"].is_null(), "{run:?}");
    }
    // A reader that closes its object refuses what the other declares.
    let mut closed = old.clone();
    closed["additionalProperties"] = json!(false);
    assert_eq!(compat(&closed, &new, &[]).status, 1);
    assert_eq!(compat(&closed, &new, &["--direction", "backward"]).status, 0);
    // Closed all the way down, and through references.
    let nested =
        |inner: Value| json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"properties": inner}}});
    let more = nested(json!({"x": {"type": "string"}, "y": {"type": "null"}}));
    assert_eq!(compat(&nested(json!({"x": {"type": "string"}})), &more, &[]).status, 0);
    // Declared together, by two schemas that hold at once.
    let parts = json!({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "null"}}}]});
    let narrower = json!({"properties": {"b": {"type": "integer"}}});
    assert_eq!(compat(&parts, &narrower, &["--direction", "backward"]).status, 1);
    // An object without declarations is free.
    let free = json!({"type": "object"});
    assert_eq!(compat(&free, &old, &["--direction", "backward"]).status, 1);
}

#[test]
fn what_can_not_be_decided_is_no_guess() {
    let run = compat(&json!({"pattern": "^(?=a)"}), &json!({"pattern": "^(?!b)"}), &["--direction", "backward"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stdout.starts_with("backward: could not decide: "), "{run:?}");
    assert!(run.stderr.contains("treat it as breaking"), "{run:?}");
}

#[test]
fn what_is_no_schema_is_a_failure() {
    let folder = Folder::empty();
    folder.write("good.json", "{}");
    folder.write("broken.json", "{");
    folder.write("bad.json", r#"{"type": "strin"}"#);
    folder.write("away.json", r#"{"$ref": "https://example.com/x.json"}"#);
    for name in ["missing.json", "broken.json", "bad.json", "away.json"] {
        let run = folder.run(&["compat", "good.json", name]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(name), "{run:?}");
    }
    assert_eq!(folder.run(&["compat", "good.json", "good.json", "--literal", "--open-writers"]).status, 2);
}
