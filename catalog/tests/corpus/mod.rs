//! Contracts with a text wherever one can stand.

#![allow(clippy::unwrap_used, reason = "tests")]

use celerysalt_contract::{ContractRecord, evolution::Release};
use serde_json::{Value, json};

/// What pages have been broken with.
const TEXTS: [&str; 14] = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "\"><img src=x onerror=\"window.hacked=1\">",
    "' onmouseover='window.hacked=1' x='",
    "javascript:window.hacked=1",
    "<svg/onload=window.hacked=1>",
    "</title></head><body onload=window.hacked=1>",
    "<a href=\"javascript:window.hacked=1\">click</a>",
    "`</code><iframe src=//example.com></iframe>`",
    "<!-- --><style>*{display:none}</style>",
    "&lt;script&gt; &amp;amp; &#x3c;b&#x3e;",
    "\u{202e}\u{0}\u{7}\u{2028}\u{feff}",
    "]]></pre></details><meta http-equiv=refresh content=0>",
    "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1}",
];

/// A topic for each text, with two versions, as broadcast and as RPC; `write` says what stands there instead of the text.
pub fn with(write: impl Fn(&str) -> String) -> Vec<Release> {
    let mut releases = Vec::new();
    for (number, text) in TEXTS.iter().enumerate() {
        let text = write(text);
        for version in ["v1", "v2"] {
            let is_rpc = number % 2 == 1;
            let schema = schema(&text, version);
            let record = json!({
                "topic": format!("hostile.t{number}"),
                "version": version,
                "mode": if is_rpc { "rpc" } else { "broadcast" },
                "description": format!("{text}\n\n{text}"),
                "schema": schema,
                "response_schema": if is_rpc { schema.clone() } else { Value::Null },
                "error_schema": if is_rpc { schema.clone() } else { Value::Null },
                "publisher_module": text,
                "publisher_class": text,
                "fingerprint": "",
            });
            releases.push(Release::from_record(serde_json::from_value::<ContractRecord>(record).unwrap()));
        }
    }
    releases
}

fn schema(text: &str, version: &str) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": text,
        "title": text,
        "description": text,
        "x-celerysalt": {"owner": text, "exchange": text},
        "type": "object",
        "properties": {
            text: {"title": text, "description": text, "type": "string", "default": text, "examples": [text]},
            "pattern": {"type": "string", "pattern": text.replace(|c: char| !c.is_ascii() || "()[]{}*+?$^|\\".contains(c), "."), "description": text},
            "values": {"enum": [text, 1]},
            "fixed": {"const": text},
            "format": {"type": "string", "format": text, "contentMediaType": text},
            "grows": {"type": "string", "x-extensible-enum": [text]},
            "shared": {"$ref": "#/$defs/named"},
            "either": {"oneOf": [
                {"title": text, "type": "object", "properties": {text: {"type": "integer"}}, "required": [text]},
                {"title": text, "type": "object", "properties": {"n": {"type": if version == "v1" { "integer" } else { "string" }}}},
            ]},
            "map": {"type": "object", "additionalProperties": {"description": text, "type": "boolean"}},
        },
        "required": [text, "fixed"],
        "$defs": {"named": {"title": text, "description": text, "type": "object", "properties": {text: {"enum": [text]}}}},
        "examples": [{text: text, "fixed": text}, {"fixed": text}],
    })
}
