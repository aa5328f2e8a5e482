//! The official test suite of JSON Schema: every required test of five drafts.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Exact, Validator, Way};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    description: String,
    data: Value,
    valid: bool,
}

const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
];

#[test]
fn required_tests_are_decided_as_the_suite_says() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/corpora/json-schema-test-suite");
    println!("{:<14}{:>7}{:>7}{:>10}{:>9}{:>9}", "draft", "right", "wrong", "refused", "library", "schemas");
    let mut faults = Vec::new();
    for (folder, uri) in DRAFTS {
        let path = suite.join("tests").join(folder);
        let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        assert!(files.len() > 25, "{folder}: {} files", files.len());
        let (mut right, mut wrong, mut refused, mut library, mut schemas) = (0, 0, 0, 0, 0);
        for file in files {
            let groups: Vec<Group> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            for mut group in groups {
                let name = format!("{folder}/{} {}", file.file_stem().unwrap().display(), group.description);
                if let Value::Object(members) = &mut group.schema {
                    members.entry("$schema").or_insert(json!(uri));
                }
                schemas += 1;
                let exact = match Exact::new(&group.schema) {
                    Ok(exact) => exact,
                    Err(error) => {
                        assert_eq!(Validator::new(&group.schema).unwrap_err().code(), error.code());
                        println!(
                            "refused: {name}: {}: {}",
                            error.code(),
                            error.message.chars().take(90).collect::<String>()
                        );
                        refused += 1;
                        continue;
                    }
                };
                for one in exact.explain().iter().filter(|one| one.way == Way::Library) {
                    println!("library: {name}: {}: {}", one.pointer, one.why);
                    library += 1;
                }
                for test in group.tests {
                    let text = test.data.to_string();
                    let accepted = exact.accepts(text.as_bytes());
                    if accepted == test.valid && exact.check(text.as_bytes()).is_ok() == accepted {
                        right += 1;
                    } else {
                        wrong += 1;
                        faults.push(format!("{name}: {}", test.description));
                    }
                }
            }
        }
        println!("{folder:<14}{right:>7}{wrong:>7}{refused:>10}{library:>9}{schemas:>9}");
        assert!(right > 500, "{folder}: {right} right");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
