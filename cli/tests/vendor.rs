//! `celerysalt pull` and `celerysalt check`: from a registry, from a folder, and from a git revision.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::json;
use support::{Folder, Run};

/// The publisher's folder: a fragment that two versions share, an RPC, and a topic that nobody asked for.
fn publisher() -> Folder {
    let folder = Folder::empty();
    folder.write(
        "schemas/_common/risk_base.json",
        r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": {"id": {"type": "string", "minLength": 1}}, "required": ["id"]}"#,
    );
    for (version, kind) in [("v1", "integer"), ("v1.1", "number"), ("v2", "string")] {
        folder.write(
            &format!("schemas/pulse.risk.created/{version}.json"),
            &json!({
                "title": "RiskCreated",
                "allOf": [{"$ref": "../_common/risk_base.json"}],
                "properties": {"score": {"type": kind}},
                "x-celerysalt": {"compatibility": "none"},
            })
            .to_string(),
        );
    }
    folder.write("schemas/rpc.risk.get/v1.json", r#"{"type": "object", "description": "Asks for a risk."}"#);
    folder.write("schemas/rpc.risk.get/v1.response.json", r#"{"type": "array", "items": {"type": "string"}}"#);
    folder.write("schemas/rpc.risk.get/v1.error.json", r#"{"type": "object"}"#);
    folder.write("schemas/orders.created/v1.json", r#"{"type": "object"}"#);
    folder
}

/// A registry in a file that has what the folder has.
fn released(publisher: &Folder) -> String {
    let url = format!("sqlite:{}", publisher.path("contracts.db").display());
    let run = publisher.run(&["sync", "--registry", &url]);
    assert_eq!(run.status, 0, "{run:?}");
    url
}

/// A consumer with a contract of its own.
fn consumer() -> Folder {
    let folder = Folder::empty();
    folder.write("schemas/mail.sent/v1.json", r#"{"type": "object", "title": "MailSent"}"#);
    folder
}

/// Every file of a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                walk(top, &entry.path(), found);
            } else {
                let name = entry.path().strip_prefix(top).unwrap().display().to_string();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_keys().collect()
}

fn kinds(run: &Run) -> Vec<String> {
    let drifts = run.json()["drifts"].clone();
    let text = |drift: &serde_json::Value, member: &str| drift[member].as_str().unwrap().to_owned();
    let name = |drift| format!("{} {}@{}", text(drift, "kind"), text(drift, "topic"), text(drift, "version"));
    drifts.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn from_a_registry_come_self_contained_files_and_a_lock() {
    let (publisher, consumer) = (publisher(), consumer());
    let url = released(&publisher);
    let run = consumer.run(&["pull", "pulse.risk.created@^v1", "rpc.risk.get", "--registry", &url]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(
        names(&consumer.path("schemas")),
        [
            "celerysalt.lock",
            "mail.sent/v1.json",
            "pulse.risk.created/v1.1.json",
            "pulse.risk.created/v1.json",
            "rpc.risk.get/v1.error.json",
            "rpc.risk.get/v1.json",
            "rpc.risk.get/v1.response.json",
        ]
    );
    let lock = consumer.read("schemas/celerysalt.lock");
    assert!(lock.contains("topic = \"pulse.risk.created\"") && lock.contains(&format!("source = \"{url}\"")), "{lock}");
    let run = consumer.run(&["validate"]);
    assert_eq!(run.status, 0, "{run:?}");
    for check in [&["check"][..], &["check", "--registry", &url]] {
        let run = consumer.run(check);
        assert_eq!(run.status, 0, "{run:?}");
        assert!(run.stderr.contains("1 own and 3 vendored contracts") && run.stderr.contains("agree"), "{run:?}");
    }
    // The fingerprints are the publisher's, though the files are not.
    let fingerprint = |folder: &Folder| {
        let run = folder.run(&["show", "pulse.risk.created@v1", "--format", "json"]);
        run.json()["fingerprint"].as_str().unwrap().to_owned()
    };
    assert_eq!(fingerprint(&consumer), fingerprint(&publisher));
    assert!(lock.contains(&fingerprint(&publisher)), "{lock}");

    // Nothing new: no file is touched, and the same again gives the same.
    let before = files(&consumer.path("schemas"));
    let written = |name: &str| fs::metadata(consumer.path(name)).unwrap().modified().unwrap();
    let times = (written("schemas/celerysalt.lock"), written("schemas/rpc.risk.get/v1.json"));
    let run = consumer.run(&["pull", "--registry", &url, "--format", "json"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.json()["contracts"].as_array().unwrap().iter().all(|c| c["outcome"] == "unchanged"), "{run:?}");
    assert_eq!(files(&consumer.path("schemas")), before);
    assert_eq!((written("schemas/celerysalt.lock"), written("schemas/rpc.risk.get/v1.json")), times);
}

#[test]
fn from_a_folder_come_the_files_as_they_were_written() {
    let (publisher, consumer) = (publisher(), consumer());
    let from = publisher.path("schemas").display().to_string();
    let run = consumer.run(&["pull", "pulse.risk.created@v1", "--from", &from]);
    assert_eq!(run.status, 0, "{run:?}");
    let (theirs, ours) = (files(&publisher.path("schemas")), files(&consumer.path("schemas")));
    for name in ["pulse.risk.created/v1.json", "_common/risk_base.json"] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_eq!(ours.len(), 4, "{:?}", ours.keys());
    assert_eq!(consumer.run(&["check", "--from", &from]).status, 0);

    // From a registry instead: the fragment is not needed any more, and goes.
    let url = released(&publisher);
    let run = consumer.run(&["pull", "--registry", &url, "--format", "json"]);
    assert_eq!((run.status, &run.json()["removed"]), (0, &json!(["_common/risk_base.json"])), "{run:?}");
    assert_eq!(names(&consumer.path("schemas")).len(), 3);
    assert_eq!(consumer.run(&["check", "--from", &from]).status, 0, "the meaning is the same from either");
}

fn git(folder: &Folder, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).current_dir(folder.path("")).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn from_a_git_revision_come_the_files_as_they_were_then() {
    let (publisher, consumer) = (publisher(), consumer());
    git(&publisher, &["init", "--quiet", "--initial-branch=main"]);
    git(&publisher, &["add", "schemas"]);
    git(&publisher, &["commit", "--quiet", "--message=first"]);
    git(&publisher, &["tag", "v1.0.0"]);
    let original = publisher.read("schemas/orders.created/v1.json");
    publisher.write("schemas/orders.created/v1.json", r#"{"type": "object", "required": ["id"]}"#);
    git(&publisher, &["commit", "--quiet", "--all", "--message=an edit of what was released"]);
    publisher.write("schemas/orders.created/v1.json", "not even committed");

    let repository = publisher.path("").display().to_string();
    let (then, now) = (format!("git:{repository}@v1.0.0"), format!("git:{repository}schemas@main"));
    let run = consumer.run(&["pull", "orders.created", "--from", &then]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(consumer.read("schemas/orders.created/v1.json"), original);
    assert!(consumer.read("schemas/celerysalt.lock").contains("@v1.0.0"));
    assert_eq!(consumer.run(&["check", "--from", &then]).status, 0);

    let run = consumer.run(&["check", "--from", &now, "--format", "json"]);
    assert_eq!((run.status, kinds(&run)), (1, vec!["differs orders.created@v1".to_owned()]), "{run:?}");
    let run = consumer.run(&["pull", "--from", &now]);
    assert!(run.status == 0 && run.stdout.contains("changed") && run.stderr.contains("look at"), "{run:?}");
    assert_eq!(consumer.run(&["check", "--from", &now]).status, 0);

    for (from, kind) in [
        (format!("git:{repository}@no-such-tag"), "git"),
        (format!("git:{repository}"), "arguments"),
        (format!("git:{repository}@--upload-pack=x"), "git"),
    ] {
        let run = consumer.run(&["pull", "orders.created", "--from", &from, "--format", "json"]);
        assert_eq!((run.status, run.json()["error"]["kind"].as_str()), (2, Some(kind)), "{run:?}");
    }
}

#[test]
fn each_drift_is_told_with_its_mend() {
    let (publisher, consumer) = (publisher(), consumer());
    let url = released(&publisher);
    let run = consumer.run(&["pull", "pulse.risk.created@v1", "rpc.risk.get", "orders.created", "--registry", &url]);
    assert_eq!(run.status, 0, "{run:?}");
    let vendored = consumer.read("schemas/pulse.risk.created/v1.json");

    // Other words are no drift; another meaning is, and so is a file that is gone.
    consumer.write("schemas/pulse.risk.created/v1.json", &vendored.replace("RiskCreated", "Risk"));
    assert_eq!(consumer.run(&["check", "--registry", &url]).status, 0);
    consumer.write("schemas/pulse.risk.created/v1.json", &vendored.replace("minLength\": 1", "minLength\": 2"));
    fs::remove_file(consumer.path("schemas/orders.created/v1.json")).unwrap();
    let run = consumer.run(&["check", "--format", "json"]);
    assert_eq!(
        (run.status, kinds(&run)),
        (1, vec!["missing orders.created@v1".to_owned(), "edited pulse.risk.created@v1".to_owned()]),
        "{run:?}"
    );
    let run = consumer.run(&["check"]);
    let mend = format!("to mend it: `celerysalt pull pulse.risk.created@v1` from {url}");
    assert!(run.stdout.contains(&mend) && run.stdout.contains("  in schemas/pulse.risk.created/v1.json"), "{run:?}");
    assert_eq!(consumer.run(&["pull", "--registry", &url]).status, 0);
    assert_eq!(consumer.run(&["check"]).status, 0);

    // Another registry that does not know them, and has this project's own contract otherwise.
    let elsewhere = Folder::empty();
    elsewhere.write("schemas/mail.sent/v1.json", r#"{"type": "object", "minProperties": 1}"#);
    elsewhere.write("schemas/orders.created/v1.json", r#"{"type": "object", "minProperties": 1}"#);
    let other = released(&elsewhere);
    let run = consumer.run(&["check", "--registry", &other, "--format", "json"]);
    assert_eq!(
        (run.status, kinds(&run)),
        (
            1,
            vec![
                "conflict mail.sent@v1".to_owned(),
                "differs orders.created@v1".to_owned(),
                "unknown pulse.risk.created@v1".to_owned(),
                "unknown rpc.risk.get@v1".to_owned(),
            ]
        ),
        "{run:?}"
    );

    // Deprecated is worth a word, and nothing to fail for.
    let deprecate = ["deprecate", "orders.created@v1", "--reason", "nobody listens", "--registry", &url];
    assert_eq!(publisher.run(&deprecate).status, 0);
    let run = consumer.run(&["check", "--registry", &url]);
    assert!(run.status == 0 && run.stdout.contains("orders.created@v1: deprecated"), "{run:?}");
}

#[test]
fn what_the_user_wrote_is_never_overwritten() {
    let (publisher, consumer) = (publisher(), consumer());
    let url = released(&publisher);
    consumer.write("schemas/orders.created/v1.json", r#"{"type": "object", "title": "mine"}"#);
    let before = files(&consumer.path("schemas"));
    let run = consumer.run(&["pull", "rpc.risk.get", "orders.created", "--registry", &url, "--format", "json"]);
    assert_eq!((run.status, run.json()["error"]["kind"].as_str()), (2, Some("not-pulled")), "{run:?}");
    assert_eq!(files(&consumer.path("schemas")), before, "nothing of it was written");

    // Fragments of the same name too.
    let consumer = self::consumer();
    consumer.write("schemas/_common/risk_base.json", r#"{"type": "object"}"#);
    let from = publisher.path("schemas").display().to_string();
    let run = consumer.run(&["pull", "pulse.risk.created", "--from", &from]);
    assert!(run.status == 2 && run.stderr.contains("_common/risk_base.json"), "{run:?}");
}

#[test]
fn what_is_not_there_or_not_sound_is_refused() {
    let (publisher, consumer) = (publisher(), consumer());
    let url = released(&publisher);
    for (arguments, kind) in [
        (&["pull", "orders.*@v7", "--registry", &url][..], "not-found"),
        (&["pull", "orders.created"], "arguments"),
        (&["pull", "--registry", &url], "arguments"),
        (&["pull", "orders.created", "--registry", &url, "--from", "schemas"], "arguments"),
        (&["check"], "arguments"),
        (&["pull", "orders.created", "--from", "no/such/folder"], "folder"),
    ] {
        let run = consumer.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!((run.status, run.json()["error"]["kind"].as_str()), (2, Some(kind)), "{arguments:?}: {run:?}");
    }
    // A row that says one thing and means another: by hand, past the trigger.
    let sql = "DROP TRIGGER celerysalt_schemas_immutable; UPDATE celerysalt_schemas SET schema = '{\"type\": \"object\", \
               \"minProperties\": 3}' WHERE topic = 'orders.created'";
    support::sqlite(&publisher.path("contracts.db"), sql);
    let run = consumer.run(&["pull", "orders.created", "--registry", &url]);
    assert!(run.status == 2 && run.stderr.contains("changed by hand"), "{run:?}");
    assert_eq!(names(&consumer.path("schemas")), ["mail.sent/v1.json"]);
}

#[test]
fn a_sync_leaves_vendored_contracts_to_their_owners() {
    let (publisher, consumer) = (publisher(), consumer());
    let url = released(&publisher);
    assert_eq!(consumer.run(&["pull", "orders.created", "--registry", &url]).status, 0);
    let run = consumer.run(&["sync", "--registry", &url, "--format", "json"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(
        (run.json()["vendored"].clone(), run.json()["steps"].as_array().unwrap().len()),
        (json!(1), 1),
        "{run:?}"
    );
    // Its words are an older copy's; the owner's stay.
    let file = consumer.read("schemas/orders.created/v1.json");
    consumer.write("schemas/orders.created/v1.json", &file.replacen('{', "{\"title\": \"Mine\",", 1));
    assert_eq!(consumer.run(&["sync", "--registry", &url]).status, 0);
    let run = consumer.run(&["show", "orders.created", "--registry", &url, "--format", "json"]);
    assert_eq!(run.json()["schema"].get("title"), None, "{run:?}");
}
