//! `celerysalt sync` and what reads from a registry, on a real PostgreSQL: without one, these tests fail.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::{Folder, Run, postgres::Schema};

fn actions(run: &Run) -> Vec<String> {
    let document = run.json();
    let steps = document["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| {
            let text = |member: &str| step[member].as_str().unwrap().to_owned();
            format!("{}@{} {}", text("topic"), text("version"), text("action"))
        })
        .collect()
}

#[test]
fn a_release_is_synced_once_and_read_by_others() {
    let (folder, schema) = (Folder::with_contracts(), Schema::fresh());
    let sync = ["sync", "--schemas", "schemas", "--registry", &schema.url, "--format", "json"];

    let run = folder.run(&[&sync[..], &["--dry-run"]].concat());
    assert_eq!((run.status, &run.json()["applied"]), (0, &json!(false)), "{run:?}");
    let run = folder.run(&["list-events", "--registry", &schema.url]);
    assert_eq!(run.status, 2, "a dry run made the tables: {run:?}");
    assert!(run.stderr.contains("celerysalt sync"), "{run:?}");

    let run = folder.run(&sync);
    assert_eq!((run.status, &run.json()["applied"]), (0, &json!(true)), "{run:?}");
    assert_eq!(
        actions(&run),
        ["pulse.risk.created@v1 create", "pulse.risk.created@v2 create", "rpc.risk.get@v1 create"]
    );
    let run = folder.run(&sync);
    assert_eq!(
        actions(&run),
        ["pulse.risk.created@v1 unchanged", "pulse.risk.created@v2 unchanged", "rpc.risk.get@v1 unchanged"]
    );

    // Elsewhere, where there is no such folder: the registry and the folder say the same.
    let elsewhere = Folder::empty();
    for question in [
        &["list-events"][..],
        &["list-events", "pulse.#@latest"],
        &["show", "pulse.risk.created"],
        &["show", "rpc.risk.get@v1"],
    ] {
        for format in ["text", "json"] {
            let arguments = [question, &["--format", format]].concat();
            let from_folder = folder.run(&arguments);
            let from_registry = Run::of(elsewhere.command(&arguments).env("CELERYSALT_REGISTRY_URL", &schema.url));
            assert_eq!(from_registry.status, 0, "{from_registry:?}");
            if question[0] != "show" {
                assert_eq!(from_registry.stdout, from_folder.stdout, "{arguments:?}");
            } else if format == "text" {
                // A registry also knows what became of the contract.
                let life = from_registry.stdout.strip_prefix(&from_folder.stdout).unwrap();
                assert!(life.starts_with("released     20") && life.contains("(role "), "{life}");
            } else {
                let mut document = from_registry.json();
                let history = document.as_object_mut().unwrap().remove("history").unwrap();
                assert_eq!(history[0]["action"], "create");
                for member in ["publishers", "subscribers"] {
                    assert_eq!(document.as_object_mut().unwrap().remove(member), Some(json!([])));
                }
                assert_eq!(document, from_folder.json(), "{arguments:?}");
            }
        }
    }
}

#[test]
fn a_changed_contract_is_a_conflict_and_nothing_is_written() {
    let (folder, schema) = (Folder::with_contracts(), Schema::fresh());
    let sync = ["sync", "--registry", &schema.url];
    assert_eq!(folder.run(&sync).status, 0);

    let path = "schemas/pulse.risk.created/v1.json";
    let original = folder.read(path);
    folder.write(path, &original.replace("\"maximum\":10", "\"maximum\":100"));
    folder.write("schemas/a.b/v1.json", r#"{"type": "object"}"#);
    let run = folder.run(&sync);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("pulse.risk.created@v1  conflict\n"), "{run:?}");
    assert!(run.stdout.contains("- /properties/score/maximum: 10\n"), "{run:?}");
    assert!(run.stdout.contains("+ /properties/score/maximum: 100\n"), "{run:?}");
    assert!(run.stderr.contains("nothing is written") && run.stderr.contains("new version"), "{run:?}");
    let run = folder.run(&[&sync[..], &["--format", "json"]].concat());
    assert_eq!((run.status, &run.json()["applied"]), (1, &json!(false)));
    assert_eq!(run.json()["steps"][1]["differences"].as_array().unwrap().len(), 2);
    let run = folder.run(&["list-events", "--registry", &schema.url]);
    assert!(!run.stdout.contains("a.b"), "{run:?}");

    folder.write(path, &original.replace("A risk was found", "A risk has been found"));
    let run = folder.run(&[&sync[..], &["--format", "json"]].concat());
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(actions(&run)[..2], ["a.b@v1 create", "pulse.risk.created@v1 update"]);
    let run = folder.run(&["show", "pulse.risk.created@v1", "--registry", &schema.url]);
    assert!(run.stdout.contains("A risk has been found."), "{run:?}");
}

#[test]
fn contracts_that_want_no_registry_are_left_out() {
    let (folder, schema) = (Folder::with_contracts(), Schema::fresh());
    folder.write("schemas/a.b/v1.json", r#"{"type": "object", "x-celerysalt": {"registry": false}}"#);
    let run = folder.run(&["sync", "--registry", &schema.url, "--format", "json"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(!actions(&run).iter().any(|action| action.starts_with("a.b@")), "{run:?}");
}

#[test]
fn a_registry_that_is_away_is_a_failure_without_its_password() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["sync", "--registry", "postgres://ann:s3cret@127.0.0.1:9/test", "--format", "json"]);
    assert_eq!((run.status, &run.json()["error"]["kind"]), (2, &json!("registry-unavailable")), "{run:?}");
    assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"), "{run:?}");
}
