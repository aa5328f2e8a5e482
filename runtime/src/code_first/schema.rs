//! A type's schema, in the form that a person would write into a file.

use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

use crate::json::Integer;

/// What is said about the values of an enum: tools for OpenAPI know the keyword.
pub(super) const ENUM_DESCRIPTIONS: &str = "x-enum-descriptions";

/// The schema of a type: draft 2020-12, self-contained, as schemars has it but for what `Plain` does.
pub fn schema<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    // There, what is said about undeclared members is what hides them.
    let open = !schema.as_value().to_string().contains("\"unevaluated");
    Plain { open }.transform(&mut schema);
    schema.to_value()
}

/// Takes out how schemars puts things where it means nothing.
struct Plain {
    /// Whether allowing everything is the same as saying nothing.
    open: bool,
}

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(members) = schema.as_object_mut() else { return };
        match members.get("format").and_then(Value::as_str) {
            // What a number is anyway: every JSON number is read as one of 64 bits.
            Some("double") => drop(members.remove("format")),
            // How wide a machine is is no business of a contract.
            Some("uint") => drop(members.insert("format".to_owned(), "uint64".into())),
            Some("int") => drop(members.insert("format".to_owned(), "int64".into())),
            _ => {}
        }
        if self.open {
            for keyword in ["additionalProperties", "items"] {
                if members.get(keyword) == Some(&Value::Bool(true)) {
                    members.remove(keyword);
                }
            }
        }
        gather_values(members);
    }
}

/// The values of an enum in one list: with doc comments, schemars makes an alternative of each, so that a comment would
/// change what the schema says.
fn gather_values(members: &mut Map<String, Value>) {
    if members.contains_key("type") || members.contains_key("enum") {
        return;
    }
    let Some(Value::Array(alternatives)) = members.get("oneOf") else { return };
    let mut values: Vec<Value> = Vec::new();
    let mut descriptions = Map::new();
    for alternative in alternatives {
        let Some(alternative) = alternative.as_object() else { return };
        let known = |keyword: &String| ["const", "description", "enum", "type"].contains(&keyword.as_str());
        if !alternative.keys().all(known) || alternative.get("type") != Some(&json!("string")) {
            return;
        }
        match (alternative.get("const"), alternative.get("enum")) {
            (Some(value @ Value::String(name)), None) => {
                if let Some(text) = alternative.get("description") {
                    descriptions.insert(name.clone(), text.clone());
                }
                values.push(value.clone());
            }
            (None, Some(Value::Array(several))) => values.extend(several.iter().cloned()),
            _ => return,
        }
    }
    members.remove("oneOf");
    members.insert("type".to_owned(), "string".into());
    members.insert("enum".to_owned(), values.into());
    if !descriptions.is_empty() {
        members.insert(ENUM_DESCRIPTIONS.to_owned(), descriptions.into());
    }
}

impl JsonSchema for Integer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Integer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "integer"})
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum Documented {
        /// The first.
        First,
        Second,
        /// The last.
        #[serde(rename = "zz")]
        Last,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    enum WithContent {
        /// A number.
        Number(f64),
        /// Nothing.
        Nothing,
    }

    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Closed {
        #[serde(flatten)]
        open: BTreeMap<String, Value>,
    }

    #[test]
    fn documented_values_are_one_list() {
        let schema = schema::<Documented>();
        assert_eq!(schema["type"], "string");
        let mut values: Vec<&str> = schema["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        assert_eq!(values, ["First", "Second", "zz"]);
        assert_eq!(schema[ENUM_DESCRIPTIONS], json!({"First": "The first.", "zz": "The last."}));
        assert!(schema.get("oneOf").is_none());
    }

    #[test]
    fn other_alternatives_stay() {
        assert_eq!(super::schema::<WithContent>()["oneOf"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn numbers_do_not_depend_on_the_machine() {
        assert_eq!(schema::<usize>()["format"], "uint64");
        assert_eq!(schema::<isize>()["format"], "int64");
        assert_eq!(schema::<i32>()["format"], "int32");
        assert_eq!(schema::<f64>().get("format"), None);
        assert_eq!(schema::<f32>()["format"], "float");
        assert_eq!(schema::<Integer>().get("format"), None);
    }

    #[test]
    fn what_allows_everything_is_not_said() {
        assert_eq!(schema::<Vec<Value>>().get("items"), None);
        assert_eq!(schema::<BTreeMap<String, Value>>().get("additionalProperties"), None);
        assert_eq!(schema::<BTreeMap<String, bool>>()["additionalProperties"], json!({"type": "boolean"}));
        let closed = schema::<Closed>();
        assert!(
            closed.to_string().contains("\"unevaluated") || closed.get("additionalProperties").is_some(),
            "{closed}"
        );
    }
}
