//! The containment suite: labelled pairs of schemas, where it lies beside the workspace.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use celerysalt_contract::{
    Validator,
    compare::{Options, Verdict, contains},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    id: String,
    old: Value,
    new: Value,
    expected: Expected,
    kw: String,
}

#[derive(Deserialize)]
struct Expected {
    backward: Option<bool>,
    forward: Option<bool>,
}

/// Whose label is not what the schemas say: old is one constant there, and new accepts it. (The suite's generator negated
/// a schema that refers to itself by its own name, which negates the inner trees once more.)
const MISLABELLED: [&str; 1] = ["draft7/nonvalid/ref.json#16"];

#[derive(Default)]
struct Row {
    right: usize,
    mislabelled: usize,
    wrong: usize,
    unknown: usize,
    unsound: usize,
}

/// The file, or none where neither it nor the folder that it is in is there.
fn suite() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CELERYSALT_COMPAT_SUITE") {
        return Some(path.into());
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    shared.is_dir().then(|| shared.join("compat/containment_draft7.jsonl"))
}

/// Draft 7, unless the schema says so itself.
fn draft7(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.entry("$schema").or_insert(json!("http://json-schema.org/draft-07/schema#"));
    }
    schema
}

#[test]
fn labelled_pairs_are_decided_as_labelled() {
    let Some(path) = suite() else {
        eprintln!("skipped: there is no folder ../shared beside the workspace, and CELERYSALT_COMPAT_SUITE is not set");
        return;
    };
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut faults = Vec::new();
    let (mut total, mut slowest) = (Duration::ZERO, (Duration::ZERO, String::new()));
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let (old, new) = (draft7(&case.old), draft7(&case.new));
        for (expected, old, new) in [(case.expected.backward, &old, &new), (case.expected.forward, &new, &old)] {
            let Some(expected) = expected else { continue };
            let start = Instant::now();
            let verdict = contains(old, new, &Options::default());
            let took = start.elapsed();
            total += took;
            if took > slowest.0 {
                slowest = (took, case.id.clone());
            }
            let row = rows.entry(case.kw.clone()).or_default();
            match (&verdict, expected) {
                (Verdict::Unknown { reason, .. }, _) => {
                    row.unknown += 1;
                    faults.push(format!("unknown {}: {old} in {new}: {reason}", case.id));
                }
                (Verdict::Compatible, true) | (Verdict::Breaking { .. }, false) => row.right += 1,
                (Verdict::Compatible, false) if MISLABELLED.contains(&case.id.as_str()) => {
                    let constant = old.get("const").unwrap();
                    assert!(Validator::new(new).unwrap().is_valid(constant), "{}: the label is right", case.id);
                    row.mislabelled += 1;
                }
                (Verdict::Compatible, false) => {
                    row.unsound += 1;
                    faults.push(format!("UNSOUND {}: {old} in {new}", case.id));
                }
                (verdict, _) => {
                    row.wrong += 1;
                    faults.push(format!("wrong {}: {old} in {new}: {verdict:?}", case.id));
                }
            }
        }
    }
    println!("{:<22}{:>7}{:>7}{:>9}{:>9}{:>13}", "keyword", "right", "wrong", "unknown", "unsound", "mislabelled");
    let line = |keyword: &str, row: &Row| {
        let Row { right, wrong, unknown, unsound, mislabelled } = row;
        println!("{keyword:<22}{right:>7}{wrong:>7}{unknown:>9}{unsound:>9}{mislabelled:>13}");
    };
    let mut sum = Row::default();
    for (keyword, row) in &rows {
        line(keyword, row);
        sum.mislabelled += row.mislabelled;
        sum.right += row.right;
        sum.wrong += row.wrong;
        sum.unknown += row.unknown;
        sum.unsound += row.unsound;
    }
    let labels = sum.right + sum.wrong + sum.unknown + sum.unsound + sum.mislabelled;
    line("all", &sum);
    println!("{labels} labels in {total:?}, the slowest {slowest:?}");
    for fault in &faults {
        println!("{fault}");
    }
    assert!(labels > 2_000, "{labels} labels");
    assert_eq!(sum.unsound, 0);
    assert!(sum.right * 100 >= labels * 97, "{} of {labels} right", sum.right);
    assert!(sum.unknown * 100 <= labels * 3, "{} of {labels} unknown", sum.unknown);
}
