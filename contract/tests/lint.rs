//! Every rule, by its own examples: the bad one breaks it and nothing else, the good one breaks nothing.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use celerysalt_contract::{
    Catalog,
    lint::{Level, Linted, Settings, handbook, lint, lint_catalog, rules},
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A schemas folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let name = format!("celerysalt_lint_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        for (path, content) in files {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn lint(&self) -> Linted {
        lint(&self.0).unwrap_or_else(|findings| panic!("{findings}"))
    }

    /// With every rule on.
    fn lint_all(&self) -> Vec<String> {
        let levels: Vec<String> = rules().iter().map(|rule| format!("{} = \"warning\"", rule.id)).collect();
        let ignores = fs::read_to_string(self.0.join("celerysalt.toml")).unwrap_or_default();
        let text = format!("[lint.rules]\n{}\n{ignores}", levels.join("\n"));
        let settings = Settings::parse(Path::new("celerysalt.toml"), &text).unwrap();
        let linted = lint_catalog(&Catalog::load(&self.0).unwrap(), &settings);
        linted.findings.iter().map(|finding| finding.code.to_owned()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn each_rule_is_broken_by_its_bad_example_alone_and_by_no_good_one() {
    for rule in rules() {
        let found: BTreeSet<String> = Folder::of(rule.bad).lint_all().into_iter().collect();
        assert!(found.contains(rule.id), "{}: {found:?}", rule.id);
        // What is off unless asked for may be broken by the way.
        let off: Vec<&str> = rules().iter().filter(|rule| rule.level == Level::Off).map(|rule| rule.id).collect();
        let others: Vec<&String> =
            found.iter().filter(|code| **code != rule.id && !off.contains(&code.as_str())).collect();
        assert!(others.is_empty(), "{}: also {others:?}", rule.id);
        let found = Folder::of(rule.good).lint_all();
        assert!(!found.iter().any(|code| code == rule.id), "{}: {found:?}", rule.id);
        assert!(found.iter().all(|code| off.contains(&code.as_str())), "{}: {found:?}", rule.id);
    }
}

#[test]
fn rules_are_sorted_and_their_words_are_there() {
    let ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
    assert!(ids.is_sorted() && ids.len() > 20);
    for rule in rules() {
        assert!(!rule.what.ends_with('.') && rule.why.ends_with('.'), "{}", rule.id);
    }
}

/// `CELERYSALT_BLESS=1 cargo test -p celerysalt-contract --features lint --test lint` writes it; read the diff.
#[test]
fn the_page_about_rules_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md");
    if std::env::var_os("CELERYSALT_BLESS").is_some() {
        fs::write(&path, handbook()).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == handbook(), "{} is not what the code says", path.display());
}

const WORDS: &str = "\"title\": \"A\",\n  \"description\": \"A.\",\n  \"type\": \"object\"";

fn contract(inside: &str) -> String {
    format!("{{\n  {WORDS},\n  {inside}\n}}\n")
}

fn codes(linted: &Linted) -> Vec<String> {
    linted
        .findings
        .iter()
        .map(|finding| {
            let span = finding.span.unwrap();
            format!(
                "{}:{}:{} {}",
                finding.path.file_name().unwrap().to_string_lossy(),
                span.line,
                span.column,
                finding.code
            )
        })
        .collect()
}

#[test]
fn findings_stand_where_the_fault_is() {
    let text = contract(
        "\"properties\": {\n    \"a\": {\"type\": \"string\", \"const\": 1},\n    \"b\": {\"$ref\": \"../_common/x.json#/$defs/b\"}\n  },\n  \"requried\": [\"a\"]",
    );
    let fragment = "{\"$defs\": {\n  \"b\": {\"type\": \"integer\", \"default\": \"x\"},\n  \"c\": {}\n}}\n";
    let folder = Folder::of(&[("a.b/v1.json", &text), ("_common/x.json", fragment)]);
    assert_eq!(
        codes(&folder.lint()),
        [
            "x.json:2:28 invalid-default",
            "x.json:3:3 unused-definition",
            "v1.json:6:29 value-outside-type",
            "v1.json:9:3 misspelt-keyword",
        ]
    );
}

#[test]
fn defaults_are_checked_by_all_that_their_place_says() {
    // By references, by the root, inside itself, in old and new drafts; what is fine is not told.
    for draft in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"] {
        let text = contract(&format!(
            r##""$schema": "{draft}",
  "properties": {{
    "good": {{"allOf": [{{"$ref": "#/definitions/n"}}], "default": 5}},
    "bad": {{"allOf": [{{"$ref": "#/definitions/n"}}], "default": 50}},
    "tree": {{"anyOf": [{{"$ref": "#"}}, {{"type": "null"}}], "default": {{"good": 70}}}},
    "fine": {{"anyOf": [{{"$ref": "#"}}, {{"type": "null"}}], "default": null}}
  }},
  "definitions": {{"n": {{"type": "integer", "maximum": 10}}}}"##
        ));
        let folder = Folder::of(&[("a.b/v1.json", &text)]);
        assert_eq!(codes(&folder.lint()), ["v1.json:8:53 invalid-default", "v1.json:9:58 invalid-default"], "{draft}");
    }
}

#[test]
fn settings_decide_how_bad_a_finding_is_and_ignores_are_counted() {
    let text = contract("\"properties\": {\"userId\": {\"type\": \"string\", \"pattern\": \"a\"}}");
    let write = |settings: &str| Folder::of(&[("a.b/v1.json", &text), ("celerysalt.toml", settings)]);
    assert_eq!(codes(&write("").lint()), ["v1.json:5:47 pattern-unanchored"]);
    let strict = write("[lint.rules]\npattern-unanchored = \"error\"\nproperty-case = \"warning\"\n").lint();
    assert_eq!((strict.findings.errors().count(), strict.findings.warnings().count()), (1, 1));
    let off = write("[lint.rules]\npattern-unanchored = \"off\"\n").lint();
    assert!(off.findings.is_empty() && off.ignored == 0);
    let ignore = |path: &str| {
        format!("[[lint.ignore]]\nrule = \"pattern-unanchored\"\npath = \"{path}\"\nreason = \"released\"\n")
    };
    let ignored = write(&ignore("a.b/*.json")).lint();
    assert_eq!((ignored.findings.len(), ignored.ignored), (0, 1));
    let elsewhere = write(&ignore("c/*.json")).lint();
    assert_eq!(codes(&elsewhere), ["v1.json:5:47 pattern-unanchored", "celerysalt.toml:1:1 unused-ignore"]);
    let broken = lint(&write("[lint.rules]\nno-such-rule = \"off\"\n").0).unwrap_err();
    assert!(broken.to_string().contains("celerysalt.toml:2:1: unknown-setting"), "{broken}");
}

#[test]
fn what_is_fine_is_left_alone() {
    let text = contract(
        r##""allOf": [{"$ref": "../_common/base.json"}, {"if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["x"]}}],
  "properties": {
    "any": true,
    "kind": {"type": "string"},
    "id": {"type": ["string", "integer"], "minLength": 1, "minimum": 0},
    "none": {"enum": [null, "a"]},
    "map": {"type": "object", "additionalProperties": {"type": "string"}, "required": ["known"]},
    "again": {"$ref": "#/$defs/tree"},
    "named": {"$ref": "#t"}
  },
  "required": ["base_field", "id"],
  "x-celerysalt": {"owner": "team"},
  "$defs": {
    "tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}},
    "t": {"$anchor": "t", "type": "string", "format": "date-time"}
  }"##,
    );
    let base = "{\"type\": \"object\", \"properties\": {\"base_field\": {\"type\": \"string\"}}}";
    let folder = Folder::of(&[("a.b/v1.json", &text), ("_common/base.json", base)]);
    assert_eq!(codes(&folder.lint()), Vec::<String>::new());
}

/// Schemas of the reference folder: read every day, so nothing in them is a finding.
#[test]
fn the_reference_contracts_are_clean() {
    let linted = lint(Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas")).unwrap();
    assert!(linted.contracts > 5);
    assert!(!linted.findings.has_errors(), "{}", linted.findings);
    println!("{}", linted.findings);
}
