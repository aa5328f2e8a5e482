//! Every example runs, and says what it is there to say.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use celerysalt_consumer_tests::{build_examples, example};

#[test]
fn quickstart() {
    let ran = example("quickstart", &[]);
    assert!(ran.ok, "{}", ran.text);
    for expected in [
        "assessment RA-123 of company 456 scored 8.5",
        "checked against pulse.risk.created@v1 from the registry; sent by pulse",
        "RA-123       score 8.5, approved",
        "RA-999       NOT_FOUND: assessment RA-999 not found",
        "/risk_score  maximum: expected",
        "scranton.tagged_item.created",
    ] {
        assert!(ran.text.contains(expected), "{expected} is not in:\n{}", ran.text);
    }
}

#[test]
fn quickstart_says_what_is_wrong_with_its_arguments() {
    let ran = example("quickstart", &["--broker", "mqtt://guest:s3cret@127.0.0.1"]);
    assert!(!ran.ok && ran.text.contains("expected `amqp://") && !ran.text.contains("s3cret"), "{}", ran.text);
    for arguments in [&["--nonsense"][..], &["--broker"]] {
        let ran = example("quickstart", arguments);
        assert!(!ran.ok && ran.text.contains("usage: quickstart"), "{}", ran.text);
    }
}

#[test]
fn broadcast() {
    let ran = example("broadcast", &[]);
    assert!(ran.ok && ran.text.contains("company 456: risk assessment RA-123 scored 7.5"), "{}", ran.text);
}

/// None of them needs a feature that it does not say it needs.
#[test]
fn all_that_need_no_feature_are_built_without_any() {
    let ran = build_examples();
    assert!(ran.ok && !ran.text.contains("warning"), "{}", ran.text);
}

#[test]
fn rpc() {
    let ran = example("rpc", &[]);
    assert!(ran.ok, "{}", ran.text);
    for expected in [
        "RA-123: score 2, approved",
        "XX-1: NOT_FOUND: ",
        "RA-many: rpc.pulse.risk.get: the handler failed: invalid digit",
    ] {
        assert!(ran.text.contains(expected), "{expected} is not in:\n{}", ran.text);
    }
}
