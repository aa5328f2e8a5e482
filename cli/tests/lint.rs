//! `celerysalt lint` and `celerysalt fmt`, run as users run them.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use serde_json::json;
use support::Folder;

const FAULTY: &str = "{\n  \"title\": \"A\",\n  \"description\": \"A.\",\n  \"type\": \"object\",\n  \"properties\": {\"id\": {\"type\": \"string\", \"pattern\": \"a\"}},\n  \"requried\": [\"id\"]\n}\n";

fn faulty() -> Folder {
    let folder = Folder::empty();
    folder.write("schemas/a.b/v1.json", FAULTY);
    folder
}

#[test]
fn findings_are_told_in_every_format() {
    let folder = faulty();
    let run = folder.run(&["lint"]);
    assert_eq!((run.status, run.stderr.trim()), (1, "1 contract, 1 error, 1 warning"), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 2, "{run:?}");
    assert!(
        run.stdout
            .ends_with("schemas/a.b/v1.json:6:3: misspelt-keyword: `requried` is no keyword: every reader skips it\n")
    );
    let json = folder.run(&["lint", "--format", "json"]).json();
    assert_eq!((&json["findings"][1]["code"], &json["findings"][1]["line"]), (&json!("misspelt-keyword"), &json!(6)));
    let github = folder.run(&["lint", "--format", "github"]);
    assert_eq!(github.status, 1);
    assert_eq!(
        github.stdout.lines().nth(1),
        Some(
            "::error file=schemas/a.b/v1.json,line=6,col=3,title=misspelt-keyword::`requried` is no keyword: every reader skips it%0Adid you mean `required`?"
        )
    );
    let sarif = folder.run(&["lint", "--format", "sarif"]).json();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "schemas/a.b/v1.json");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules.iter().any(|rule| rule["id"] == "misspelt-keyword" && rule["defaultConfiguration"]["level"] == "error")
    );
}

#[test]
fn warnings_are_findings_when_strict_and_ignores_need_a_reason() {
    let folder = faulty();
    folder.write("schemas/a.b/v1.json", &FAULTY.replace("requried", "required"));
    assert_eq!(folder.run(&["lint"]).status, 0);
    assert_eq!(folder.run(&["lint", "--strict"]).status, 1);
    let ignore = "[[lint.ignore]]\nrule = \"pattern-unanchored\"\npath = \"a.b/*.json\"\n";
    folder.write("schemas/celerysalt.toml", ignore);
    let run = folder.run(&["lint", "--strict"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("schemas/celerysalt.toml:1:1: unknown-setting: an entry says"), "{run:?}");
    folder.write("schemas/celerysalt.toml", &format!("{ignore}reason = \"released\"\n"));
    let run = folder.run(&["lint", "--strict"]);
    assert_eq!((run.status, run.stderr.trim()), (0, "1 contract, 0 errors, 0 warnings, 1 left out by celerysalt.toml"));
}

#[test]
fn what_can_not_be_loaded_is_a_finding_and_what_is_not_there_a_failure() {
    let folder = faulty();
    folder.write("schemas/a.c/v1.json", "{");
    let run = folder.run(&["lint", "--format", "github"]);
    assert_eq!(run.status, 1);
    assert!(run.stdout.contains("title=json-syntax::"), "{run:?}");
    assert_eq!(folder.run(&["lint", "--schemas", "nosuch"]).status, 2);
    assert_eq!(folder.run(&["list-events", "--format", "sarif"]).status, 2);
    assert_eq!(folder.run(&["list-events", "--format", "github"]).status, 2);
}

#[test]
fn rules_are_listed() {
    let folder = Folder::empty();
    let run = folder.run(&["lint", "--rules"]);
    assert!(
        run.status == 0 && run.stdout.starts_with("# Lint rules\n") && run.stdout.contains("\n## misspelt-keyword\n")
    );
    let rules = folder.run(&["lint", "--rules", "--format", "json"]).json();
    assert!(rules["rules"].as_array().unwrap().iter().all(|rule| rule["bad"].is_object() && rule["good"].is_object()));
}

#[test]
fn files_are_laid_out_and_checked() {
    let folder = Folder::empty();
    folder.write("schemas/a.b/v1.json", "{\"type\":\"object\",\n\"required\":[\n\"b\",\"a\"]}");
    folder.write("schemas/_common/c.json", "{\n  \"type\": \"object\"\n}\n");
    folder.write("schemas/notes.txt", "{ }");
    let run = folder.run(&["fmt", "--check"]);
    assert_eq!((run.status, run.stderr.trim()), (1, "1 of 2 files would change"), "{run:?}");
    assert_eq!(run.stdout, "schemas/a.b/v1.json:1:1: layout: this file is laid out otherwise\n");
    let github = folder.run(&["fmt", "--check", "--format", "github"]).stdout;
    assert!(github.starts_with("::error file=schemas/a.b/v1.json,line=1,col=1,title=layout::"), "{github}");
    let run = folder.run(&["fmt"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, "schemas/a.b/v1.json\n"), "{run:?}");
    let text = "{\n  \"type\": \"object\",\n  \"required\": [\"b\", \"a\"]\n}\n";
    assert_eq!(folder.read("schemas/a.b/v1.json"), text);
    assert_eq!(folder.read("schemas/notes.txt"), "{ }");
    let run = folder.run(&["fmt", "--check"]);
    assert_eq!((run.status, run.stderr.trim()), (0, "0 of 2 files would change"), "{run:?}");
    // Only what is named; what is no JSON is told and left alone.
    folder.write("x.json", "[1,2]");
    folder.write("broken.json", "[1,");
    let run = folder.run(&["fmt", "broken.json", "x.json"]);
    assert_eq!(
        (run.status, folder.read("x.json").as_str(), folder.read("broken.json").as_str()),
        (1, "[1, 2]\n", "[1,")
    );
    assert!(run.stdout.contains("broken.json:1:3: json-syntax"), "{run:?}");
    assert_eq!(folder.run(&["fmt", "nosuch.json"]).status, 2);
}
