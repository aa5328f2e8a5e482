//! SARIF output, held against the standard's own schema.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use celerysalt_contract::Validator;
use serde_json::{Value, json};
use support::{Folder, Run};

/// The schema of the OASIS standard: see `data/README.md`.
fn sarif() -> Validator {
    // Its one pattern that is no regular expression, as the standard's errata have it; no output of ours has that member.
    let (wrong, right) = ("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
    let text = include_str!("data/sarif-2.1.0.schema.json");
    assert!(text.contains(wrong));
    let schema: Value = serde_json::from_str(&text.replace(wrong, right)).unwrap();
    Validator::new(&schema).unwrap()
}

fn is_sarif(run: &Run, status: i32) -> Value {
    assert_eq!(run.status, status, "{run:?}");
    let log = run.json();
    sarif().validate(&log).unwrap_or_else(|violations| panic!("{violations}\n{log:#}"));
    log
}

#[test]
fn whatever_is_found_is_a_sarif_log() {
    let folder = Folder::with_contracts();
    let rule_ids = |log: &Value| -> Vec<String> {
        let results = log["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| result["ruleId"].as_str().unwrap().to_owned()).collect()
    };
    // Nothing found.
    let breaking = ["breaking", "--against", "released", "--format", "sarif"];
    let schemas = [
        "pulse.risk.created/v1.json",
        "pulse.risk.created/v2.json",
        "rpc.risk.get/v1.json",
        "rpc.risk.get/v1.response.json",
    ];
    for file in schemas {
        folder.write(&format!("released/{file}"), &folder.read(&format!("schemas/{file}")));
    }
    let log = is_sarif(&folder.run(&breaking), 0);
    assert_eq!(rule_ids(&log), Vec::<String>::new());

    // Errors, with a place in both files; one that could not be decided; a topic that is gone; notes; names that are no URI.
    let v1 = folder.read("schemas/pulse.risk.created/v1.json");
    folder.write(
        "schemas/pulse.risk.created/v1.1.json",
        &v1.replace("\"required\":[\"id\",\"score\"]", "\"required\":[\"id\",\"score\",\"extra\"]"),
    );
    folder.write("schemas/pulse.risk.created/v1.2.json", &v1.replace("\"minLength\":1", "\"pattern\":\"^(?=a)\""));
    folder.write(
        "schemas/pulse.risk.created/v1.3.json",
        &v1.replace("\"maximum\":10", "\"exclusiveMaximum\":9.99999999999999999"),
    );
    folder.write("released/gone.topic/v1.json", &v1);
    let log = is_sarif(&folder.run(&breaking), 1);
    let found = rule_ids(&log);
    for rule in ["REQ_ADDED", "UNDECIDED", "NUM_BOUND_TIGHTENED", "TOPIC_DELETED"] {
        assert!(found.iter().any(|id| id == rule), "{rule}: {found:?}");
    }

    // Lint, and contracts that can't be loaded at all.
    let run = folder.run(&["lint", "--format", "sarif"]);
    let log = is_sarif(&run, run.status);
    assert!(!rule_ids(&log).is_empty(), "{log:#}");
    folder.write("schemas/pulse.risk.created/v3.json", "{\n  \"type\": \"strin\",\n  \"a\": 1, \"a\": 2}");
    folder.write("schemas/a b/v1.json", "{}");
    for command in [&breaking[..], &["lint", "--format", "sarif"]] {
        let log = is_sarif(&folder.run(command), 1);
        assert!(rule_ids(&log).iter().any(|id| id == "duplicate-key"), "{log:#}");
    }
    // The yardstick measures.
    let mut log = log;
    log["runs"][0]["results"][0]["level"] = json!("fatal");
    assert!(sarif().validate(&log).is_err());
}
