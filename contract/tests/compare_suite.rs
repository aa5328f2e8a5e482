//! The containment suite: labelled pairs of schemas, decided by the library.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod containment;

use std::time::{Duration, Instant};

use celerysalt_contract::{
    Validator,
    compare::{Options, Verdict, contains},
};
use containment::{MISLABELLED, Said, Tally, cases};

#[test]
fn labelled_pairs_are_decided_as_labelled() {
    let mut tally = Tally::default();
    let (mut total, mut slowest) = (Duration::ZERO, (Duration::ZERO, String::new()));
    for case in cases() {
        for (label, old, new) in [(case.backward, &case.old, &case.new), (case.forward, &case.new, &case.old)] {
            let Some(label) = label else { continue };
            let start = Instant::now();
            let verdict = contains(old, new, &Options::default());
            let took = start.elapsed();
            total += took;
            if took > slowest.0 {
                slowest = (took, case.id.clone());
            }
            let said = match &verdict {
                Verdict::Compatible => Said::Compatible,
                Verdict::Breaking { .. } => Said::Breaking,
                _ => Said::Unknown,
            };
            tally.count(&case, label, said, &format!("{verdict:?}"));
        }
        if MISLABELLED.contains(&case.id.as_str()) {
            let constant = case.old.get("const").unwrap();
            assert!(Validator::new(&case.new).unwrap().is_valid(constant), "{}: the label is right", case.id);
        }
    }
    println!("all labels in {total:?}, the slowest {slowest:?}");
    tally.judge();
}
