//! `celerysalt breaking`, `diff` and `version suggest` against real git repositories, registries and folders.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{Folder, Run};

/// A repository with contracts on `main`, away from the user's own configuration of git.
struct Repository(Folder);

impl Repository {
    /// With the schemas folder at `services/shop/schemas`.
    fn new() -> Self {
        let repository = Self(Folder::empty());
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.write("orders.placed/v1.json", &order(json!({}), &["id"]));
        repository.write("orders.paid/v1.json", &order(json!({}), &["id"]));
        repository.0.write("README.md", "# Shop\n");
        repository.commit("contracts");
        repository
    }

    fn write(&self, path: &str, content: &str) {
        self.0.write(&format!("services/shop/schemas/{path}"), content);
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(self.0.path(""))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn branch(&self, name: &str) {
        self.git(&["switch", "--quiet", "--create", name]);
    }

    /// Without the variables of a surrounding workflow, unless the test sets them.
    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.0.command(arguments);
        command.env_remove("GITHUB_WORKSPACE").args(["--schemas", "services/shop/schemas"]);
        Run::of(&mut command)
    }

    fn breaking(&self, arguments: &[&str]) -> Run {
        self.run(&[&["breaking"], arguments].concat())
    }
}

/// Laid out by hand: tests know the lines.
fn order(more: Value, required: &[&str]) -> String {
    let mut properties = json!({"id": {"type": "string"}, "state": {"enum": ["open", "paid"]}});
    for (name, schema) in more.as_object().unwrap() {
        properties[name] = schema.clone();
    }
    let lines: Vec<String> =
        properties.as_object().unwrap().iter().map(|(name, schema)| format!("    {}: {schema}", json!(name))).collect();
    format!(
        "{{\n  \"title\": \"Order\",\n  \"description\": \"An order.\",\n  \"type\": \"object\",\n  \"properties\": {{\n{}\n  }},\n  \"required\": {}\n}}\n",
        lines.join(",\n"),
        json!(required)
    )
}

#[test]
fn a_branch_is_checked_and_annotated() {
    let repository = Repository::new();
    repository.branch("change");
    // A good version, one that breaks, one that was edited, and a topic that is gone.
    repository.write("orders.placed/v1.1.json", &order(json!({"note": {"type": "string"}}), &["id"]));
    repository.write("orders.placed/v1.2.json", &order(json!({}), &["id", "state"]));
    repository.commit("versions");
    let run = repository.breaking(&["--against", "main", "--format", "github"]);
    assert_eq!(run.status, 1, "{run:?}");
    let errors: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 1, "{run:?}");
    let expected = "::error file=services/shop/schemas/orders.placed/v1.2.json,line=9,col=3,title=REQ_ADDED::\
        readers of v1.2 refuse what writers of v1, v1.1 may send: the reader requires `state`%0A\
        example: {\"id\":\"\"}%0A";
    assert!(errors[0].starts_with(expected), "{}", errors[0]);
    assert!(errors[0].contains("compared with v1: services/shop/schemas/orders.placed/v1.json:9:3"), "{}", errors[0]);
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    assert_eq!(run.stderr.trim(), "1 breaking change, 3 pairs of versions compared");

    // From elsewhere in the repository, in a workflow whose workspace is its top.
    let mut command = repository.0.command(&["breaking", "--against", "main", "--format", "github"]);
    command.current_dir(repository.0.path("services/shop"));
    command.env("GITHUB_WORKSPACE", repository.0.path(""));
    assert_eq!(Run::of(&mut command).stdout, run.stdout);

    // What is not committed yet is checked as well.
    repository.write("orders.placed/v1.2.json", &order(json!({}), &["id"]));
    let run = repository.breaking(&["--against", "main"]);
    assert_eq!((run.status, run.stderr.trim()), (0, "compatible, 3 pairs of versions compared"), "{run:?}");
    // A new optional property is nothing to tell people of; machines are told.
    assert_eq!(run.stdout, "");
    let document = repository.breaking(&["--against", "main", "--format", "json"]).json();
    assert_eq!(document["verdict"], "compatible");
    assert_eq!(document["changes"][0]["rule"], "PROP_ADDED_OPEN_LENIENT", "{document}");
}

#[test]
fn released_files_that_changed_or_went_are_found() {
    let repository = Repository::new();
    repository.branch("change");
    repository.write("orders.placed/v1.json", &order(json!({}), &["id"]).replace("\"paid\"]", "\"paid\", \"sent\"]"));
    fs::remove_dir_all(repository.0.path("services/shop/schemas/orders.paid")).unwrap();
    let run = repository.breaking(&["--against", "main"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("services/shop/schemas/orders.placed/v1.json:7:"), "{run:?}");
    assert!(run.stdout.contains("VERSION_EDITED: v1 of `orders.placed` was released"), "{run:?}");
    assert!(run.stdout.contains("  + /properties/state/enum: \"sent\"\n"), "{run:?}");
    assert!(run.stdout.contains("mend: restore v1, and release the change as v2: it breaks"), "{run:?}");
    assert!(run.stdout.contains("main:services/shop/schemas/orders.paid/v1.json:1:1: TOPIC_DELETED"), "{run:?}");
    // An annotation stands on a file of the repository, not of a temporary folder, and tells no line of what is gone.
    let github = repository.breaking(&["--against", "main", "--format", "github"]).stdout;
    assert!(
        github.contains("::error file=services/shop/schemas/orders.paid/v1.json,title=TOPIC_DELETED::"),
        "{github}"
    );
    assert!(!github.contains("/tmp"), "{github}");

    let document = repository.breaking(&["--against", "main", "--format", "json"]).json();
    assert_eq!(document["verdict"], "breaking");
    let changes = document["changes"].as_array().unwrap();
    let edited = changes.iter().find(|change| change["rule"] == "ENUM_VALUE_REMOVED").unwrap();
    assert_eq!(edited["witness"]["state"], "sent", "{edited}");
    assert_eq!(edited["other"]["path"], "main:services/shop/schemas/orders.placed/v1.json");
    assert_eq!((&edited["place"]["line"], &edited["place"]["pointer"]), (&json!(7), &json!("/properties/state/enum")));
}

#[test]
fn sarif_names_every_rule_and_place() {
    let repository = Repository::new();
    repository.write("orders.placed/v1.1.json", &order(json!({}), &["id", "state"]));
    let run = repository.breaking(&["--against", "main", "--format", "sarif"]);
    assert_eq!(run.status, 1, "{run:?}");
    let log = run.json();
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("REQ_ADDED"), &json!("error")));
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(rules[index]["id"], "REQ_ADDED");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "services/shop/schemas/orders.placed/v1.1.json");
    assert_eq!(place["region"], json!({"startLine": 9, "startColumn": 3}));
    assert_eq!(
        result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "services/shop/schemas/orders.placed/v1.json"
    );
}

#[test]
fn any_revision_is_read_as_it_was() {
    let repository = Repository::new();
    repository.git(&["tag", "v0"]);
    repository.write("orders.placed/v1.1.json", &order(json!({}), &["id"]));
    repository.write("_common/base.json", "{\"type\": \"object\", \"properties\": {\"at\": {\"type\": \"string\"}}}");
    repository.write(
        "orders.lost/v1.json",
        "{\"title\": \"L\", \"type\": \"object\", \"allOf\": [{\"$ref\": \"../_common/base.json\"}]}",
    );
    #[cfg(unix)]
    std::os::unix::fs::symlink(
        "../orders.lost/v1.json",
        repository.0.path("services/shop/schemas/orders.paid/v2.json"),
    )
    .unwrap();
    repository.commit("more");
    for revision in ["v0", "HEAD~1", "main~1", "HEAD", "main", "git:main"] {
        let run = repository.breaking(&["--against", revision]);
        assert_eq!(run.status, 0, "{revision}: {run:?}");
    }
    // By what a fragment means, not by its own file.
    repository.write("_common/base.json", "{\"type\": \"object\", \"properties\": {\"at\": {\"type\": \"integer\"}}}");
    let run = repository.breaking(&["--against", "main"]);
    assert!(run.stdout.contains("services/shop/schemas/_common/base.json:1:"), "{run:?}");
    assert!(run.stdout.contains("main:services/shop/schemas/_common/base.json:1:"), "{run:?}");
    // Before there were any contracts, all of them are new.
    repository.commit("integers");
    repository.git(&["switch", "--quiet", "--orphan", "empty"]);
    repository.git(&["commit", "--quiet", "--allow-empty", "--message", "nothing"]);
    repository.git(&["switch", "--quiet", "--discard-changes", "main"]);
    let run = repository.breaking(&["--against", "empty"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains("note: empty has no contracts in services/shop/schemas/"), "{run:?}");
}

#[test]
fn what_is_no_revision_is_a_failure_and_never_an_option() {
    let repository = Repository::new();
    for odd in ["nosuch", "--output=/tmp/x", "-p", "main:services", "a b", "", "main..HEAD"] {
        let run = repository.breaking(&[&format!("--against={odd}")]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{odd:?}: {run:?}");
    }
    assert!(repository.breaking(&["--against=nosuch"]).stderr.contains("git fetch origin nosuch"));
    // No repository at all.
    let folder = Folder::with_contracts();
    let mut command = folder.command(&["breaking", "--against", "main"]);
    let run = Run::of(command.env("GIT_CEILING_DIRECTORIES", folder.path("").parent().unwrap()));
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("git says: "), "{run:?}");
    // Contracts that were broken then.
    repository.write("orders.placed/v1.json", "{");
    repository.commit("broken");
    repository.git(&["tag", "broken"]);
    repository.write("orders.placed/v1.json", &order(json!({}), &["id"]));
    let run = repository.breaking(&["--against", "broken"]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("broken:services/shop/schemas/orders.placed/v1.json:1:1: json-syntax"), "{run:?}");
    // Contracts that are broken now are findings.
    repository.write("orders.placed/v1.json", "{");
    assert_eq!(repository.breaking(&["--against", "HEAD~1"]).status, 1);
    let github = repository.breaking(&["--against", "HEAD~1", "--format", "github"]);
    assert!(
        github.stdout.starts_with("::error file=services/shop/schemas/orders.placed/v1.json,line=1,"),
        "{github:?}"
    );
}

#[test]
fn undecided_has_its_own_status() {
    let repository = Repository::new();
    repository.write("orders.lost/v1.json", &order(json!({"a": {"pattern": "^(?=a)"}}), &[]));
    repository.write("orders.lost/v1.1.json", &order(json!({"a": {"pattern": "^(?!b)"}}), &[]));
    let run = repository.breaking(&["--against", "main"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(
        run.stdout.contains(": undecided: UNDECIDED: ") && run.stderr.contains("treat them as breaking"),
        "{run:?}"
    );
    assert_eq!(repository.breaking(&["--against", "main", "--format", "json"]).json()["verdict"], "unknown");
}

#[test]
fn a_folder_is_compared_like_a_revision() {
    let folder = Folder::with_contracts();
    folder.write("released/pulse.risk.created/v1.json", &folder.read("schemas/pulse.risk.created/v1.json"));
    let run = folder.run(&["breaking", "--against", "released"]);
    assert_eq!(run.status, 0, "{run:?}");
    folder.write("released/pulse.risk.updated/v1.json", &folder.read("schemas/pulse.risk.created/v1.json"));
    let run = folder.run(&["breaking", "--against", "released"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.starts_with("released/pulse.risk.updated/v1.json:1:1: TOPIC_DELETED"), "{run:?}");
}

#[test]
fn writers_are_open_when_told() {
    let repository = Repository::new();
    repository.write("orders.placed/v1.1.json", &order(json!({"note": {"type": "string"}}), &["id"]));
    assert_eq!(repository.breaking(&["--against", "main"]).status, 0);
    let run = repository.breaking(&["--against", "main", "--open-writers"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("PROP_ADDED_OPEN: "), "{run:?}");
}

#[test]
fn a_diff_says_what_changed_in_meaning() {
    let repository = Repository::new();
    repository.write("orders.placed/v1.1.json", &order(json!({}), &["id", "state"]));
    repository.write("orders.placed/v1.json", &order(json!({}), &["id"]).replace("An order.", "Some order."));
    repository.write("orders.paid/v1.json", &order(json!({"n": {"type": "null"}}), &["id"]));
    let run = repository.run(&["diff", "--against", "main"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert_eq!(
        run.stdout,
        "orders.paid@v1: changed\n  + /properties/n: {\"type\":[\"null\"]}\norders.placed@v1.1: new\n  + /required: \"state\"\n"
    );
    let one = repository.run(&["diff", "--against", "main", "orders.placed@v1"]);
    assert_eq!((one.status, one.stderr.trim()), (0, "no difference in meaning"));
    let two = repository.run(&["diff", "orders.placed@v1", "orders.placed@v1.1"]);
    assert_eq!((two.status, two.stdout.lines().nth(1)), (1, Some("  + /required: \"state\"")), "{two:?}");
    let schemas = "services/shop/schemas";
    let files = repository.run(&[
        "diff",
        &format!("{schemas}/orders.placed/v1.json"),
        &format!("{schemas}/orders.paid/v1.json"),
    ]);
    assert_eq!(files.status, 1, "{files:?}");
    let json = repository.run(&["diff", "--against", "main", "--format", "json"]).json();
    assert_eq!(
        json["differences"][1],
        json!({"name": "orders.placed@v1.1", "change": "new", "lines": ["+ /required: \"state\""]})
    );
    for wrong in [
        &["diff"][..],
        &["diff", "a", "b", "c"],
        &["diff", "nosuch.json", "orders.paid"],
        &["diff", "a.b@v9", "orders.paid"],
    ] {
        assert_eq!(repository.run(wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn versions_are_suggested() {
    let repository = Repository::new();
    let suggest = |format: &str| repository.run(&["version", "suggest", "--against", "main", "--format", format]);
    assert_eq!((suggest("text").status, suggest("text").stderr.trim()), (0, "nothing changed"));
    repository.write("orders.placed/v1.1.json", &order(json!({}), &["id", "state"]));
    repository.write("orders.paid/v1.json", &order(json!({"n": {"type": "null"}}), &["id"]));
    repository.write("orders.sent/v1.json", &order(json!({}), &[]));
    let run = suggest("text");
    assert_eq!((run.status, run.stderr.trim()), (1, "2 of 3 changes should have another version"), "{run:?}");
    assert_eq!(
        run.stdout,
        "orders.paid    v1 -> v1    minor      should be v1.1\n\
         orders.placed  v1 -> v1.1  major      should be v2\n\
         orders.sent    - -> v1     new topic  fits\n"
    );
    assert_eq!(suggest("json").json()["suggestions"][1]["version"], "v2");
    let github = suggest("github").stdout;
    assert_eq!(github.lines().count(), 2);
    assert!(
        github.contains("orders.placed/v1.1.json,title=VERSION_BUMP_MISMATCH::this change wants a major"),
        "{github}"
    );
}
