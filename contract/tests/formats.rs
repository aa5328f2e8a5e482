//! What a contract says of formats: for all its files, in its fingerprint, in the words of a violation.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{fs, path::PathBuf};

use celerysalt_contract::{Catalog, Document, Exact, Formats, Mode, Validator, fingerprint};
use serde_json::{Value, json};

/// A schemas folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn of(name: &str, files: &[(&str, Value)]) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("celerysalt_formats_{}_{name}", std::process::id())));
        for (path, schema) in files {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, schema.to_string()).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

fn at(extra: Value) -> Value {
    let mut schema = json!({"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}});
    schema.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    schema
}

fn accepts(schema: &Value, payload: &str) -> bool {
    let (exact, library) = (Exact::new(schema).unwrap(), Validator::new(schema).unwrap());
    let accepts = exact.accepts(payload.as_bytes());
    assert_eq!(accepts, library.is_valid(&serde_json::from_str(payload).unwrap()), "{schema} and {payload}");
    accepts
}

#[test]
fn each_setting_refuses_what_it_should() {
    let (naive, zoned, none) =
        (r#"{"at": "2026-11-27T10:30:00"}"#, r#"{"at": "2026-11-27T10:30:00Z"}"#, r#"{"at": "x"}"#);
    let verdicts = |schema: Value| [naive, zoned, none].map(|payload| accepts(&schema, payload));
    let set = |formats: &str| at(json!({"x-celerysalt": {"formats": formats}}));
    assert_eq!(verdicts(at(json!({}))), [true, true, false], "as pydantic, without $schema");
    assert_eq!(verdicts(at(json!({"$schema": DRAFT}))), [true, true, true]);
    assert_eq!(verdicts(set("annotation")), [true, true, true]);
    assert_eq!(verdicts(set("assertion")), [false, true, false]);
    assert_eq!(verdicts(set("pydantic")), [true, true, false]);
    // Without the type beside it, pydantic did not write it.
    assert!(accepts(&json!({"format": "date-time"}), r#""x""#));
    assert!(accepts(&json!({"type": "string", "format": "colour"}), r#""x""#));
    assert!(
        accepts(&json!({"type": "string", "format": "date-time"}), r#""\u0032026-11-27""#),
        "escapes are read first"
    );
}

/// Where several schemas look at one text, where a reference leads, in alternatives, under `not` and in names.
#[test]
fn formats_count_wherever_they_stand() {
    let uuid = json!({"type": "string", "format": "uuid"});
    let (good, bad) = (r#""3fa85f64-5717-4562-b3fc-2c963f66afa6""#, r#""3fa85f64""#);
    for schema in [
        json!({"allOf": [{"minLength": 1}, uuid]}),
        json!({"$ref": "#/$defs/id", "maxLength": 40, "$defs": {"id": uuid}}),
        json!({"anyOf": [uuid, {"type": "null"}]}),
        json!({"oneOf": [uuid, {"type": "integer"}]}),
        json!({"not": {"not": uuid}}),
        json!({"if": uuid, "else": false}),
    ] {
        assert!(accepts(&schema, good) && !accepts(&schema, bad), "{schema}");
    }
    let names = json!({"propertyNames": uuid});
    assert!(accepts(&names, &format!("{{{good}: 1}}")) && !accepts(&names, &format!("{{{bad}: 1}}")));
}

#[test]
fn a_violation_names_the_format_and_not_the_text() {
    for formats in ["assertion", "pydantic"] {
        let schema = at(json!({"x-celerysalt": {"formats": formats}}));
        let told = Exact::new(&schema).unwrap().check(br#"{"at": "secret"}"#).unwrap_err().to_string();
        assert_eq!(told, r#"/at: format: expected text of the format "date-time""#);
        let library = Validator::new(&schema).unwrap().validate(&json!({"at": "secret"})).unwrap_err().to_string();
        assert_eq!(told, library);
    }
}

#[test]
fn the_setting_of_the_first_file_holds_for_all() {
    let request = at(json!({"title": "A", "description": "a", "x-celerysalt": {"formats": "assertion"}}));
    let folder = Folder::of(
        "all",
        &[
            ("a.b/v1.json", request),
            ("a.b/v1.response.json", at(json!({}))),
            ("a.b/v1.error.json", at(json!({"$schema": DRAFT}))),
        ],
    );
    let catalog = Catalog::load(&folder.0).unwrap();
    for document in catalog.contracts[0].documents() {
        assert_eq!(Formats::of(&document.schema), Formats::Assertion);
        assert!(!accepts(&document.schema, r#"{"at": "2026-11-27T10:30:00"}"#));
    }
    let alone = Document::load(&folder.0, "a.b/v1.response.json").unwrap();
    assert_eq!(Formats::of(&alone.schema), Formats::Pydantic);
}

#[test]
fn a_setting_that_there_is_none_of_is_refused() {
    let folder = Folder::of("none", &[("a.b/v1.json", at(json!({"x-celerysalt": {"formats": "pydantik"}})))]);
    let told = Catalog::load(&folder.0).unwrap_err().to_string();
    assert!(told.contains("`formats` is one of `annotation`, `assertion`, `pydantic`"), "{told}");
}

#[test]
fn what_is_refused_is_a_part_of_the_meaning() {
    let of = |schema: &Value| fingerprint(Mode::Broadcast, schema, None, None);
    let set = |formats: &str| at(json!({"x-celerysalt": {"formats": formats}}));
    assert_eq!(of(&at(json!({}))), of(&set("pydantic")), "said or not");
    assert_eq!(of(&at(json!({"$schema": DRAFT}))), of(&set("annotation")));
    assert_ne!(of(&set("annotation")), of(&set("pydantic")));
    assert_ne!(of(&set("assertion")), of(&set("pydantic")));
    // Where no format refuses anything, the setting means nothing.
    let plain = |formats: &str| json!({"minLength": 1, "x-celerysalt": {"formats": formats}});
    assert_eq!(of(&plain("assertion")), of(&plain("annotation")));
}

#[test]
fn a_digit_is_a_digit_in_asserted_dates_and_times() {
    let of = |format: &str| json!({"format": format, "x-celerysalt": {"formats": "assertion"}});
    for (format, good, bad) in [
        ("date", "2020-11-30", vec!["202.-11-30", "2020-1.-30", "2020-11-3/"]),
        ("time", "20:29:22Z", vec!["20:2.:22Z", "20:29:2,Z", "20:29:22+0-:00"]),
        ("date-time", "2020-11-30t20:29:22-10:28", vec!["2020-11-30t20:2.:22-10:28", "2020-1*-30T20:29:22Z"]),
    ] {
        assert!(accepts(&of(format), &json!(good).to_string()), "{format} {good}");
        for bad in bad {
            assert!(!accepts(&of(format), &json!(bad).to_string()), "{format} {bad}");
        }
    }
}
