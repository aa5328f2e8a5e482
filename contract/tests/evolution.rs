//! Versions next to each other: each kind of change, by policy and by direction, and where it is said.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use celerysalt_contract::{
    Catalog, ContractRecord,
    evolution::{Baseline, Change, Level, Options, Part, Release, Wanted, check, rules, suggest},
};
use serde_json::{Value, json};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A schemas folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn of(files: &[(&str, String)]) -> Self {
        let name = format!("celerysalt_evolution_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        for (path, content) in files {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn releases(&self) -> Vec<Release> {
        let catalog = Catalog::load(&self.0).unwrap_or_else(|findings| panic!("{findings}"));
        catalog.contracts.into_iter().map(Release::from_contract).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn object(members: Value) -> String {
    let mut schema = json!({"type": "object"});
    for (key, value) in members.as_object().unwrap() {
        schema[key] = value.clone();
    }
    format!("{schema:#}\n")
}

fn properties(properties: Value) -> String {
    object(json!({ "properties": properties }))
}

fn evolve(base: &[(&str, String)], head: &[(&str, String)]) -> Vec<Change> {
    evolve_by(base, head, Baseline::Whole, &Options::default())
}

fn evolve_by(base: &[(&str, String)], head: &[(&str, String)], baseline: Baseline, options: &Options) -> Vec<Change> {
    let (before, after) = (Folder::of(base), Folder::of(head));
    let old = if base.is_empty() { Vec::new() } else { before.releases() };
    check(&old, &after.releases(), baseline, options).changes
}

fn errors(changes: &[Change]) -> Vec<String> {
    let errors = changes.iter().filter(|change| change.level != Level::Note);
    errors.map(|change| format!("{} {} {}", change.version, change.place.pointer, change.rule)).collect()
}

fn notes(changes: &[Change]) -> Vec<&str> {
    changes.iter().filter(|change| change.level == Level::Note).map(|change| change.rule).collect()
}

/// v1 was released, v1.1 is new.
fn minor(old: &str, new: &str) -> Vec<Change> {
    evolve(&[("a.b/v1.json", old.to_owned())], &[("a.b/v1.json", old.to_owned()), ("a.b/v1.1.json", new.to_owned())])
}

#[test]
fn what_surprises_nobody_is_not_reported() {
    let base = json!({"id": {"type": "string"}, "n": {"type": "integer"}, "m": {"$ref": "#/$defs/money"}});
    let old = object(json!({"properties": base, "required": ["id"], "$defs": {"money": {"type": "number"}}}));
    let mut more = base.clone();
    more["note"] = json!({"type": "string"});
    let mut split = base.clone();
    split["id"] = json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 4}]});
    let mut renamed = base.clone();
    renamed["m"] = json!({"$ref": "#/$defs/amount"});
    let mut inlined = base.clone();
    inlined["m"] = json!({"type": "number", "title": "Money"});
    for (what, new) in [
        (
            "an optional property",
            object(json!({"properties": more, "required": ["id"], "$defs": {"money": {"type": "number"}}})),
        ),
        ("a split", object(json!({"properties": split, "required": ["id"], "$defs": {"money": {"type": "number"}}}))),
        (
            "a renamed definition",
            object(json!({"properties": renamed, "required": ["id"], "$defs": {"amount": {"type": "number"}}})),
        ),
        ("an inlined definition", object(json!({"properties": inlined, "required": ["id"]}))),
    ] {
        let changes = minor(&old, &new);
        assert_eq!(errors(&changes), Vec::<String>::new(), "{what}");
    }
    // An integer that becomes a number is for readers only: who reads goes first.
    let backward = |kind: &str| {
        object(json!({"properties": {"n": {"type": kind}}, "x-celerysalt": {"compatibility": "backward"}}))
    };
    assert_eq!(errors(&minor(&backward("integer"), &backward("number"))), Vec::<String>::new());
    assert_eq!(errors(&minor(&backward("number"), &backward("integer"))), ["v1.1 /properties/n/type TYPE_NARROWED"]);
}

#[test]
fn what_breaks_someone_is_reported_where_it_is() {
    let id = json!({"id": {"type": "string"}});
    for (old, new, expected) in [
        (
            properties(id.clone()),
            object(json!({"properties": id, "required": ["id"]})),
            "v1.1 /required REQ_ADDED",
        ),
        (
            properties(json!({"k": {"enum": ["a", "b"]}})),
            properties(json!({"k": {"enum": ["a"]}})),
            "v1.1 /properties/k/enum ENUM_VALUE_REMOVED",
        ),
        (
            properties(json!({"k": {"enum": ["a"]}})),
            properties(json!({"k": {"enum": ["a", "b"]}})),
            "v1.1 /properties/k/enum ENUM_VALUE_REMOVED",
        ),
        (
            properties(json!({"k": {"pattern": "^[a-z]+$"}})),
            properties(json!({"k": {"pattern": "^[a-y]+$"}})),
            "v1.1 /properties/k/pattern STR_PATTERN_CHANGED",
        ),
        (
            object(json!({"properties": {"a": {}, "b": {}}, "additionalProperties": false})),
            object(json!({"properties": {"a": {}}, "additionalProperties": false})),
            "v1.1 /additionalProperties PROP_REMOVED_CLOSED",
        ),
        (
            properties(json!({"k": {"oneOf": [{"type": "string"}, {"type": "null"}]}})),
            properties(json!({"k": {"oneOf": [{"type": "string"}, {"type": "null"}, {"const": "x"}]}})),
            "v1.1 /properties/k/oneOf ONEOF_OVERLAP",
        ),
        (
            properties(json!({"n": {"type": "number", "minimum": 100}})),
            "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"number\", \"minimum\": 100.00000000000000001}}}".to_owned(),
            "v1.1 /properties/n/minimum NUM_BOUND_TIGHTENED",
        ),
    ] {
        let changes = minor(&old, &new);
        let found: Vec<String> = errors(&changes).into_iter().collect();
        assert_eq!(found, [expected], "{old}{new}");
        let change = changes.iter().find(|change| change.level == Level::Error).unwrap();
        assert!(change.witness.is_some() && change.mend.contains("major"), "{change:?}");
        assert_eq!(change.against.iter().map(ToString::to_string).collect::<Vec<_>>(), ["v1"]);
        let other = change.other.as_ref().unwrap();
        assert!(other.path.as_ref().unwrap().ends_with("a.b/v1.json") && other.span.is_some());
        let place = &change.place;
        assert!(place.path.as_ref().unwrap().ends_with("a.b/v1.1.json") && place.source_line.is_some());
    }
    // Closing an object: its own writers do not mind, readers of what others declare do.
    let open = properties(json!({"a": {"type": "string"}}));
    let closed = object(json!({"properties": {"b": {"type": "string"}}, "additionalProperties": false}));
    assert_eq!(errors(&minor(&open, &closed)), ["v1.1 /additionalProperties PROP_REMOVED_CLOSED"]);
    let none = object(json!({"additionalProperties": false}));
    assert_eq!(errors(&minor(&object(json!({})), &none)), ["v1.1 /additionalProperties ADDL_CLOSED"]);
}

#[test]
fn every_later_version_is_compared_with_every_earlier_one_of_its_major() {
    // Each step is small enough to be seen by no neighbour alone.
    let version = |low: i32| properties(json!({"n": {"minimum": low}}));
    let head = [
        ("a.b/v1.json", properties(json!({"n": {"type": "integer"}}))),
        ("a.b/v1.1.json", properties(json!({"m": {"type": "integer"}}))),
        ("a.b/v1.2.json", properties(json!({"n": {"type": "string"}}))),
        ("a.b/v2.json", version(5)),
    ];
    let changes = evolve(&[], &head);
    let found: Vec<String> = changes
        .iter()
        .filter(|change| change.level == Level::Error)
        .map(|change| {
            format!(
                "{} against {:?}",
                change.version,
                change.against.iter().map(ToString::to_string).collect::<Vec<_>>()
            )
        })
        .collect();
    // v1.1 agrees with both; v1.2 does not with v1, though nobody compares them by neighbours.
    assert_eq!(found, ["v1.2 against [\"v1\"]", "v1.2 against [\"v1\"]"], "{changes:#?}");
    // The same finding against several versions is one.
    let three = |kind: &str| properties(json!({"n": {"type": kind}}));
    let head = [
        ("a.b/v1.json", three("integer")),
        ("a.b/v1.1.json", object(json!({"properties": {"n": {"type": "integer"}, "o": {}}}))),
        ("a.b/v1.2.json", three("string")),
    ];
    let changes = evolve(&[], &head);
    let errors: Vec<&Change> = changes.iter().filter(|change| change.level == Level::Error).collect();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors.iter().all(|change| change.against.len() == 2 && change.message.contains("v1, v1.1")),
        "{errors:#?}"
    );
}

#[test]
fn versions_that_were_released_together_are_not_compared_again() {
    let old = [
        ("a.b/v1.json", properties(json!({"n": {"type": "string"}}))),
        ("a.b/v1.1.json", properties(json!({"n": {"type": "integer"}}))),
    ];
    assert_eq!(errors(&evolve(&old, &old)), Vec::<String>::new());
    assert_eq!(errors(&evolve(&[], &old)).len(), 2);
}

#[test]
fn policies_say_which_direction_counts() {
    let with = |policy: &str, names: &[&str]| {
        object(json!({"properties": {"k": {"enum": names}}, "x-celerysalt": {"compatibility": policy}}))
    };
    let wider =
        |policy: &str| minor(&with(policy, &["a"]), &with(policy, &["a", "b"])).iter().any(|c| c.level == Level::Error);
    let narrower =
        |policy: &str| minor(&with(policy, &["a", "b"]), &with(policy, &["a"])).iter().any(|c| c.level == Level::Error);
    for (policy, widening, narrowing) in
        [("full", true, true), ("backward", false, true), ("forward", true, false), ("none", false, false)]
    {
        assert_eq!((wider(policy), narrower(policy)), (widening, narrowing), "{policy}");
    }
}

#[test]
fn answers_are_read_by_the_other_side() {
    let request = |policy: &str| object(json!({"x-celerysalt": {"compatibility": policy}}));
    let answer = |names: &[&str]| properties(json!({"k": {"enum": names}}));
    let rpc = |policy: &str, file: &'static str, v1: &[&str], v11: &[&str]| {
        let others = [("a.b/v1.json", request(policy)), ("a.b/v1.1.json", request(policy))];
        let mut head = others.to_vec();
        let response = file == "response";
        for (version, names) in [("v1", v1), ("v1.1", v11)] {
            let fixed = if response { answer(names) } else { answer(&["x"]) };
            head.push((Box::leak(format!("a.b/{version}.response.json").into_boxed_str()), fixed));
            if !response {
                head.push((Box::leak(format!("a.b/{version}.error.json").into_boxed_str()), answer(names)));
            }
        }
        evolve(&[], &head)
    };
    for (file, part) in [("response", Part::Response), ("error", Part::Error)] {
        // Servers go first: an earlier caller must read the later server's answer.
        let wider = rpc("backward", file, &["a"], &["a", "b"]);
        assert_eq!(errors(&wider), ["v1.1 /properties/k/enum ENUM_VALUE_REMOVED"], "{file}");
        assert_eq!(wider[0].place.part, part);
        assert!(
            wider[0].message.starts_with("callers of v1 refuse what servers of v1.1 may send"),
            "{}",
            wider[0].message
        );
        assert!(wider[0].place.path.as_ref().unwrap().ends_with(format!("v1.1.{file}.json")));
        assert_eq!(errors(&rpc("backward", file, &["a", "b"], &["a"])), Vec::<String>::new(), "{file}");
        // Callers go first: a later caller must read the earlier server's answer.
        assert_eq!(errors(&rpc("forward", file, &["a"], &["a", "b"])), Vec::<String>::new(), "{file}");
        assert_eq!(errors(&rpc("forward", file, &["a", "b"], &["a"])).len(), 1, "{file}");
        assert_eq!(errors(&rpc("full", file, &["a"], &["a", "b"])).len(), 1, "{file}");
    }
}

#[test]
fn errors_that_come_and_go_are_told() {
    let rpc = |with_error: [bool; 2]| {
        let mut head = Vec::new();
        for (version, with_error) in ["v1", "v1.1"].into_iter().zip(with_error) {
            let file = |kind: &str| -> &str { Box::leak(format!("a.b/{version}{kind}.json").into_boxed_str()) };
            head.push((file(""), object(json!({}))));
            head.push((file(".response"), object(json!({}))));
            if with_error {
                head.push((file(".error"), properties(json!({"error_code": {"type": "string"}}))));
            }
        }
        evolve(&[], &head)
    };
    assert_eq!(errors(&rpc([false, true])), ["v1.1  ERROR_ADDED"]);
    assert_eq!(errors(&rpc([true, false])), ["v1.1  ERROR_DELETED"]);
    assert_eq!(errors(&rpc([true, true])), Vec::<String>::new());
}

#[test]
fn a_released_version_never_changes() {
    let old = object(json!({"title": "A", "properties": {"n": {"minimum": 1}}}));
    let new = object(json!({"title": "A", "properties": {"n": {"minimum": 2}}}));
    let changes = evolve(&[("a.b/v1.json", old.clone())], &[("a.b/v1.json", new)]);
    assert_eq!(
        errors(&changes),
        ["v1 /properties/n/minimum NUM_BOUND_TIGHTENED", "v1 /properties/n/minimum VERSION_EDITED"]
    );
    let edited = changes.iter().find(|change| change.rule == "VERSION_EDITED").unwrap();
    assert_eq!(edited.differences, ["- /properties/n/minimum: 1", "+ /properties/n/minimum: 2"]);
    assert!(edited.mend.contains("release the change as v2"), "{}", edited.mend);
    // What breaks nobody wants a minor version all the same.
    let wider = object(json!({"title": "A", "properties": {"n": {"minimum": 1}, "m": {"type": "string"}}}));
    let changes = evolve(&[("a.b/v1.json", old.clone())], &[("a.b/v1.json", wider)]);
    assert_eq!(errors(&changes), ["v1 /properties/m VERSION_EDITED"]);
    assert!(changes[0].mend.contains("release the change as v1.1"), "{}", changes[0].mend);
    // Words may change; a bound's seventeenth digit may not.
    let words = old.replace("\"A\"", "\"Another\"");
    let changes = evolve(&[("a.b/v1.json", old.clone())], &[("a.b/v1.json", words)]);
    assert_eq!((errors(&changes), notes(&changes)), (vec![], vec!["ANNOTATIONS_CHANGED"]));
    let digits = old.replace(": 1", ": 1.00000000000000001");
    let changes = evolve(&[("a.b/v1.json", old)], &[("a.b/v1.json", digits)]);
    assert!(errors(&changes).contains(&"v1  VERSION_EDITED".to_owned()), "{changes:#?}");
}

#[test]
fn what_is_gone_is_told_unless_others_have_it() {
    let schema = object(json!({}));
    let base = [("a.b/v1.json", schema.clone()), ("a.b/v2.json", schema.clone()), ("c.d/v1.json", schema.clone())];
    let head = [("a.b/v2.json", schema)];
    assert_eq!(errors(&evolve(&base, &head)), ["v1  VERSION_DELETED", "v1  TOPIC_DELETED"]);
    assert_eq!(errors(&evolve_by(&base, &head, Baseline::Shared, &Options::default())), Vec::<String>::new());
    // A version that only the registry has is one to agree with.
    let base = [("a.b/v1.json", properties(json!({"n": {"type": "string"}})))];
    let head = [("a.b/v1.1.json", properties(json!({"n": {"type": "integer"}})))];
    let changes = evolve_by(&base, &head, Baseline::Shared, &Options::default());
    assert_eq!(errors(&changes).len(), 2, "{changes:#?}");
}

#[test]
fn modes_and_exchanges_stay_within_a_major() {
    let schema = object(json!({}));
    let changes = evolve(
        &[("a.b/v1.json", schema.clone())],
        &[
            ("a.b/v1.json", schema.clone()),
            ("a.b/v1.1.json", schema.clone()),
            ("a.b/v1.1.response.json", schema.clone()),
        ],
    );
    assert_eq!(errors(&changes), ["v1.1  MODE_CHANGED"]);
    let elsewhere = object(json!({"x-celerysalt": {"exchange": "other"}}));
    assert_eq!(errors(&minor(&schema, &elsewhere)), ["v1.1 /x-celerysalt/exchange EXCHANGE_CHANGED"]);
    let changes = evolve(&[("a.b/v1.json", schema.clone())], &[("a.b/v1.json", elsewhere)]);
    assert_eq!(errors(&changes), ["v1 /x-celerysalt/exchange EXCHANGE_CHANGED"]);
    // A new major may do either.
    let changes = evolve(
        &[("a.b/v1.json", schema.clone())],
        &[("a.b/v1.json", schema.clone()), ("a.b/v2.json", schema.clone()), ("a.b/v2.response.json", schema)],
    );
    assert!(changes.is_empty(), "{changes:#?}");
}

#[test]
fn open_writers_are_the_pessimistic_reading() {
    let (old, new) = (properties(json!({"a": {}})), properties(json!({"a": {}, "b": {"type": "string"}})));
    let files = [("a.b/v1.json", old), ("a.b/v1.1.json", new)];
    let changes = evolve(&[], &files);
    assert_eq!((errors(&changes), notes(&changes)), (vec![], vec!["PROP_ADDED_OPEN_LENIENT"]));
    let changes = evolve_by(&[], &files, Baseline::Whole, &Options::default().open_writers(true));
    assert_eq!(errors(&changes), ["v1.1 /properties/b/type PROP_ADDED_OPEN"]);
}

#[test]
fn what_no_schema_decides_is_a_note() {
    let changes = minor(
        &object(
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"at": {"type": "string", "format": "date"}}}),
        ),
        &object(
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"at": {"type": "string", "format": "date-time"}}}),
        ),
    );
    assert_eq!((errors(&changes), notes(&changes)), (vec![], vec!["DRAFT_CHANGED", "STR_FORMAT"]));
}

/// Formats that are asserted decide like any other rule, with a witness; the same one twice is no change.
#[test]
fn a_format_that_is_asserted_narrows() {
    let at = |schema: Value| properties(json!({ "at": schema }));
    let (text, time) = (json!({"type": "string"}), json!({"type": "string", "format": "date-time"}));
    let changes = minor(&at(text.clone()), &at(time.clone()));
    assert_eq!(errors(&changes), ["v1.1 /properties/at/format STR_FORMAT_ADDED"], "{changes:#?}");
    assert!(errors(&minor(&at(time.clone()), &at(time.clone()))).is_empty());
    // Forward it is fine, backward it is not: the policy asks for both.
    let changes = minor(&at(time.clone()), &at(text));
    assert_eq!(errors(&changes), ["v1.1 /properties/at STR_FORMAT_ADDED"], "{changes:#?}");
    // What an address and a time have in common is not known.
    let changes = minor(&at(time), &at(json!({"type": "string", "format": "email"})));
    assert!(
        changes.iter().any(|change| change.level == Level::Undecided || change.level == Level::Error),
        "{changes:#?}"
    );
    // The setting is a part of the meaning.
    let meant = |formats: &str| {
        object(
            json!({"x-celerysalt": {"formats": formats}, "properties": {"at": {"type": "string", "format": "uuid"}}}),
        )
    };
    assert_eq!(
        errors(&minor(&meant("annotation"), &meant("assertion"))),
        ["v1.1 /properties/at/format STR_FORMAT_CHANGED"]
    );
    assert!(errors(&minor(&meant("assertion"), &meant("assertion"))).is_empty());
}

#[test]
fn what_can_not_be_decided_is_no_guess() {
    let changes =
        minor(&properties(json!({"a": {"pattern": "^(?=a)"}})), &properties(json!({"a": {"pattern": "^(?!b)"}})));
    assert!(!changes.is_empty() && changes.iter().all(|change| change.level == Level::Undecided), "{changes:#?}");
    assert_eq!(changes[0].rule, "UNDECIDED");
}

#[test]
fn places_are_in_the_file_that_was_written() {
    let fragment = |kind: &str| {
        format!("{{\n  \"type\": \"object\",\n  \"properties\": {{\n    \"n\": {{\"type\": \"{kind}\"}}\n  }}\n}}\n")
    };
    let refers = |name: &str| {
        format!("{{\n  \"type\": \"object\",\n  \"allOf\": [{{\"$ref\": \"../_common/{name}.json\"}}]\n}}\n")
    };
    let changes = evolve(
        &[],
        &[
            ("_common/one.json", fragment("integer")),
            ("_common/two.json", fragment("string")),
            ("a.b/v1.json", refers("one")),
            ("a.b/v1.1.json", refers("two")),
        ],
    );
    let error = changes.iter().find(|change| change.level == Level::Error).unwrap();
    let span = error.place.span.unwrap();
    assert!(error.place.path.as_ref().unwrap().ends_with("_common/two.json"), "{error:?}");
    assert_eq!((span.line, span.column), (4, 11));
    assert!(error.other.as_ref().unwrap().path.as_ref().unwrap().ends_with("_common/one.json"), "{error:?}");
}

#[test]
fn a_registrys_records_are_compared_by_what_they_say() {
    let record = |version: &str, schema: Value| -> Release {
        let record = json!({"topic": "a.b", "version": version, "mode": "broadcast", "schema": schema, "fingerprint": "not to be believed"});
        Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
    };
    let (old, new) =
        (json!({"properties": {"n": {"type": "integer"}}}), json!({"properties": {"n": {"type": "string"}}}));
    let found =
        check(&[record("v1", old.clone())], &[record("v1", new.clone())], Baseline::Shared, &Options::default());
    assert!(found.is_breaking() && found.changes.iter().any(|change| change.rule == "VERSION_EDITED"));
    let same = check(&[record("v1", old.clone())], &[record("v1", old.clone())], Baseline::Shared, &Options::default());
    assert!(same.changes.is_empty());
    let none = json!({"properties": {"n": {"type": "string"}}, "x-celerysalt": {"compatibility": "none"}});
    let found = check(&[record("v1", old)], &[record("v1.1", none)], Baseline::Shared, &Options::default());
    assert!(!found.is_breaking(), "{:#?}", found.changes);
}

#[test]
fn versions_are_suggested_by_what_changed() {
    let schema = |members: Value| properties(members);
    let v1 = schema(json!({"n": {"type": "integer"}}));
    let more = schema(json!({"n": {"type": "integer"}, "m": {}}));
    let other = schema(json!({"n": {"type": "string"}}));
    let suggested = |head: &[(&str, String)]| {
        let (base, head) = (Folder::of(&[("a.b/v1.json", v1.clone())]), Folder::of(head));
        suggest(&base.releases(), &head.releases(), &Options::default())
            .into_iter()
            .map(|one| (one.now.to_string(), one.wanted, one.version.to_string(), one.fits))
            .collect::<Vec<_>>()
    };
    let one = |now: &str, wanted, version: &str, fits| vec![(now.to_owned(), wanted, version.to_owned(), fits)];
    assert_eq!(suggested(&[("a.b/v1.json", v1.clone())]), vec![]);
    assert_eq!(suggested(&[("a.b/v1.json", more.clone())]), one("v1", Wanted::Minor, "v1.1", false));
    assert_eq!(suggested(&[("a.b/v1.json", other.clone())]), one("v1", Wanted::Major, "v2", false));
    let with = |name: &'static str, text: &String| vec![("a.b/v1.json", v1.clone()), (name, text.clone())];
    assert_eq!(suggested(&with("a.b/v1.1.json", &more)), one("v1.1", Wanted::Minor, "v1.1", true));
    assert_eq!(suggested(&with("a.b/v1.1.json", &other)), one("v1.1", Wanted::Major, "v2", false));
    assert_eq!(suggested(&with("a.b/v2.json", &other)), one("v2", Wanted::Major, "v2", true));
    assert_eq!(suggested(&with("a.b/v2.json", &more)), one("v2", Wanted::Minor, "v2", true));
}

#[test]
fn every_rule_has_its_words() {
    for rule in rules() {
        assert!(!rule.what.is_empty() && !rule.mend.is_empty() && rule.id == rule.id.to_uppercase(), "{rule:?}");
    }
}
