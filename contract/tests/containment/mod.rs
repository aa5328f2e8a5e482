//! The containment suite: pairs of schemas of draft 7 with the label whether all instances of the one are the other's, and
//! the count of how they were decided. For the tests of the library and of the command.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// A pair of schemas.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) old: Value,
    pub(crate) new: Value,
    /// Whether every instance of `old` is one of `new`.
    pub(crate) backward: Option<bool>,
    /// Whether every instance of `new` is one of `old`.
    pub(crate) forward: Option<bool>,
    #[serde(rename = "kw")]
    pub(crate) keyword: String,
}

/// Whose label is not what the schemas say: old is one constant there, and new accepts it, as the test of the library
/// proves. (The suite's generator negated a schema that refers to itself by its own name, which negates the inner trees once
/// more.)
pub(crate) const MISLABELLED: [&str; 1] = ["draft7/nonvalid/ref.json#16"];

/// All of them, each schema with the `$schema` that it is meant under.
pub(crate) fn cases() -> Vec<Case> {
    let case = |line: &str| {
        let mut case: Case = serde_json::from_str(line).unwrap();
        for schema in [&mut case.old, &mut case.new] {
            if let Value::Object(members) = schema {
                members.entry("$schema").or_insert(json!("http://json-schema.org/draft-07/schema#"));
            }
        }
        case
    };
    let cases: Vec<Case> = include_str!("draft7.jsonl").lines().map(case).collect();
    assert_eq!(cases.len(), 1_959);
    cases
}

/// What was said to a label.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Compatible,
    Breaking,
    Unknown,
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

/// How the labels were answered, by keyword.
#[derive(Default)]
pub(crate) struct Tally {
    rows: BTreeMap<String, Row>,
    faults: Vec<String>,
}

impl Tally {
    /// Counts one answer; `why` says more of an unwanted one.
    pub(crate) fn count(&mut self, case: &Case, label: bool, said: Said, why: &str) {
        let row = self.rows.entry(case.keyword.clone()).or_default();
        let (count, fault) = match (said, label) {
            (Said::Compatible, true) | (Said::Breaking, false) => (&mut row.right, None),
            (Said::Compatible, false) if MISLABELLED.contains(&case.id.as_str()) => (&mut row.mislabelled, None),
            (Said::Compatible, false) => (&mut row.unsound, Some("UNSOUND")),
            (Said::Unknown, _) => (&mut row.unknown, Some("unknown")),
            (Said::Breaking, true) => (&mut row.wrong, Some("wrong")),
        };
        *count += 1;
        if let Some(fault) = fault {
            self.faults.push(format!("{fault} {}: {} in {}: {why}", case.id, case.old, case.new));
        }
    }

    /// Prints the table, and fails unless it holds what is promised: nothing unsound, 97 % right, at most 3 % unknown.
    pub(crate) fn judge(&self) {
        println!("{:<22}{:>7}{:>7}{:>9}{:>9}{:>13}", "keyword", "right", "wrong", "unknown", "unsound", "mislabelled");
        let mut all = Row::default();
        for (keyword, row) in &self.rows {
            row.print(keyword);
            all.add(row);
        }
        all.print("all");
        for fault in &self.faults {
            println!("{fault}");
        }
        let labels = all.right + all.wrong + all.unknown + all.unsound + all.mislabelled;
        assert_eq!(labels, 2_566, "labels");
        assert_eq!(all.unsound, 0, "unsound");
        assert!(all.right * 100 >= labels * 97, "{} of {labels} right", all.right);
        assert!(all.unknown * 100 <= labels * 3, "{} of {labels} unknown", all.unknown);
    }
}
