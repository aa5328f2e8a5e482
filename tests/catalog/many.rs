//! As many topics as a large company has, each with versions, nested and shared fields, some to be called.

use celerysalt_contract::{ContractRecord, evolution::Release};
use serde_json::{Value, json};

/// `count` topics, `many.t0` and so on: all have v1 and v1.1, every tenth a v2 that breaks, every tenth is an RPC.
pub fn releases(count: usize) -> Vec<Release> {
    (0..count)
        .flat_map(|number| {
            let versions: &[&str] = if number % 10 == 0 { &["v1", "v1.1", "v2"] } else { &["v1", "v1.1"] };
            versions.iter().map(move |version| release(number, version))
        })
        .collect()
}

fn release(number: usize, version: &str) -> Release {
    let is_rpc = number % 10 == 5;
    let answer = json!({"type": "object", "properties": {"accepted": {"type": "boolean"}}, "required": ["accepted"]});
    let record = json!({
        "topic": format!("many.t{number}"),
        "version": version,
        "mode": if is_rpc { "rpc" } else { "broadcast" },
        "description": format!("Tells that number {number} has happened.\n\nMore words about it."),
        "schema": schema(number, version),
        "response_schema": if is_rpc { answer } else { Value::Null },
        "fingerprint": "",
    });
    Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap())
}

fn schema(number: usize, version: &str) -> Value {
    let owner = ["billing", "risk", "platform"][number % 3];
    let mut properties = json!({
        "id": {"type": if version == "v2" { "integer" } else { "string" }, "description": "Identifies it."},
        format!("only_here_{number}"): {"type": "number", "minimum": 0, "maximum": number + 1},
        "state": {"enum": ["open", "closed", "gone"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 80}, "country": {"type": "string", "minLength": 2}},
            "required": ["city"],
        },
        "closed_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": null},
    });
    if version != "v1" {
        properties["note"] = json!({"type": "string", "description": "New in this version."});
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("ManyT{number}"),
        "x-celerysalt": {"owner": owner},
        "type": "object",
        "properties": properties,
        "required": ["id", "state"],
        "$defs": {"line": {
            "title": "Line",
            "type": "object",
            "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}, "count": {"type": "integer"}},
            "required": ["sku"],
        }},
    })
}
