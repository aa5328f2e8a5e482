//! A part of the corpora, small enough for every run of the tests; `cargo xtask conformance` runs all of them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// The exit status, what was said, and the figures.
fn run(name: &str, arguments: &[&str]) -> (Option<i32>, String, Value) {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let _ = fs::remove_file(&json);
    let mut command = Command::new(env!("CARGO_BIN_EXE_celerysalt-conformance"));
    command.args(arguments).stdin(Stdio::null());
    if arguments.first() == Some(&"schemas") {
        command.arg("--json").arg(&json);
    }
    let output = command.output().unwrap();
    let figures = fs::read_to_string(&json).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said, figures)
}

#[test]
fn some_of_the_official_suite_is_decided_as_it_says() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/json-schema-test-suite");
    let (status, said, figures) =
        run("suite", &["schemas", suite.to_str().unwrap(), "--draft", "7", "--limit", "60", "--jobs", "2"]);
    assert_eq!(status, Some(0), "{said}");
    let row = &figures["groups"]["tests/draft7"];
    assert!(row["compiled"].as_u64() > Some(40) && row["right"].as_u64() > Some(100), "{said}");
    assert_eq!((&row["wrong"], &row["unequal"]), (&json!(0), &json!(0)), "{said}");
}

#[test]
fn random_schemas_are_decided_as_by_the_library() {
    let (status, said, _) = run("fuzz", &["fuzz", "--schemas", "60", "--instances", "40", "--seed", "11"]);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn what_is_wrong_is_found_and_told() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("testdata")).unwrap();
    let write = |name: &str, value: Value| fs::write(folder.join(name), value.to_string()).unwrap();
    let suite = |valid| {
        json!([{"description": "d", "schema": {"type": "object", "required": ["a"]},
        "tests": [{"description": "right", "data": {"a": 1}, "valid": true}, {"description": "other", "data": {}, "valid": valid}]}])
    };
    write("right.json", suite(false));
    write("label.json", suite(true));
    write("refused.json", json!({"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}));
    write(
        "Shared.json",
        json!({"$id": "https://example.com/shared", "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
    );
    write(
        "User.json",
        json!({"type": "object", "properties": {"a": {"$ref": "Shared.json"}, "b": {"$ref": "https://example.com/shared"}}}),
    );
    write("testdata/User-good.json", json!({"a": {"n": 1}, "b": {"n": 2}}));
    write("testdata/User-invalid.json", json!({"a": {"n": 1}, "b": {}}));
    let (status, said, figures) = run("wrong", &["schemas", folder.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    let failures: Vec<(&str, &str)> = figures["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| (failure["kind"].as_str().unwrap(), failure["schema"].as_str().unwrap()))
        .collect();
    assert_eq!(failures, [("refused", "refused.json"), ("verdict", "label.json#0 d")], "{said}");
    let row = &figures["groups"]["."];
    assert_eq!((&row["compiled"], &row["right"], &row["wrong"]), (&json!(2), &json!(2), &json!(0)), "{said}");
    assert_eq!(run("none", &["schemas", folder.join("testdata/none").to_str().unwrap()]).0, Some(2));
}
