//! Rules about words for people. That a contract has a title and a description is seen when it is loaded.

use serde_json::Value;

use super::subject::{File, Found};
use crate::source::escape;

pub(super) fn check(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        if file.is_hidden(schema.value) {
            continue;
        }
        let Some(properties) = schema.value.get("properties").and_then(Value::as_object) else { continue };
        for (name, property) in properties.iter().filter(|(_, property)| property.is_object()) {
            let says = property.get("description").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
            if !says && property.get("$ref").is_none() {
                let at = format!("{}/properties/{}", schema.pointer, escape(name));
                found.push(
                    file.at("no-property-description", &at, format!("`{name}` has no `description`"))
                        .with_help("say what it holds: it becomes documentation of the field in every language"),
                );
            }
        }
    }
}
