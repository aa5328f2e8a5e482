//! What becomes of released contracts: deprecated, shown with who uses them, listed by what is looked for.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::Folder;

fn released() -> (Folder, String) {
    let folder = Folder::with_contracts();
    let url = format!("sqlite:{}", folder.path("contracts.db").display());
    let run = folder.run(&["sync", "--registry", &url]);
    assert_eq!(run.status, 0, "{run:?}");
    (folder, url)
}

#[test]
fn a_deprecation_is_told_everywhere_and_taken_back() {
    let (folder, url) = released();
    let change = |command, reason| {
        folder.run(&[command, "pulse.risk.created@v1", "--reason", reason, "--registry", &url, "--format", "json"])
    };
    let run = change("deprecate", "use v2");
    assert_eq!((run.status, &run.json()["changed"]), (0, &json!(true)), "{run:?}");
    let run = change("deprecate", "again");
    assert_eq!((run.status, &run.json()["changed"]), (0, &json!(false)), "{run:?}");

    let run = folder.run(&["list-events", "--registry", &url]);
    assert_eq!(run.stdout.matches("(deprecated)").count(), 1, "{run:?}");
    let run = folder.run(&["list-events", "--deprecated", "--registry", &url, "--format", "json"]);
    assert_eq!(run.json()["contracts"].as_array().unwrap().len(), 1, "{run:?}");
    let run = folder.run(&["show", "pulse.risk.created@v1", "--registry", &url]);
    assert!(run.stdout.contains("deprecated  ") && run.stdout.contains(": use v2\n"), "{run:?}");
    // A release does not take it back.
    let run = folder.run(&["sync", "--registry", &url]);
    assert!(run.status == 0 && run.stderr.contains("3 unchanged"), "{run:?}");

    assert_eq!(change("undeprecate", "it is needed").status, 0);
    let run = folder.run(&["registry", "log", "pulse.risk.created@v1", "--registry", &url, "--format", "json"]);
    let entries = run.json()["entries"].clone();
    let told: Vec<(&str, &str)> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("create", ""), ("deprecate", "use v2"), ("undeprecate", "it is needed")], "{run:?}");
    assert!(entries[0]["service"] == "celerysalt" && entries[0]["host"] != "", "{entries}");
}

#[test]
fn what_can_not_be_deprecated_says_why() {
    let (folder, url) = released();
    for (contract, reason, status, kind) in [
        ("pulse.risk.created@v9", "x", 2, "not-found"),
        ("pulse.risk.created", "x", 2, "arguments"),
        ("pulse.#@v1", "x", 2, "arguments"),
        ("pulse.risk.created@v1", "  ", 2, "arguments"),
    ] {
        let run = folder.run(&["deprecate", contract, "--reason", reason, "--registry", &url, "--format", "json"]);
        assert_eq!((run.status, run.json()["error"]["kind"].as_str()), (status, Some(kind)), "{run:?}");
    }
}

#[test]
fn a_loser_is_told_who_won() {
    let (folder, url) = released();
    let path = "schemas/pulse.risk.created/v1.json";
    folder.write(path, &folder.read(path).replace("\"maximum\":10", "\"maximum\":11"));
    let run = folder.run(&["sync", "--registry", &url]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("released at 20") && run.stdout.contains("by service celerysalt on host"), "{run:?}");
    let run = folder.run(&["sync", "--registry", &url, "--format", "json"]);
    assert_eq!(run.json()["steps"][0]["released"]["action"], "create", "{run:?}");
}

#[test]
fn a_new_version_that_breaks_its_major_is_not_released() {
    let (folder, url) = released();
    let v1 = folder.read("schemas/pulse.risk.created/v1.json");
    folder.write("schemas/pulse.risk.created/v1.1.json", &v1.replace("\"maximum\":10", "\"maximum\":5"));
    folder.write("schemas/a.b/v1.json", r#"{"type": "object"}"#);
    for arguments in [&["sync", "--registry", &url][..], &["sync", "--registry", &url, "--dry-run"]] {
        let run = folder.run(arguments);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.stdout.contains("pulse.risk.created@v1.1  breaking"), "{run:?}");
        assert!(run.stdout.contains("against v1") && run.stdout.contains("example: {"), "{run:?}");
    }
    let run = folder.run(&["list-events", "--registry", &url, "--format", "json"]);
    assert_eq!(run.json()["contracts"].as_array().unwrap().len(), 3, "nothing was written: {run:?}");

    // A new field breaks nobody, a new major may.
    folder.write(
        "schemas/pulse.risk.created/v1.1.json",
        &v1.replace("\"score\":", "\"note\":{\"type\":\"string\"},\"score\":"),
    );
    folder.write("schemas/pulse.risk.created/v3.json", &v1.replace("\"maximum\":10", "\"maximum\":5"));
    let run = folder.run(&["sync", "--registry", &url]);
    assert!(run.status == 0 && run.stderr.contains("3 created"), "{run:?}");
    folder.write("schemas/pulse.risk.created/v1.2.json", &v1.replace("\"maximum\":10", "\"maximum\":5"));
    let run = folder.run(&["sync", "--registry", &url, "--allow-breaking"]);
    assert!(run.status == 0 && run.stderr.contains("1 created"), "{run:?}");
}

#[test]
fn contracts_are_found_by_what_they_say() {
    let (folder, url) = released();
    folder.write(
        "schemas/orders.created/v1.json",
        r#"{"type": "object", "properties": {"amount": {"type": "integer", "description": "In CENTS."}},
            "x-celerysalt": {"owner": "payments"}}"#,
    );
    assert_eq!(folder.run(&["sync", "--registry", &url]).status, 0);
    for (arguments, expected) in [
        (&["--grep", "cents"][..], &["orders.created@v1"][..]),
        (&["--grep", "AMOUNT"], &["orders.created@v1"]),
        (&["--grep", "identifies"], &["pulse.risk.created@v1", "pulse.risk.created@v2"]),
        (&["--mode", "rpc"], &["rpc.risk.get@v1"]),
        (&["--mode", "broadcast", "--grep", "order"], &["orders.created@v1"]),
        (&["--owner", "payments"], &["orders.created@v1"]),
        (&["--owner", "nobody"], &[]),
        (&["pulse.#@latest", "--grep", "risk"], &["pulse.risk.created@v2"]),
    ] {
        for source in [&["--registry", &url][..], &["--schemas", "schemas"]] {
            let run = folder.run(&[&["list-events", "--format", "json"], arguments, source].concat());
            let contracts = run.json()["contracts"].clone();
            let names: Vec<String> = contracts
                .as_array()
                .unwrap()
                .iter()
                .map(|c| format!("{}@{}", c["topic"].as_str().unwrap(), c["version"].as_str().unwrap()))
                .collect();
            assert_eq!(names, expected, "{arguments:?} {source:?}");
        }
    }
}

#[cfg(feature = "postgres")]
#[test]
fn roles_are_printed_as_sql() {
    let folder = Folder::empty();
    let run = folder.run(&["registry", "roles", "--prefix", "acme", "--schema", "contracts"]);
    assert!(run.status == 0 && run.stdout.contains("GRANT USAGE ON SCHEMA contracts TO acme_reader"), "{run:?}");
    let run = folder.run(&["registry", "roles", "--prefix", "a; DROP TABLE x"]);
    assert!(run.status == 2 && run.stderr.contains("no plain name"), "{run:?}");
}
