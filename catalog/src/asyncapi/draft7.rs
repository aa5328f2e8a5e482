//! A schema of any draft in the words of draft 7.

use std::collections::BTreeSet;

use celerysalt_contract::Draft;
use serde_json::{Map, Value, json};

/// What draft 7 has no word for, and no way around.
const BEYOND: [&str; 6] =
    ["unevaluatedProperties", "unevaluatedItems", "minContains", "maxContains", "$vocabulary", "contentSchema"];
/// Keywords whose value is a schema, schemas in a list, or schemas by name.
const SCHEMAS: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "propertyNames",
    "then",
];
const NAMED: [&str; 3] = ["definitions", "patternProperties", "properties"];

/// `schema`, self-contained, as it stands at `place` of a document: its references lead there.
pub(super) fn convert(schema: &Value, place: &str) -> Value {
    let draft = Draft::of(schema).unwrap_or(Draft::Draft202012);
    let mut converter = Converter { draft, place, missing: BTreeSet::new() };
    let mut converted = converter.schema(schema);
    if let Value::Object(members) = &mut converted {
        // Settings stand beside the schema here.
        members.remove("x-celerysalt");
        if !converter.missing.is_empty() {
            members.insert("x-celerysalt-not-expressed".to_owned(), converter.missing.into_iter().collect());
        }
    }
    converted
}

struct Converter<'a> {
    draft: Draft,
    place: &'a str,
    missing: BTreeSet<&'static str>,
}

impl Converter<'_> {
    fn schema(&mut self, schema: &Value) -> Value {
        let Value::Object(keywords) = schema else { return schema.clone() };
        let is_old = self.draft <= Draft::Draft7;
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
            let target = format!("{}{}", self.place, pointer(target.trim_start_matches('#')));
            let reference = json!({"$ref": target});
            // Up to draft 7, nothing beside a reference counts; after it, all does.
            let mut rest: Map<String, Value> = keywords.clone();
            rest.remove("$ref");
            let kept = ["definitions", "$defs"];
            if rest.is_empty() {
                return reference;
            }
            if is_old {
                rest.retain(|keyword, _| kept.contains(&keyword.as_str()));
            }
            if rest.is_empty() {
                return reference;
            }
            let mut rest = self.schema(&Value::Object(rest));
            if let Value::Object(members) = &mut rest {
                let known = members.remove("allOf");
                let mut all = vec![reference];
                all.extend(known.as_ref().and_then(Value::as_array).into_iter().flatten().cloned());
                members.insert("allOf".to_owned(), all.into());
            }
            return rest;
        }
        let mut converted = Map::new();
        for (keyword, value) in keywords {
            let (name, value) = self.keyword(keyword, value, keywords);
            if let Some(name) = name {
                converted.insert(name.to_owned(), value);
            }
        }
        self.dependencies(keywords, &mut converted);
        Self::bounds(keywords, &mut converted);
        Value::Object(converted)
    }

    /// None for what stands elsewhere in draft 7.
    fn keyword<'k>(
        &mut self,
        keyword: &'k str,
        value: &Value,
        beside: &Map<String, Value>,
    ) -> (Option<&'k str>, Value) {
        if let Some(beyond) = BEYOND.iter().find(|beyond| **beyond == keyword) {
            self.missing.insert(beyond);
            return (Some(keyword), value.clone());
        }
        match keyword {
            "$defs" => (Some("definitions"), self.named(value)),
            "dependentRequired" | "dependentSchemas" | "dependencies" | "$anchor" | "$dynamicAnchor"
            | "$recursiveAnchor" | "$id" | "$schema" => (None, Value::Null),
            "id" if self.draft == Draft::Draft4 && value.is_string() => (None, Value::Null),
            "prefixItems" => (Some("items"), self.schemas(value)),
            "items" if beside.contains_key("prefixItems") => (Some("additionalItems"), self.schemas(value)),
            _ if SCHEMAS.contains(&keyword) => (Some(keyword), self.schemas(value)),
            _ if NAMED.contains(&keyword) => (Some(keyword), self.named(value)),
            // Draft 7's are examples of the part; AsyncAPI takes them as they are.
            _ => (Some(keyword), value.clone()),
        }
    }

    fn schemas(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.schema(item)).collect(),
            other => self.schema(other),
        }
    }

    fn named(&mut self, value: &Value) -> Value {
        let Value::Object(members) = value else { return value.clone() };
        Value::Object(members.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect())
    }

    fn dependencies(&mut self, keywords: &Map<String, Value>, converted: &mut Map<String, Value>) {
        let mut dependencies = Map::new();
        let members = |keyword: &str| keywords.get(keyword).and_then(Value::as_object).into_iter().flatten();
        for (name, value) in members("dependencies").chain(members("dependentRequired")) {
            let value = if value.is_array() { value.clone() } else { self.schema(value) };
            dependencies.insert(name.clone(), value);
        }
        for (name, schema) in members("dependentSchemas") {
            let schema = self.schema(schema);
            let value = match dependencies.remove(name) {
                Some(Value::Array(required)) => json!({"allOf": [{"required": required}, schema]}),
                _ => schema,
            };
            dependencies.insert(name.clone(), value);
        }
        if !dependencies.is_empty() {
            converted.insert("dependencies".to_owned(), dependencies.into());
        }
    }

    /// Draft 4 says by true or false whether a bound itself is allowed.
    fn bounds(keywords: &Map<String, Value>, converted: &mut Map<String, Value>) {
        for (plain, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
            if let Some(Value::Bool(is_open)) = keywords.get(exclusive) {
                converted.remove(exclusive);
                if *is_open && let Some(bound) = converted.remove(plain) {
                    converted.insert(exclusive.to_owned(), bound);
                }
            }
        }
    }
}

/// Where a reference leads once keywords have the names of draft 7.
fn pointer(pointer: &str) -> String {
    let mut renamed = Vec::new();
    // A property may have any name: only keywords are renamed, and behind some of them stands a name.
    let mut is_name = false;
    for part in pointer.split('/') {
        renamed.push(match part {
            "$defs" if !is_name => "definitions",
            "prefixItems" if !is_name => "items",
            "dependentSchemas" if !is_name => "dependencies",
            other => other,
        });
        is_name = !is_name && (NAMED.contains(&part) || ["$defs", "dependencies", "dependentSchemas"].contains(&part));
    }
    renamed.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_become_earlier_ones() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"a": {"type": "string"}},
            "properties": {
                "$defs": {"$ref": "#/$defs/a", "description": "An a."},
                "pair": {"prefixItems": [{"type": "string"}], "items": false},
                "plain": {"$ref": "#/$defs/a"},
            },
            "dependentRequired": {"pair": ["plain"]},
            "unevaluatedProperties": false,
        });
        assert_eq!(
            convert(&schema, "#/components/schemas/x"),
            json!({
                "definitions": {"a": {"type": "string"}},
                "properties": {
                    "$defs": {"allOf": [{"$ref": "#/components/schemas/x/definitions/a"}], "description": "An a."},
                    "pair": {"items": [{"type": "string"}], "additionalItems": false},
                    "plain": {"$ref": "#/components/schemas/x/definitions/a"},
                },
                "dependencies": {"pair": ["plain"]},
                "unevaluatedProperties": false,
                "x-celerysalt-not-expressed": ["unevaluatedProperties"],
            })
        );
    }

    #[test]
    fn draft_4_bounds_become_numbers() {
        let schema =
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true});
        assert_eq!(convert(&schema, "#"), json!({"exclusiveMinimum": 1}));
    }
}
