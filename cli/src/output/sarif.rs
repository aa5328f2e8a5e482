//! Findings as SARIF 2.1.0, which code scanning services take.

use serde_json::{Value, json};

use super::annotation::{Annotation, Level, RuleText, Spot};

/// One run as a SARIF log; every rule that a finding names is among `rules`, or is added without words.
pub(crate) fn log(annotations: &[Annotation], rules: &[RuleText]) -> Value {
    let mut rules = rules.to_vec();
    for annotation in annotations {
        if !rules.iter().any(|rule| rule.id == annotation.rule) {
            rules.push(RuleText {
                id: annotation.rule.clone(),
                level: annotation.level,
                what: annotation.rule.replace('-', " "),
                mend: String::new(),
            });
        }
    }
    let results: Vec<Value> = annotations
        .iter()
        .map(|annotation| {
            let mut result = json!({
                "ruleId": annotation.rule,
                "ruleIndex": rules.iter().position(|rule| rule.id == annotation.rule),
                "level": level(annotation.level),
                "message": {"text": annotation.message},
                "locations": [{"physicalLocation": place(&annotation.spot)}],
            });
            if !annotation.related.is_empty() {
                let related = annotation.related.iter().enumerate().map(
                    |(id, (spot, what))| json!({"id": id, "physicalLocation": place(spot), "message": {"text": what}}),
                );
                result["relatedLocations"] = related.collect();
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "celerysalt",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: &RuleText) -> Value {
    let mut text = json!({
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "defaultConfiguration": {"level": level(rule.level)},
    });
    if !rule.mend.is_empty() {
        text["help"] = json!({"text": rule.mend});
    }
    text
}

fn place(spot: &Spot) -> Value {
    let mut place = json!({"artifactLocation": {"uri": uri(&spot.path)}});
    if let Some(span) = spot.span {
        place["region"] = json!({"startLine": span.line, "startColumn": span.column});
    }
    place
}

/// A path as a relative reference: what a URI can't hold is written in hexadecimal.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' | b'@' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        assert_eq!(uri("schemas/a b/ü%.json"), "schemas/a%20b/%C3%BC%25.json");
    }
}
