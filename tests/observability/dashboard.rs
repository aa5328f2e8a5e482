//! The dashboard that is given away asks for metrics that there are, by labels that they have.

use std::{collections::BTreeSet, fs, path::Path};

use celerysalt::telemetry::{Kind, METRICS};
use serde_json::Value;

/// Every query of the file, wherever it stands.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(query) if name == "expr" || query.starts_with("label_values(") => {
                        found.push(query.clone());
                    }
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// The names of metrics in a query, and the labels that it names.
fn asked(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let names = words(query).into_iter().filter(|word| word.starts_with("celerysalt_")).collect();
    let mut labels = BTreeSet::new();
    let mut rest = query;
    while let Some((_, after)) = rest.split_once("by (") {
        let (list, after) = after.split_once(')').unwrap();
        labels.extend(words(list));
        rest = after;
    }
    rest = query;
    while let Some((_, after)) = rest.split_once('{') {
        let (list, after) = after.split_once('}').unwrap();
        labels.extend(list.split(',').map(|one| one.split(['=', '!']).next().unwrap().trim().to_owned()));
        rest = after;
    }
    (names, labels)
}

#[test]
fn every_query_asks_for_what_there_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grafana/celerysalt.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 20, "{found:?}");
    let mut used = BTreeSet::new();
    for query in &found {
        let (names, labels) = asked(query);
        assert!(!names.is_empty(), "{query} asks for nothing of ours");
        for name in names {
            let metric = METRICS.iter().find(|metric| {
                metric.name == name
                    || (metric.kind == Kind::Seconds
                        && ["_bucket", "_sum", "_count"].iter().any(|part| name == format!("{}{part}", metric.name)))
            });
            let metric = metric.unwrap_or_else(|| panic!("{name} in {query} is no metric"));
            let added = ["le", "job", "instance"];
            for label in labels.iter().filter(|label| !added.contains(&label.as_str())) {
                assert!(metric.labels.contains(&label.as_str()), "{name} has no label {label}: {query}");
            }
            used.insert(metric.name);
        }
    }
    let unused: Vec<&str> = METRICS.iter().map(|metric| metric.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "the dashboard shows nothing of {unused:?}");
}
