//! `celerysalt validate`, run as users run it.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::Folder;

#[test]
fn sound_contracts_are_fine() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["validate"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(run.stderr.starts_with("3 contracts, 0 errors"), "{run:?}");
    let run = folder.run(&["validate", "--schemas", "schemas", "--format", "json"]);
    assert_eq!((run.status, run.json()), (0, json!({"contracts": 3, "findings": []})));
}

#[test]
fn every_finding_of_every_file_is_told_with_its_place() {
    let folder = Folder::with_contracts();
    folder.write("schemas/a.b/v1.json", "{\n  \"type\": \"strin\"\n}\n");
    folder.write("schemas/a.c/v1.json", "{\"type\": ");
    let run = folder.run(&["validate"]);
    assert_eq!(run.status, 1, "{run:?}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("schemas/a.b/v1.json:2:11: ")), "{run:?}");
    assert!(lines.iter().any(|line| line.starts_with("schemas/a.c/v1.json:1:")), "{run:?}");
    assert!(!run.stdout.contains('\u{1b}'), "colour in a pipe: {run:?}");

    let run = folder.run(&["--format=json", "validate"]);
    let document = run.json();
    assert_eq!((run.status, &document["contracts"]), (1, &json!(null)));
    let paths: Vec<_> = document["findings"].as_array().unwrap().iter().map(|found| found["path"].clone()).collect();
    assert!(
        paths.contains(&json!("schemas/a.b/v1.json")) && paths.contains(&json!("schemas/a.c/v1.json")),
        "{paths:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_a_failure_and_no_finding() {
    let folder = Folder::empty();
    let run = folder.run(&["validate"]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("can't read the schemas folder schemas"), "{run:?}");
    let run = folder.run(&["validate", "--schemas", "elsewhere", "--format", "json"]);
    assert_eq!((run.status, &run.json()["error"]["kind"]), (2, &json!("folder")), "{run:?}");
}

#[test]
fn payloads_are_checked_and_their_values_kept_quiet() {
    let folder = Folder::with_contracts();
    folder.write("good.json", r#"{"id": "r1", "score": 9.5, "extra": 1}"#);
    folder.write("bad.json", r#"{"id": "r1", "score": 4711, "extra": "s3cret"}"#);
    folder.write("broken.json", "{\"id\": \"s3cret\"");

    let run = folder.run(&["validate", "--contract", "pulse.risk.created", "good.json"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(run.stderr.contains("1 payload valid by pulse.risk.created@v2"), "{run:?}");

    let arguments = ["validate", "--contract", "pulse.risk.created@v2", "good.json", "bad.json", "broken.json"];
    let run = folder.run(&arguments);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("bad.json: /score: maximum: expected"), "{run:?}");
    assert!(run.stdout.contains("bad.json: /extra: type: expected"), "{run:?}");
    assert!(run.stdout.contains("broken.json: this is no JSON document"), "{run:?}");
    assert!(run.stderr.contains("2 of 3 payloads not valid"), "{run:?}");
    for secret in ["s3cret", "4711"] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }

    let run = folder.run(&[&arguments[..], &["--format", "json"]].concat());
    let document = run.json();
    assert_eq!(run.status, 1);
    assert_eq!(document["contract"], json!({"topic": "pulse.risk.created", "version": "v2"}));
    assert_eq!(document["payloads"][0], json!({"path": "good.json", "valid": true, "violations": []}));
    assert_eq!(document["payloads"][1]["violations"][1]["pointer"], "/score");
    assert_eq!(document["payloads"][1]["violations"][1]["keyword"], "maximum");
    assert_eq!(document["payloads"][2]["valid"], false);
}

#[test]
fn a_payload_may_come_from_standard_input() {
    let folder = Folder::with_contracts();
    let arguments = ["validate", "--contract", "pulse.risk.created@v1", "-"];
    assert_eq!(folder.run_with_input(&arguments, r#"{"id": "r1", "score": 0}"#).status, 0);
    let run = folder.run_with_input(&arguments, r#"{"id": ""}"#);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("-: required: expected") && run.stdout.contains("-: /id: minLength"), "{run:?}");
}

#[test]
fn a_schema_is_named_however_people_name_files() {
    let folder = Folder::empty();
    folder.write("order.json", r#"{"properties": {"id": {"$ref": "parts/id.json"}}, "required": ["id"]}"#);
    folder.write("parts/id.json", r#"{"type": "integer"}"#);
    folder.write("good.json", r#"{"id": 1}"#);
    folder.write("bad.json", r#"{"id": "1"}"#);
    let whole = folder.path("order.json");
    for schema in ["order.json", "./order.json", whole.to_str().unwrap()] {
        for root in [&[][..], &["--root", "."], &["--root", folder.path(".").to_str().unwrap()]] {
            let run = folder.run(&[&["validate", "--schema", schema, "good.json"], root].concat());
            assert_eq!(run.status, 0, "{schema} {root:?}: {run:?}");
            let run = folder.run(&[&["validate", "--schema", schema, "bad.json"], root].concat());
            assert!(run.status == 1 && run.stdout.contains("bad.json: /id: type"), "{schema} {root:?}: {run:?}");
        }
    }
    let run = folder.run(&["validate", "--schema", "order.json", "--root", "parts", "good.json"]);
    assert!(run.status == 2 && run.stderr.contains("order.json is not below parts"), "{run:?}");
}

#[test]
fn what_is_asked_for_must_be_there() {
    let folder = Folder::with_contracts();
    folder.write("good.json", "{}");
    for (arguments, said) in [
        (&["validate", "--contract", "pulse.risk.created@v3", "good.json"][..], "no contract pulse.risk.created@v3"),
        (&["validate", "--contract", "pulse.*", "good.json"], "is a pattern"),
        (&["validate", "--contract", "pulse..risk", "good.json"], "empty word"),
        (&["validate", "--contract", "pulse.risk.created", "missing.json"], "can't read missing.json"),
        (&["validate", "--contract", "pulse.risk.created"], "<PAYLOAD>"),
        (&["validate", "good.json"], "--contract"),
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.status, 2, "{run:?}");
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{run:?}");
    }
}
