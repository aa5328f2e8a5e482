//! Input that was made to hurt: nothing hangs, nothing panics, nothing is read that was not meant, nothing leaks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, reason = "tests fail by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use celerysalt_contract::{Catalog, Validator, differences, fingerprint};
use serde_json::{Map, Value, json};

/// A fresh folder below the build's own folder for tests.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract-hostile").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn write(root: &Path, path: &str, text: &str) {
    let full = root.join(path);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, text).unwrap();
}

fn good() -> &'static str {
    r#"{"title": "T", "description": "D", "type": "object"}"#
}

fn findings(root: &Path) -> Vec<String> {
    let said = Catalog::load(root).unwrap_err().to_string();
    said.lines().map(|line| line.replace(&format!("{}/", root.display()), "")).collect()
}

#[test]
fn missing_and_wrong_roots_are_findings() {
    let root = folder("roots");
    assert!(findings(&root.join("no"))[0].contains("empty-catalog: the schemas folder can't be opened"));
    write(&root, "file", "");
    assert!(findings(&root.join("file"))[0].contains("empty-catalog: this is a file"));
    assert!(findings(&root)[0].contains("empty-catalog: the schemas folder has no contract"));
    assert!(Catalog::load("a\0b").is_err());
}

#[cfg(unix)]
#[test]
fn links_loops_pipes_and_folders_are_survived() {
    use std::os::unix::fs::symlink;

    let outer = folder("links");
    write(&outer, "secret.json", r#"{"secret": tru}"#);
    let root = outer.join("schemas");
    write(
        &root,
        "a.b/v1.json",
        r#"{"title": "T", "description": "D", "allOf": [{"$ref": "../_common/out.json"}, {"$ref": "../_common/loop.json"}, {"$ref": "../_out/secret.json"}]}"#,
    );
    write(&root, "_common/keep.json", "{}");
    symlink("../../secret.json", root.join("_common/out.json")).unwrap();
    symlink("loop.json", root.join("_common/loop.json")).unwrap();
    symlink("..", root.join("_common/up")).unwrap();
    symlink("..", root.join("_out")).unwrap();
    symlink("../../secret.json", root.join("a.b/v2.json")).unwrap();
    symlink("/dev/zero", root.join("a.b/v3.json")).unwrap();
    symlink("nowhere", root.join("a.b/v4.json")).unwrap();
    symlink("self", root.join("self")).unwrap();
    symlink(".", root.join("again")).unwrap();
    symlink("v1.json", root.join("a.b/v5.json")).unwrap();
    fs::create_dir_all(root.join("a.b/v6.json")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(root.join("a.b/v7.json")).status();
    let found = findings(&root);
    let text = found.join("\n");
    assert!(!text.contains("tru}") && !text.contains("json-syntax"), "{text}");
    for (path, code, message) in [
        ("a.b/v1.json", "ref-outside", "`../_common/out.json` is a symbolic link that leaves"),
        ("a.b/v1.json", "ref-missing-file", "`_common/loop.json`"),
        ("a.b/v1.json", "ref-outside", "`../_out/secret.json` is a symbolic link that leaves"),
        ("_common/out.json", "file-system", "leaves the schemas folder"),
        ("_common/loop.json", "file-system", ""),
        ("_out", "file-system", "leaves the schemas folder"),
        ("a.b/v2.json", "file-system", "leaves the schemas folder"),
        ("a.b/v3.json", "file-system", "leaves the schemas folder"),
        ("a.b/v4.json", "file-system", ""),
        ("self", "file-system", ""),
        ("a.b/v6.json", "warning: unexpected-file", "a folder inside"),
    ] {
        let seen = found
            .iter()
            .any(|line| line.starts_with(path) && line.contains(&format!(": {code}: ")) && line.contains(message));
        assert!(seen, "{path} {code} {message} in\n{text}");
    }
    if pipe.is_ok_and(|status| status.success()) {
        assert!(text.contains("a.b/v7.json:1:1: file-system: this is neither a file nor a folder"), "{text}");
    }
}

#[test]
fn ten_thousand_files_are_loaded_in_seconds() {
    let root = folder("many");
    write(&root, "_common/base.json", r#"{"type": "object", "properties": {"id": {"type": "string"}}}"#);
    for i in 0..10_000 {
        let text =
            r#"{"title": "T", "description": "D", "type": "object", "allOf": [{"$ref": "../_common/base.json"}]}"#;
        write(&root, &format!("topic.n{}/v{}.json", i / 10, i % 10 + 1), text);
    }
    let started = Instant::now();
    let catalog = Catalog::load(&root).unwrap();
    assert_eq!((catalog.contracts.len(), catalog.files.len()), (10_000, 10_001));
    assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn circles_between_files_end() {
    let root = folder("circles");
    write(
        &root,
        "a.b/v1.json",
        r#"{"title": "T", "description": "D", "properties": {"n": {"$ref": "../_common/a.json"}, "me": {"$ref": "v1.json"}, "too": {"$ref": "../a.b/v1.json#/properties/n"}}}"#,
    );
    write(
        &root,
        "_common/a.json",
        r##"{"properties": {"b": {"$ref": "b.json#/$defs/x~1y%20z"}, "self": {"$ref": "#"}, "top": {"$ref": "../a.b/v1.json"}}}"##,
    );
    write(
        &root,
        "_common/b.json",
        r#"{"$defs": {"x/y z": {"$id": "inner", "$anchor": "here", "items": {"$ref": "a.json"}, "contains": {"$ref": "b.json#deep"}}, "other": {"$anchor": "deep", "type": "null"}}}"#,
    );
    let catalog = Catalog::load(&root).unwrap_or_else(|findings| panic!("{findings}"));
    let schema = &catalog.contracts[0].request.schema;
    assert_eq!(
        schema["properties"],
        json!({"n": {"$ref": "#/$defs/a"}, "me": {"$ref": "#"}, "too": {"$ref": "#/properties/n"}})
    );
    assert_eq!(
        schema["$defs"],
        json!({
            "a": {"properties": {"b": {"$ref": "#/$defs/x_y_z"}, "self": {"$ref": "#/$defs/a"}, "top": {"$ref": "#"}}},
            "x_y_z": {"items": {"$ref": "#/$defs/a"}, "contains": {"$ref": "#/$defs/other"}},
            "other": {"type": "null"}
        })
    );
}

#[test]
fn too_many_files_in_one_document_are_refused() {
    let root = folder("wide");
    for i in 0..300 {
        write(
            &root,
            &format!("_common/f{i}.json"),
            &format!(r#"{{"properties": {{"n": {{"$ref": "f{}.json"}}}}}}"#, i + 1),
        );
    }
    write(&root, "_common/f300.json", "{}");
    write(
        &root,
        "a.b/v1.json",
        r#"{"title": "T", "description": "D", "properties": {"n": {"$ref": "../_common/f0.json"}}}"#,
    );
    assert_eq!(
        findings(&root),
        ["a.b/v1.json:1:1: too-large: with its references the schema is made of more than 256 files or 8 MiB"]
    );
}

#[test]
fn nothing_is_fetched_and_no_file_is_read_by_a_validator() {
    for reference in
        ["http://127.0.0.1:9/x.json", "file:///etc/passwd", "/etc/passwd", "other.json", "urn:x", "#/nope", "#nope"]
    {
        let error = Validator::new(&json!({"$ref": reference})).unwrap_err();
        assert!(!error.to_string().contains("root:"), "{error}");
    }
}

#[test]
fn patterns_take_no_exponential_time() {
    let text = format!("{}!", "a".repeat(5_000));
    for (pattern, linear) in [
        ("^(a+)+$", true),
        ("^(a|a)*$", true),
        (r"^(?=(a+)+$).*$", false),
        (r"^(a+)+\1$", false),
        ("^(?:a+(?!b))+$", false),
    ] {
        let validator = Validator::new(&json!({"pattern": pattern})).unwrap();
        let started = Instant::now();
        let refused = validator.validate(&json!(text)).unwrap_err();
        assert_eq!(refused.as_slice()[0].keyword, "pattern");
        assert!(!validator.is_valid(&json!(text)));
        assert!(
            started.elapsed() < Duration::from_secs(if linear { 2 } else { 10 }),
            "{pattern}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn depth_is_limited_and_what_is_allowed_fits_the_stack() {
    // By hand: `json!` would copy the inner value at each level.
    let wrap = |key: &str, inner: Value| Value::Object(Map::from_iter([(key.to_owned(), inner)]));
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| wrap("n", inner));
    let recursive =
        Validator::new(&json!({"type": "object", "properties": {"n": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}))
            .unwrap();
    recursive.validate(&nested(120)).unwrap();
    for levels in [128, 5_000] {
        // Dropping such a value would overflow the stack by itself.
        let value = std::mem::ManuallyDrop::new(nested(levels));
        let violations = recursive.validate(&value).unwrap_err();
        assert_eq!(violations.to_string(), "depth: expected at most 128 levels of nesting");
        assert!(!recursive.is_valid(&value));
    }
    let schema = |levels: usize| (0..levels).fold(json!({"type": "null"}), |inner, _| wrap("not", inner));
    assert_eq!(Validator::new(&std::mem::ManuallyDrop::new(schema(5_000))).unwrap_err().code(), "schema-too-deep");
    Validator::new(&schema(118)).unwrap().validate(&Value::Null).unwrap();
}

#[test]
fn nothing_of_a_payload_is_told() {
    let schema = json!({
        "properties": {
            "a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"const": 1}, "d": {"maxLength": 2, "pattern": "^z"},
            "e": {"anyOf": [{"type": "null"}, {"properties": {"t": {"const": 1}}, "type": "object"}]},
            "f": {"oneOf": [{"type": "string"}, {"minLength": 1}]}, "g": {"additionalProperties": false, "properties": {"k": {}}},
            "h": {"propertyNames": {"maxLength": 3}}, "i": {"not": {"type": "string"}}, "j": false,
            "k": {"items": {"type": "null"}, "uniqueItems": true, "maxItems": 1, "contains": {"type": "null"}},
            "l": {"unevaluatedProperties": false}, "m": {"unevaluatedItems": false}, "n": {"maximum": 1}, "o": {"multipleOf": 7},
            "p": {"dependentRequired": {"x": ["y"]}}, "q": {"required": ["z"]}, "r": {"if": true, "then": {"type": "null"}},
            "s": {"additionalProperties": false, "patternProperties": {"^p-": {}}}
        }
    });
    let secret = "SECRET";
    let payload = json!({
        "a": secret, "b": secret, "c": secret, "d": secret, "e": {"t": secret}, "f": secret, "g": {"SECRET": 1},
        "h": {"SECRET": 1}, "i": secret, "j": secret, "k": [secret, secret], "l": {"SECRET": 1}, "m": [secret],
        "n": 66_677_788, "o": 66_677_788, "p": {"x": secret}, "q": {"SECRET": 1}, "r": secret, "s": {"SECRET": 1}
    });
    let violations = Validator::new(&schema).unwrap().validate(&payload).unwrap_err();
    let text = format!("{violations} {}", serde_json::to_string(&violations).unwrap());
    assert!(!text.contains(secret) && !text.contains("66677788"), "{text}");
    let told = violations.to_string().replace("; /", "\n/");
    assert_eq!(told, include_str!("violations.txt").trim_end());
}

#[test]
fn a_hundred_violations_are_enough() {
    let validator = Validator::new(&json!({"items": {"type": "null"}})).unwrap();
    let violations = validator.validate(&Value::from(vec![1; 10_000])).unwrap_err();
    assert_eq!(violations.len(), 100);
}

/// A small generator without a dependency: the same sequence on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).unwrap()
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        const KEYS: [&str; 44] = [
            "$ref",
            "$id",
            "id",
            "$anchor",
            "$dynamicRef",
            "$dynamicAnchor",
            "$recursiveRef",
            "$recursiveAnchor",
            "$schema",
            "$defs",
            "definitions",
            "properties",
            "patternProperties",
            "additionalProperties",
            "items",
            "prefixItems",
            "additionalItems",
            "contains",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "if",
            "then",
            "else",
            "dependentSchemas",
            "dependencies",
            "dependentRequired",
            "required",
            "type",
            "enum",
            "const",
            "default",
            "minimum",
            "maxLength",
            "pattern",
            "title",
            "unevaluatedProperties",
            "unevaluatedItems",
            "x-celerysalt",
            "x-y",
            "a",
            "b",
            "propertyNames",
        ];
        const TEXTS: [&str; 26] = [
            "#",
            "#/",
            "#/$defs/a",
            "#/$defs/b",
            "#a",
            "a",
            "b",
            "#/properties/a",
            "",
            "::",
            "http://[",
            "%zz",
            "#%zz",
            "#/%00",
            "../../x",
            "v1.json",
            "../_common/x.json#/$defs/a",
            "v2.json",
            "string",
            "object",
            "(",
            "^a",
            "\u{202e}",
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2019-09/schema",
            "#/allOf/0",
        ];
        match self.below(if depth == 0 { 5 } else { 12 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => json!(self.below(3)),
            3 | 4 => json!(self.pick(&TEXTS)),
            5 | 6 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let mut members = Map::new();
                for _ in 0..self.below(5) {
                    let key = self.pick(&KEYS);
                    let value = self.value(depth - 1);
                    // Mostly what the keyword wants, so that the walk gets past the meta-schema.
                    let value = match key {
                        "$ref" | "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" => json!(self.pick(&TEXTS)),
                        "allOf" | "anyOf" | "oneOf" | "prefixItems" => json!([value]),
                        "$defs" | "properties" | "definitions" => json!({"a": value, "b": self.value(depth - 1)}),
                        _ => value,
                    };
                    members.insert(key.to_owned(), value);
                }
                Value::Object(members)
            }
        }
    }
}

#[test]
fn no_schema_panics_or_hangs() {
    let mut random = Random(7);
    let mut compiled = 0;
    for _ in 0..3_000 {
        let schema = random.value(5);
        let value = random.value(4);
        if let Ok(validator) = Validator::new(&schema) {
            compiled += 1;
            assert_eq!(validator.is_valid(&value), validator.validate(&value).is_ok(), "{schema} {value}");
        }
        let other = random.value(4);
        let record = |schema: &Value| -> celerysalt_contract::ContractRecord {
            serde_json::from_value(
                json!({"topic": "a", "version": "v1", "mode": "rpc", "schema": schema, "fingerprint": ""}),
            )
            .unwrap()
        };
        let digest = |schema| fingerprint(celerysalt_contract::Mode::Rpc, schema, None, None);
        assert_eq!(differences(&record(&schema), &record(&other)).is_empty(), digest(&schema) == digest(&other));
    }
    assert!(compiled > 300, "{compiled}");
}

#[test]
fn no_folder_panics_or_hangs() {
    let mut random = Random(11);
    let root = folder("random");
    let mut loaded = 0;
    for _ in 0..300 {
        for file in ["a.b/v1.json", "a.b/v2.json", "a.b/v1.response.json", "_common/x.json"] {
            let mut value = random.value(5);
            if let (Value::Object(members), true) = (&mut value, random.below(4) > 0) {
                members.retain(|key, _| !key.starts_with("$schema") && key != "x-celerysalt");
            } else {
                value = json!({"properties": {"a": value}});
            }
            write(&root, file, &value.to_string());
        }
        match Catalog::load(&root) {
            Ok(catalog) => {
                loaded += 1;
                for contract in &catalog.contracts {
                    for document in contract.documents() {
                        assert_self_contained(&document.schema, &document.schema);
                    }
                }
            }
            Err(findings) => assert!(findings.has_errors() && !findings.render(true).contains("internal")),
        }
    }
    assert!(loaded > 0, "{loaded}");
    write(&root, "a.b/v1.json", good());
}

fn assert_self_contained(schema: &Value, root: &Value) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} in {root}"));
        assert!(root.pointer(pointer).is_some() || pointer.contains('%'), "{reference} in {root}");
    }
    celerysalt_contract::for_each_subschema(schema, celerysalt_contract::Draft::Draft202012, &mut |_, subschema| {
        assert_self_contained(subschema, root);
    });
}
