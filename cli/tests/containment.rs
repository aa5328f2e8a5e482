//! The containment suite, run as users would: `celerysalt compat --literal` on each of its labelled pairs, where the suite
//! lies beside the workspace.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::{
    collections::BTreeMap,
    env, fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde::Deserialize;
use serde_json::{Value, json};
use support::Folder;

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

/// Whose label is not what the schemas say: `old` is one constant there, and `new` accepts it (see
/// `contract/tests/compare_suite.rs`).
const MISLABELLED: [&str; 1] = ["draft7/nonvalid/ref.json#16"];

/// The file, or none where neither it nor the folder that it is in is there.
fn suite() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CELERYSALT_COMPAT_SUITE") {
        return Some(path.into());
    }
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    shared.is_dir().then(|| shared.join("compat/containment_draft7.jsonl"))
}

/// Draft 7, unless the schema says so itself.
fn draft7(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.entry("$schema").or_insert(json!("http://json-schema.org/draft-07/schema#"));
    }
    schema.to_string()
}

/// What the command says to each label of a case, with the label.
fn decide(folder: &Folder, case: &Case) -> Vec<(bool, String)> {
    folder.write("old.json", &draft7(&case.old));
    folder.write("new.json", &draft7(&case.new));
    let (direction, labels) = match (case.expected.backward, case.expected.forward) {
        (Some(backward), Some(forward)) => ("full", vec![backward, forward]),
        (Some(backward), None) => ("backward", vec![backward]),
        (None, Some(forward)) => ("forward", vec![forward]),
        (None, None) => return Vec::new(),
    };
    let run =
        folder.run(&["compat", "--literal", "--direction", direction, "--format", "json", "old.json", "new.json"]);
    let document = run.json();
    // It refers to what it does not have: no verdict, and so none that is wrong.
    if run.status == 2 && document["error"]["kind"] == "schema" {
        return labels.into_iter().map(|label| (label, "unknown".to_owned())).collect();
    }
    let checks = document["checks"].as_array().unwrap_or_else(|| panic!("{}: {run:?}", case.id));
    let verdicts: Vec<String> = checks.iter().map(|check| check["verdict"].as_str().unwrap().to_owned()).collect();
    let has = |verdict: &str| verdicts.iter().any(|one| one == verdict);
    let status = if has("breaking") { 1 } else { 3 * i32::from(has("unknown")) };
    assert_eq!(run.status, status, "{}: {run:?}", case.id);
    labels.into_iter().zip(verdicts).collect()
}

#[derive(Default)]
struct Row {
    right: usize,
    wrong: usize,
    unknown: usize,
    unsound: usize,
    mislabelled: usize,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.unknown += other.unknown;
        self.unsound += other.unsound;
        self.mislabelled += other.mislabelled;
    }

    fn print(&self, keyword: &str) {
        let Self { right, wrong, unknown, unsound, mislabelled } = self;
        println!("{keyword:<22}{right:>7}{wrong:>7}{unknown:>9}{unsound:>9}{mislabelled:>13}");
    }
}

#[test]
fn the_command_decides_labelled_pairs_as_labelled() {
    let Some(path) = suite() else {
        eprintln!("skipped: there is no folder ../shared beside the workspace, and CELERYSALT_COMPAT_SUITE is not set");
        return;
    };
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let folder = Folder::empty();
        let mut decided = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            decided.push((case, decide(&folder, case)));
        }
        decided
    };
    let decided: Vec<_> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });

    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (case, verdicts) in &decided {
        for (label, verdict) in verdicts {
            let row = rows.entry(case.kw.as_str()).or_default();
            let (count, fault) = match (verdict.as_str(), label) {
                ("compatible", true) | ("breaking", false) => (&mut row.right, None),
                ("compatible", false) if MISLABELLED.contains(&case.id.as_str()) => (&mut row.mislabelled, None),
                ("compatible", false) => (&mut row.unsound, Some("UNSOUND")),
                ("unknown", _) => (&mut row.unknown, Some("unknown")),
                _ => (&mut row.wrong, Some("wrong")),
            };
            *count += 1;
            if let Some(fault) = fault {
                println!("{fault} {}: {} in {}", case.id, case.old, case.new);
            }
        }
    }
    println!("{:<22}{:>7}{:>7}{:>9}{:>9}{:>13}", "keyword", "right", "wrong", "unknown", "unsound", "mislabelled");
    let mut all = Row::default();
    for (keyword, row) in &rows {
        row.print(keyword);
        all.add(row);
    }
    all.print("all");
    let labels = all.right + all.wrong + all.unknown + all.unsound + all.mislabelled;
    println!("{} runs of the command, {labels} labels", decided.len());
    assert!(decided.len() > 1_900 && labels > 2_000, "{} cases, {labels} labels", decided.len());
    assert_eq!(all.unsound, 0);
    assert!(all.right * 100 >= labels * 97, "{} of {labels} right", all.right);
    assert!(all.unknown * 100 <= labels * 3, "{} of {labels} unknown", all.unknown);
}
