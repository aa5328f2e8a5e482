//! The containment suite, run as users would: `celerysalt compat --literal` on each of its labelled pairs.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

#[path = "../../contract/tests/containment/mod.rs"]
mod containment;
mod support;

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use containment::{Case, Said, Tally, cases};
use support::Folder;

/// What the command says to each label of a case, with the label.
fn decide(folder: &Folder, case: &Case) -> Vec<(bool, Said)> {
    folder.write("old.json", &case.old.to_string());
    folder.write("new.json", &case.new.to_string());
    let (direction, labels) = match (case.backward, case.forward) {
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
        return labels.into_iter().map(|label| (label, Said::Unknown)).collect();
    }
    let checks = document["checks"].as_array().unwrap_or_else(|| panic!("{}: {run:?}", case.id));
    let verdicts: Vec<String> = checks.iter().map(|check| check["verdict"].as_str().unwrap().to_owned()).collect();
    let has = |verdict: &str| verdicts.iter().any(|one| one == verdict);
    let status = if has("breaking") { 1 } else { 3 * i32::from(has("unknown")) };
    assert_eq!(run.status, status, "{}: {run:?}", case.id);
    let said = verdicts.iter().map(|verdict| match verdict.as_str() {
        "compatible" => Said::Compatible,
        "breaking" => Said::Breaking,
        "unknown" => Said::Unknown,
        other => panic!("{}: {other}", case.id),
    });
    labels.into_iter().zip(said).collect()
}

#[test]
fn the_command_decides_labelled_pairs_as_labelled() {
    let (cases, next) = (cases(), AtomicUsize::new(0));
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
    let mut tally = Tally::default();
    for (case, answers) in &decided {
        for (label, said) in answers {
            tally.count(case, *label, *said, "the command");
        }
    }
    println!("{} runs of the command", decided.len());
    tally.judge();
}
