//! A schema in a few words a field, for reading; the whole truth is the schema itself.

use serde_json::{Map, Value};

/// How far references and parts are followed: enough for people, and an end for schemas that go in circles.
const DEPTH: usize = 8;

/// Keywords that are said as they stand.
const RULES: &[&str] = &[
    "format",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "default",
];

/// One property of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Its type and rules.
    pub(crate) kind: String,
    pub(crate) required: bool,
    /// The first line of its description.
    pub(crate) description: String,
}

/// The properties of `root`, those of its `allOf` parts first.
pub(crate) fn fields(root: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut required = Vec::new();
    collect(root, root, DEPTH, &mut fields, &mut required);
    for field in &mut fields {
        field.required = required.contains(&field.name.as_str());
    }
    fields
}

fn collect<'a>(root: &'a Value, schema: &'a Value, depth: usize, fields: &mut Vec<Field>, required: &mut Vec<&'a str>) {
    if depth == 0 {
        return;
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    for part in reference(root, schema).into_iter().chain(parts) {
        collect(root, part, depth - 1, fields, required);
    }
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let field = Field {
            name: name.clone(),
            kind: kind(root, property),
            required: false,
            description: first_line(property["description"].as_str().unwrap_or_default()).to_owned(),
        };
        match fields.iter_mut().find(|field| field.name == *name) {
            Some(known) => *known = field,
            None => fields.push(field),
        }
    }
}

/// What a value of `schema`, a part of `root`, is, with its rules.
pub(crate) fn kind(root: &Value, schema: &Value) -> String {
    kind_within(root, schema, DEPTH)
}

fn kind_within(root: &Value, schema: &Value, depth: usize) -> String {
    let Value::Object(keywords) = schema else {
        return if *schema == Value::Bool(false) { "nothing" } else { "anything" }.to_owned();
    };
    let mut text = shape(root, schema, keywords, depth);
    for rule in RULES {
        if let Some(value) = keywords.get(*rule) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text = format!("{text}, {rule} {value}");
        }
    }
    text
}

fn shape(root: &Value, schema: &Value, keywords: &Map<String, Value>, depth: usize) -> String {
    if depth == 0 {
        return "...".to_owned();
    }
    if let Some(target) = reference(root, schema) {
        return target["title"].as_str().map_or_else(|| kind_within(root, target, depth - 1), str::to_owned);
    }
    if let Some(value) = keywords.get("const") {
        return value.to_string();
    }
    let list = |values: &Vec<Value>, join: &str, text: &dyn Fn(&Value) -> String| {
        values.iter().map(text).collect::<Vec<_>>().join(join)
    };
    if let Some(values) = keywords.get("enum").and_then(Value::as_array) {
        return list(values, " | ", &Value::to_string);
    }
    for combination in ["anyOf", "oneOf"] {
        if let Some(branches) = keywords.get(combination).and_then(Value::as_array) {
            return list(branches, " or ", &|branch| kind_within(root, branch, depth - 1));
        }
    }
    let named = |name: &str| match (name, keywords.get("items"), keywords.get("title").and_then(Value::as_str)) {
        ("array", Some(items), _) => format!("array of {}", kind_within(root, items, depth - 1)),
        ("object", _, Some(title)) => title.to_owned(),
        _ => name.to_owned(),
    };
    match keywords.get("type") {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => list(names, " or ", &|name| named(name.as_str().unwrap_or_default())),
        _ if keywords.contains_key("properties") || keywords.contains_key("allOf") => named("object"),
        _ => "anything".to_owned(),
    }
}

fn reference<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema["$ref"].as_str()?.strip_prefix('#')?)
}

/// The first line of a description.
pub(crate) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_those_of_all_parts() {
        let schema = json!({
            "$defs": {
                "base": {"properties": {"id": {"type": "string", "minLength": 1}}, "required": ["id"]},
                "loop": {"type": "array", "items": {"$ref": "#/$defs/loop"}},
            },
            "allOf": [{"$ref": "#/$defs/base"}],
            "properties": {
                "kind": {"enum": ["a", "b"], "description": "First.\nSecond."},
                "next": {"$ref": "#/$defs/loop"},
                "score": {"anyOf": [{"type": "number", "maximum": 10}, {"type": "null"}], "default": null},
            },
            "required": ["kind"],
        });
        let fields = fields(&schema);
        let said: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.kind.as_str(), f.required)).collect();
        assert_eq!(said[0], ("id", "string, minLength 1", true));
        assert_eq!(said[1], ("kind", "\"a\" | \"b\"", true));
        assert!(said[2].1.starts_with("array of array of") && said[2].1.ends_with("..."), "{}", said[2].1);
        assert_eq!(said[3], ("score", "number, maximum 10 or null, default null", false));
        assert_eq!(fields[1].description, "First.");
    }
}
