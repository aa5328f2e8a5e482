//! Folders of many contracts, loaded by several threads, and folders that stand beside each other.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use celerysalt_contract::{Catalog, Document, Validator};
use serde_json::{Value, json};

/// A folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("celerysalt-folders-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, schema: &Value) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, schema.to_string()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn event(title: &str) -> Value {
    json!({"title": title, "description": "Something.", "type": "object",
        "properties": {"base": {"$ref": "../_common/base.json"}}})
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog.contracts.iter().map(|contract| format!("{}@{}", contract.topic, contract.version)).collect()
}

/// Far more topics than one thread takes.
const MANY: usize = 120;

fn many(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("_common/base.json", &json!({"type": "string"}));
    for at in 0..MANY {
        for version in ["v1", "v1.1", "v2"] {
            folder.write(&format!("many.n{at:03}/{version}.json"), &event(&format!("N{at}")));
        }
    }
    folder
}

#[test]
fn many_contracts_are_loaded_in_their_order() {
    let folder = many("order");
    let catalog = Catalog::load(&folder.0).unwrap();
    let expected: Vec<String> =
        (0..MANY).flat_map(|at| ["v1", "v1.1", "v2"].map(|version| format!("many.n{at:03}@{version}"))).collect();
    assert_eq!(names(&catalog), expected);
    assert_eq!(catalog.files.len(), 3 * MANY + 1);
    assert_eq!(catalog.warnings.to_string(), "");
}

#[test]
fn what_several_threads_find_is_told_once_and_in_order() {
    let folder = many("findings");
    folder.write("_common/base.json", &json!({"type": "strin"}));
    folder.write("many.n003/v1.json", &json!({"title": "N", "description": "N.", "type": "object", "required": true}));
    folder.write("many.n117/v2.json", &json!({"title": "N", "description": "N.", "$ref": "missing.json"}));
    let findings = Catalog::load(&folder.0).unwrap_err();
    let told: Vec<(String, &str)> = findings
        .iter()
        .map(|finding| (finding.path.strip_prefix(&folder.0).unwrap().display().to_string(), finding.code))
        .collect();
    let expected = [
        ("_common/base.json", "meta-schema"),
        ("many.n003/v1.json", "meta-schema"),
        ("many.n117/v2.json", "ref-missing-file"),
    ];
    assert_eq!(told, expected.map(|(file, code)| (file.to_owned(), code)));
    let again = Catalog::load(&folder.0).unwrap_err();
    assert_eq!(findings, again);
}

#[test]
fn beside_another_folder_only_what_differs_is_loaded() {
    let (head, base) = (many("head"), many("base"));
    let other = |head: &Folder, base: &Folder| {
        let other = Catalog::load(&head.0).unwrap().other(&base.0).unwrap();
        let contracts: Vec<String> =
            other.contracts.iter().map(|contract| format!("{}@{}", contract.topic, contract.version)).collect();
        (contracts, other.same.len())
    };
    assert_eq!(other(&head, &base), (Vec::new(), 3 * MANY));
    // Another text, a version that only one of them has, an answer that only one has.
    base.write("many.n001/v1.json", &event("Other"));
    base.write("many.n002/v3.json", &event("N2"));
    head.write("many.n003/v3.json", &event("N3"));
    head.write("many.n004/v1.response.json", &json!({"type": "null"}));
    base.write("many.n005/v1.response.json", &json!({"type": "null"}));
    let expected = ["many.n001@v1", "many.n002@v3", "many.n004@v1", "many.n005@v1"].map(str::to_owned).to_vec();
    assert_eq!(other(&head, &base), (expected, 3 * MANY - 3));
    // Of a fragment, all that is made of it.
    base.write("_common/base.json", &json!({"type": "integer"}));
    let (contracts, same) = other(&head, &base);
    assert_eq!((contracts.len(), same), (3 * MANY + 1, 0));
    // What is broken there is told.
    base.write("many.n001/v1.json", &json!({"type": "strin"}));
    let findings = Catalog::load(&head.0).unwrap().other(&base.0).unwrap_err();
    assert_eq!(findings.errors().count(), 1, "{findings}");
    fs::remove_dir_all(&base.0).unwrap();
    fs::create_dir(&base.0).unwrap();
    let findings = Catalog::load(&head.0).unwrap().other(&base.0).unwrap_err();
    assert_eq!(findings.items[0].code, "empty-catalog", "{findings}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder_is_not_taken_for_the_same() {
    let (head, base) = (many("inside"), many("outside"));
    let file = base.0.join("many.n001/v1.json");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(head.0.join("many.n001/v1.json"), &file).unwrap();
    let findings = Catalog::load(&head.0).unwrap().other(&base.0).unwrap_err();
    assert!(findings.to_string().contains("leaves the schemas folder"), "{findings}");
}

/// Loading does not compile what surely compiles: it must be right about it.
#[test]
fn what_is_loaded_can_validate() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/corpora/json-schema-test-suite");
    let drafts = [
        ("draft4", "http://json-schema.org/draft-04/schema#"),
        ("draft6", "http://json-schema.org/draft-06/schema#"),
        ("draft7", "http://json-schema.org/draft-07/schema#"),
        ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
        ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
    ];
    let folder = Folder::new("suite");
    let (mut loaded, mut all) = (0, 0);
    let mut queue = vec![suite];
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            queue.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let Ok(Value::Array(groups)) = serde_json::from_str(&fs::read_to_string(&path).unwrap_or_default()) else {
            continue;
        };
        // Each schema as each draft: so there is some that is wrong in one and right in another.
        for schema in groups.iter().filter_map(|group| group.get("schema")) {
            for (_, uri) in drafts {
                let mut schema = schema.clone();
                if let Value::Object(members) = &mut schema {
                    members.insert("$schema".to_owned(), json!(uri));
                }
                folder.write("one.json", &schema);
                all += 1;
                if let Ok(document) = Document::load(&folder.0, "one.json") {
                    loaded += 1;
                    if let Err(error) = Validator::new(&document.schema) {
                        panic!("loaded, and can't validate: {error}\n{schema}");
                    }
                }
            }
        }
    }
    println!("{loaded} of {all} schemas are loaded, and can validate");
    assert!(loaded > 1_000, "{loaded} of {all}");
}
