//! The serializer of the guide of migration and the schema that the guide makes of it: Django REST framework itself and our
//! validator are asked about the same payloads.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use celerysalt_contract::Exact;
use celerysalt_tests::{page::Page, python::python};
use serde_json::{Value, json};

/// Reads a list of payloads, writes for each whether the page's serializer takes it.
const ASK: &str = r#"
import json, sys
import django
from django.conf import settings

settings.configure(USE_TZ=True)
django.setup()
names = {}
exec(sys.argv[1], names)
serializer = names["RiskAssessmentCreatedSerializer"]
print(json.dumps([serializer(data=payload).is_valid() for payload in json.load(sys.stdin)]))
"#;

#[test]
fn a_serializer_and_the_schema_written_of_it_take_the_same() {
    let page = Page::read("docs/migration.md");
    let block = |language: &str, words: &str| {
        let found = page.code().find(|code| code.language() == language && code.text.contains(words));
        found.unwrap_or_else(|| panic!("no block of {language} with {words}")).text.clone()
    };
    let schema: Value = serde_json::from_str(&block("json", "RiskAssessmentCreated")).unwrap();
    let exact = Exact::new(&schema).unwrap();

    let good = json!({
        "assessment_id": "RA-1", "company_id": 456, "risk_score": 8.5, "status": "draft", "assessed_at": "2026-11-27T10:00:00Z",
    });
    // Both say the same of all of these, and what that is.
    let alike = [
        ("assessment_id", json!(["x".repeat(32)]), json!(["", "  ", "x".repeat(33), null, [1]])),
        ("company_id", json!([1, 4_611_686_018_427_387_904_i64]), json!([0, 1.5, null, "x"])),
        ("risk_score", json!([0, 10, 2.5]), json!([-0.1, 10.1, null, "x"])),
        ("status", json!(["draft", "final"]), json!(["other", null, ["draft"]])),
        ("approved", json!([true, false]), json!([null, "perhaps", [true]])),
        (
            "assessed_at",
            json!(["2026-11-27T10:00:00+01:00", "2026-11-27T10:00:00", "2026-11-27"]),
            json!(["soon", 5, null]),
        ),
        ("created_by", json!(["ann@example.com", null]), json!(["ann", [1]])),
        ("tags", json!([[], ["a", "b"]]), json!([[""], "a", null, [["a"]]])),
    ];
    // A serializer converts these; the page says so.
    let converted = [
        ("assessment_id", json!([5])),
        ("company_id", json!(["456"])),
        ("risk_score", json!(["8.5"])),
        ("approved", json!(["yes", 1])),
        ("tags", json!([[5]])),
    ];
    let with = |name: &str, value: &Value| {
        let mut payload = good.clone();
        payload[name] = value.clone();
        payload
    };
    // The payload, what the serializer says, what the contract says.
    let mut asked = vec![(good.clone(), true, true)];
    for (name, taken, refused) in &alike {
        asked.extend(taken.as_array().unwrap().iter().map(|value| (with(name, value), true, true)));
        asked.extend(refused.as_array().unwrap().iter().map(|value| (with(name, value), false, false)));
        let mut without = good.clone();
        let was_there = without.as_object_mut().unwrap().remove(*name).is_some();
        asked.push((without, !was_there, !was_there));
    }
    for (name, values) in &converted {
        asked.extend(values.as_array().unwrap().iter().map(|value| (with(name, value), true, false)));
    }

    let payloads: Vec<&Value> = asked.iter().map(|(payload, ..)| payload).collect();
    let serializer = block("python", "rest_framework");
    let mut child = Command::new(python())
        .args(["-c", ASK, &serializer])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(payloads).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let verdicts: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdicts.len(), asked.len(), "{}", output.status);
    for ((payload, serializer, contract), verdict) in asked.iter().zip(verdicts) {
        assert_eq!(verdict, *serializer, "the serializer, of {payload}");
        assert_eq!(exact.accepts(payload.to_string().as_bytes()), *contract, "the contract, of {payload}");
    }
}
