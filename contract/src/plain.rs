//! Which schemas surely compile: those whose files are good for themselves, and in which nothing can go wrong between them.
//!
//! Compiling a schema for the library is most of the work of loading it, and what it would refuse is known already of
//! nearly all of them. What is not surely so is compiled all the same: here is nothing decided but that.

use serde_json::{Map, Value};

use crate::{Draft, draft::subschemas, validator::Patterns};

/// Keywords that say all they say by themselves, or hold schemas: the meta-schemas know them whole.
const PLAIN: [&str; 40] = [
    "$comment",
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maximum",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];

/// Keywords that count.
const COUNTS: [&str; 8] =
    ["maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength", "minProperties"];

/// Whether the library takes a bundled schema whose files were each held against their meta-schema. As deep as it nests.
pub(crate) fn is_plain(schema: &Value, draft: Draft, patterns: &mut Patterns) -> bool {
    // Older meta-schemas leave out more, and fewer contracts are written in them.
    draft >= Draft::Draft7 && is_plain_below(schema, schema, draft, patterns)
}

fn is_plain_below(schema: &Value, root: &Value, draft: Draft, patterns: &mut Patterns) -> bool {
    let Value::Object(members) = schema else { return true };
    let is_root = std::ptr::eq(schema, root);
    let is_known = |(keyword, value): (&String, &Value)| {
        if keyword == "$schema" { is_root } else { is_plain_keyword(keyword, value, root, draft, patterns) }
    };
    if !members.iter().all(is_known) {
        return false;
    }
    let mut plain = true;
    subschemas(schema, draft, &mut |subschema| {
        plain = plain && is_plain_below(subschema, root, draft, patterns);
    });
    plain
}

fn is_plain_keyword(keyword: &str, value: &Value, root: &Value, draft: Draft, patterns: &mut Patterns) -> bool {
    match (keyword, value) {
        ("$ref", Value::String(reference)) => is_definition(reference, root, draft),
        // Of another draft: neither meta-schema nor library look into it where it is unknown, but references may.
        ("$defs" | "definitions", _) => keyword == draft.definitions(),
        _ if draft.ignores(keyword) => false,
        ("pattern", Value::String(pattern)) => patterns.is_linear(pattern),
        ("patternProperties", Value::Object(members)) => members.keys().all(|pattern| patterns.is_linear(pattern)),
        _ if COUNTS.contains(&keyword) => value.is_u64(),
        _ => keyword.starts_with("x-") || PLAIN.binary_search(&keyword).is_ok(),
    }
}

/// Whether a reference leads to the whole or to a definition, and so to a schema.
fn is_definition(reference: &str, root: &Value, draft: Draft) -> bool {
    if reference == "#" {
        return true;
    }
    let Some(name) = reference.strip_prefix("#/").and_then(|rest| rest.strip_prefix(draft.definitions())) else {
        return false;
    };
    let definitions = root.get(draft.definitions()).and_then(Value::as_object);
    let has =
        |name: &str, all: &Map<String, Value>| all.get(name).is_some_and(|one| one.is_object() || one.is_boolean());
    // What is written in another way in a pointer than in a key is not looked up here.
    name.strip_prefix('/')
        .filter(|name| !name.contains(['/', '~', '%']))
        .is_some_and(|name| definitions.is_some_and(|all| has(name, all)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Validator;

    #[test]
    fn keywords_are_in_order() {
        assert!(PLAIN.is_sorted() && COUNTS.is_sorted());
    }

    #[test]
    fn what_may_be_refused_is_not_plain() {
        let plain = |schema: &Value| is_plain(schema, Draft::of(schema).unwrap(), &mut Patterns::default());
        for schema in [
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}, "$id": {"pattern": "^a"}},
                "$defs": {"x": {"items": {"$ref": "#"}, "maxItems": 3}}, "x-y": {"$ref": 1}}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": true}, "$ref": "#/definitions/a"}),
        ] {
            assert!(plain(&schema) && Validator::new(&schema).is_ok(), "{schema}");
        }
        for schema in [
            json!({"$ref": "#/$defs/missing"}),
            json!({"$ref": "#/definitions/a", "definitions": {"a": {"type": "strin"}}}),
            json!({"$ref": "#/properties/a", "properties": {"a": {}}}),
            json!({"properties": {"a": {"$id": "a"}}}),
            json!({"items": {"$anchor": "a"}}),
            json!({"$dynamicRef": "#a"}),
            json!({"properties": {"a": {"pattern": "^(?=a)"}}}),
            json!({"patternProperties": {"^(?=a)": {}}}),
            json!({"maxLength": 1e30}),
            json!({"unknown": 1}),
            json!({"not": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$defs": {"a": {"type": 1}}, "$ref": "#/$defs/a"}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [{}]}),
        ] {
            assert!(!plain(&schema), "{schema}");
        }
    }
}
