//! `celerysalt list-events`, `show` and `generate` on a folder, and what holds for every command.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::{Folder, Run};

#[test]
fn events_are_listed_and_filtered() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["list-events"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(
        run.stdout,
        "pulse.risk.created  v1  broadcast  A risk was found.\n\
         pulse.risk.created  v2  broadcast  A risk was found.\n\
         rpc.risk.get        v1  rpc        Asks for a risk.\n"
    );
    for (filter, expected) in [
        ("pulse.#", &["pulse.risk.created v1", "pulse.risk.created v2"][..]),
        ("#@latest", &["pulse.risk.created v2", "rpc.risk.get v1"]),
        ("pulse.risk.created@v1", &["pulse.risk.created v1"]),
        ("nothing.*", &[]),
    ] {
        let run = folder.run(&["list-events", "--schemas", "schemas", filter, "--format", "json"]);
        let listed: Vec<String> = run.json()["contracts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| format!("{} {}", entry["topic"].as_str().unwrap(), entry["version"].as_str().unwrap()))
            .collect();
        assert_eq!((run.status, &listed[..]), (0, &expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]));
    }
}

#[test]
fn a_contract_is_shown_for_reading_and_as_the_stored_document() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["show", "pulse.risk.created"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stdout.starts_with("pulse.risk.created@v2 (broadcast)\nA risk was found.\nMore of it.\n"), "{run:?}");
    for line in [
        "  extra  integer                        optional\n",
        "  id     string, minLength 1            required  Identifies the risk.\n",
        "  score  number, minimum 0, maximum 10  required\n",
        "\nfingerprint  ",
    ] {
        assert!(run.stdout.contains(line), "{line:?} in {}", run.stdout);
    }
    let run = folder.run(&["show", "rpc.risk.get@v1"]);
    assert!(run.stdout.contains("\nrequest: GetRisk\n\nresponse: array of string\n"), "{run:?}");

    let run = folder.run(&["show", "pulse.risk.created@v1", "--format", "json"]);
    let document = run.json();
    for (member, expected) in [
        ("topic", json!("pulse.risk.created")),
        ("version", json!("v1")),
        ("mode", json!("broadcast")),
        ("description", json!("A risk was found.\nMore of it.")),
    ] {
        assert_eq!(document[member], expected);
    }
    assert_eq!(document["schema"]["properties"]["extra"], json!({"type": "string"}));

    for missing in ["pulse.risk.created@v3", "pulse.risk", "pulse.*"] {
        let run = folder.run(&["show", missing]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run:?}");
    }
}

#[test]
fn generated_code_is_written_once_and_checked() {
    let folder = Folder::with_contracts();
    let generate = ["generate", "--schemas", "schemas", "--out", "events.rs"];
    let check = [&generate[..], &["--check"]].concat();
    let run = folder.run(&check);
    assert_eq!((run.status, run.stdout.as_str()), (1, "events.rs is missing: run the same command without --check\n"));
    assert!(!folder.path("events.rs").exists(), "--check wrote");

    let run = folder.run(&generate);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(folder.read("events.rs").contains("RiskCreated"));
    let written = folder.path("events.rs").metadata().unwrap().modified().unwrap();
    assert_eq!(folder.run(&check).status, 0);
    assert_eq!(folder.run(&[&generate[..], &["--format", "json"]].concat()).json()["state"], "current");
    assert_eq!(
        folder.path("events.rs").metadata().unwrap().modified().unwrap(),
        written,
        "an unchanged file was written"
    );

    folder.write("schemas/a.b/v1.json", r#"{"title": "Added", "type": "object"}"#);
    let run = folder.run(&[&check[..], &["--format", "json"]].concat());
    assert_eq!((run.status, &run.json()["state"]), (1, &json!("stale")));
    assert!(!folder.read("events.rs").contains("Added"), "--check wrote");

    assert_eq!(folder.run(&[&generate[..], &["--only", "a.b", "--only", "rpc.#"]].concat()).status, 0);
    let code = folder.read("events.rs");
    assert!(code.contains("Added") && !code.contains("RiskCreated"), "--only did not narrow");
}

#[test]
fn what_generates_nothing_says_why() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["generate", "--out", "events.rs", "--only", "no.such"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("no.such"), "{run:?}");
    let run = folder.run(&["generate", "--out", "no/such/events.rs"]);
    assert_eq!(run.status, 2, "{run:?}");
    folder.write("schemas/a.b/v1.json", r#"{"type": "strin"}"#);
    for command in [
        &["generate", "--out", "events.rs"][..],
        &["list-events"],
        &["show", "a.b"],
        &["sync", "--registry", "memory:"],
    ] {
        let run = folder.run(command);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.stdout.is_empty() && run.stderr.contains("schemas/a.b/v1.json:1:"), "{run:?}");
        let run = folder.run(&[command, &["--format", "json"]].concat());
        let error = &run.json()["error"];
        assert_eq!((run.status, &error["kind"]), (1, &json!("invalid-contracts")));
        assert_eq!(error["findings"][0]["path"], "schemas/a.b/v1.json");
    }
    assert!(!folder.path("events.rs").exists());
}

#[test]
fn a_memory_registry_is_said_to_be_empty() {
    let folder = Folder::with_contracts();
    let run = folder.run(&["list-events", "--registry", "memory:"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{run:?}");
    assert!(run.stderr.contains("empty in a new process"), "{run:?}");
    let run = folder.run(&["sync", "--registry", "memory:"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(
        run.stdout.contains("pulse.risk.created@v1  create\n") && run.stderr.contains("empty in a new process"),
        "{run:?}"
    );
}

#[test]
fn the_environment_names_the_registry_and_arguments_go_first() {
    let folder = Folder::with_contracts();
    let with_environment = |arguments: &[&str]| {
        Run::of(folder.command(arguments).env("CELERYSALT_REGISTRY_URL", "memory:s3cret-in-the-environment"))
    };
    let run = with_environment(&["list-events", "--format", "json"]);
    assert_eq!(run.json(), json!({"contracts": []}), "the registry is empty");
    let run = with_environment(&["list-events", "--schemas", "schemas", "--format", "json"]);
    assert_eq!(run.json()["contracts"].as_array().unwrap().len(), 3);
    let run = folder.run(&["list-events", "--schemas", "schemas", "--registry", "memory:"]);
    assert_eq!(run.status, 2, "{run:?}");
    for command in ["sync", "list-events", "show"] {
        let run = with_environment(&[command, "--help"]);
        assert!(run.status == 0 && !run.stdout.contains("s3cret"), "{run:?}");
    }
}

#[test]
fn every_command_has_an_example() {
    let folder = Folder::empty();
    for command in ["validate", "list-events", "show", "generate", "sync"] {
        let run = folder.run(&[command, "--help"]);
        assert_eq!(run.status, 0, "{run:?}");
        let example = run.stdout.rsplit("Example").next().unwrap();
        assert!(example.contains(&format!("celerysalt {command}")), "{run:?}");
    }
    assert!(folder.run(&["--help"]).stdout.contains("Exit status: 0 fine, 1 findings"));
}

#[test]
fn failures_are_one_json_document_when_asked_for() {
    let folder = Folder::empty();
    for (arguments, kind) in [
        (&["list-events", "--registry", "mysql://ann:s3cret@db", "--format", "json"][..], "registry-url"),
        (&["frobnicate", "--format=json"], "arguments"),
        (&["show", "--format", "json"], "arguments"),
        (&["list-events", "--format", "json"], "folder"),
    ] {
        let run = folder.run(arguments);
        assert_eq!((run.status, &run.json()["error"]["kind"]), (2, &json!(kind)), "{run:?}");
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"), "{run:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = Folder::with_contracts();
    for arguments in [&["list-events"][..], &["list-events", "--format", "json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Run::of(folder.command(arguments).stdout(writer));
        assert_eq!(run.status, 0, "{run:?}");
    }
}

#[test]
fn text_of_a_contract_does_not_drive_the_terminal() {
    let folder = Folder::empty();
    folder.write("schemas/a.b/v1.json", "{\"description\": \"\\u001b[2Jgone\", \"properties\": {\"\\u009bx\": {}}}");
    for arguments in [&["list-events"][..], &["show", "a.b"]] {
        let run = folder.run(arguments);
        assert_eq!(run.status, 0, "{run:?}");
        assert!(!run.stdout.contains(['\u{1b}', '\u{9b}']) && run.stdout.contains("\\u{1b}[2Jgone"), "{run:?}");
    }
}
