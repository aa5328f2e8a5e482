//! Writes two schemas folders of many contracts to measure with: `base` has v1 and v1.1 of each topic, `head` a v1.2 as
//! well, which may or may not break.
//!
//! ```text
//! cargo run -p celerysalt-contract --example many_contracts -- target/many 1000
//! time target/release/celerysalt breaking --schemas target/many/head --against target/many/base
//! ```

use std::{env, error::Error, fs, path::Path};

use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("usage: many_contracts DIR [COUNT]")?;
    let count: usize = arguments.next().map_or(Ok(1_000), |count| count.parse())?;
    for at in 0..count {
        let topic = format!("team{}.entity{at}.changed", at % 20);
        for (name, versions) in [("base", 2), ("head", 3)] {
            let folder = Path::new(&folder).join(name).join(&topic);
            fs::create_dir_all(&folder)?;
            for minor in 0..versions {
                let version = if minor == 0 { "v1".to_owned() } else { format!("v1.{minor}") };
                fs::write(folder.join(format!("{version}.json")), format!("{:#}\n", contract(at, minor)))?;
            }
        }
    }
    Ok(())
}

/// A dozen properties of the kinds that contracts have; each version adds one, and the last of every tenth breaks.
fn contract(at: usize, minor: usize) -> Value {
    let mut properties = Map::new();
    for number in 0..10 + minor {
        let schema = match (at + number) % 8 {
            0 => json!({"type": "string", "description": "Identifies something.", "minLength": 1, "maxLength": 64}),
            1 => json!({"type": "integer", "minimum": 0}),
            2 => json!({"type": ["string", "null"], "pattern": "^[A-Z]{2}-[0-9]{1,8}$"}),
            3 => json!({"type": "string", "enum": ["new", "paid", "sent", "lost"]}),
            4 => json!({"type": "array", "items": {"$ref": "#/$defs/money"}, "maxItems": 50}),
            5 => json!({"anyOf": [{"$ref": "#/$defs/money"}, {"type": "null"}]}),
            6 => json!({"type": "string", "format": "date-time"}),
            _ => json!({"type": "object", "properties": {"street": {"type": "string"}, "zip": {"type": "string"}}}),
        };
        properties.insert(format!("property_{number}"), schema);
    }
    let required =
        if minor == 2 && at.is_multiple_of(10) { json!(["property_0", "property_11"]) } else { json!(["property_0"]) };
    json!({
        "title": format!("Entity{at}Changed"),
        "description": "Something about it changed.",
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": {"money": {
            "type": "object",
            "properties": {"amount": {"type": "number", "minimum": 0}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
            "required": ["amount", "currency"],
        }},
    })
}
