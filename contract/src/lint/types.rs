//! Rules about types: that there is one, and that keywords have something to do.

use serde_json::{Map, Value};

use super::subject::{File, Found};

/// Each keyword that looks at values of one type only.
const OF_TYPE: [(&str, &[&str]); 6] = [
    ("string", &["minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"]),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("array", &["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"]),
    ("array", &["contains", "minContains", "maxContains", "unevaluatedItems"]),
    ("object", &["properties", "patternProperties", "additionalProperties", "required", "propertyNames"]),
    ("object", &["minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"]),
];

pub(super) fn check(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        let Value::Object(members) = schema.value else { continue };
        if file.is_hidden(schema.value) {
            continue;
        }
        let Some(declared) = members.get("type") else {
            let joined = ["$ref", "allOf", "anyOf", "oneOf", "enum", "const", "$dynamicRef", "$recursiveRef"]
                .iter()
                .any(|keyword| members.contains_key(*keyword));
            let is_root = schema.pointer.is_empty() && file.is_contract && !joined;
            let has_properties = members.contains_key("properties") && !schema.is_branch && !joined;
            if is_root || has_properties {
                let at = if has_properties { format!("{}/properties", schema.pointer) } else { String::new() };
                let message = "without a `type`, this takes strings, numbers and null as well";
                found.push(file.at("missing-type", &at, message).with_help("add \"type\": \"object\""));
            }
            continue;
        };
        for keyword in idle(members, declared) {
            let at = format!("{}/{keyword}", schema.pointer);
            let message = format!("`{keyword}` has nothing to look at: the type is {declared}");
            found.push(file.at("idle-keyword", &at, message).with_help("remove it, or correct the type"));
        }
    }
}

/// The keywords that look at no value of the declared types.
fn idle<'a>(members: &'a Map<String, Value>, declared: &Value) -> Vec<&'a str> {
    let allows = |name: &str| match declared {
        Value::String(one) => is(one, name),
        Value::Array(several) => several.iter().filter_map(Value::as_str).any(|one| is(one, name)),
        _ => true,
    };
    let of_others = OF_TYPE.iter().filter(|(name, _)| !allows(name)).flat_map(|(_, keywords)| keywords.iter());
    of_others.filter_map(|keyword| members.get_key_value(*keyword)).map(|(keyword, _)| keyword.as_str()).collect()
}

fn is(declared: &str, name: &str) -> bool {
    declared == name || declared == "integer" && name == "number"
}
