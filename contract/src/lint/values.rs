//! Rules about values that stand in schemas: that the schema takes its own constants, defaults and examples.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::subject::{self, File, Found};
use crate::{
    Document, Draft, Formats, Validator,
    draft::places,
    fingerprint::{canonical_text, is_meaning},
    settings::KEYWORD,
};

/// The name that a document gets within the schema of one of its places.
const WHOLE: &str = "__whole";

pub(super) fn check_file(file: &File, found: &mut Found) {
    for schema in file.schemas() {
        if file.is_hidden(schema.value) {
            continue;
        }
        let at = |keyword: &str| format!("{}/{keyword}", schema.pointer);
        if let Some(values) = schema.value.get("enum").and_then(Value::as_array) {
            let mut known = HashSet::new();
            for (i, value) in values.iter().enumerate() {
                if !known.insert(canonical_text(value)) {
                    found.push(
                        file.at("duplicate-enum", &format!("{}/{i}", at("enum")), "this value is in the list already")
                            .with_help("remove it; 1 and 1.0 are the same number"),
                    );
                }
            }
        }
        let Some(kind) = schema.value.get("type") else { continue };
        let values = schema.value.get("enum").and_then(Value::as_array);
        let constant = schema.value.get("const").map(|value| (at("const"), value));
        let listed = values.into_iter().flatten().enumerate().map(|(i, value)| (format!("{}/{i}", at("enum")), value));
        for (place, value) in listed.chain(constant) {
            if !is_of(kind, value) {
                found.push(
                    file.at("value-outside-type", &place, format!("the type {kind} refuses this value"))
                        .with_help("correct the value or the type: together nothing fits"),
                );
            }
        }
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let one = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
        _ => true,
    };
    match kind {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        _ => true,
    }
}

/// Defaults and examples, by the whole schema at their place, what it refers to included.
pub(super) fn check_document(document: &Document, found: &mut Found) {
    let mut queue = vec![String::new()];
    let mut whole = None;
    while let Some(pointer) = queue.pop() {
        let Some(schema) = document.schema.pointer(&pointer) else { continue };
        for place in places(schema, document.draft) {
            queue.push(place.below(&pointer));
        }
        let default = schema.get("default").map(|value| ("invalid-default", "/default".to_owned(), value));
        let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten().enumerate();
        let examples = examples.map(|(i, value)| ("invalid-example", format!("/examples/{i}"), value));
        let values: Vec<(&'static str, String, &Value)> = default.into_iter().chain(examples).collect();
        // Most places have none, and most of the others say nothing that could refuse them.
        if values.is_empty() || !schema.as_object().is_some_and(|members| members.keys().any(|key| says(key))) {
            continue;
        }
        let whole = whole.get_or_insert_with(|| below_a_name(&document.schema, document.draft));
        let Some(validator) = at(whole, document.draft, &pointer) else { continue };
        for (rule, rest, value) in values {
            let Err(violations) = validator.validate(value) else { continue };
            let (source, place) = document.origin(&format!("{pointer}{rest}"));
            let what = if rule == "invalid-default" { "default" } else { "example" };
            let why = violations.iter().next().map(ToString::to_string).unwrap_or_default();
            let finding = subject::at(source, rule, &place, format!("its own schema refuses this {what}: {why}"));
            found.push(finding.with_help(format!("correct the {what}, or the schema")));
        }
    }
}

fn says(keyword: &str) -> bool {
    is_meaning(keyword) && !matches!(keyword, "default" | "$schema" | "$id" | "id" | "$defs" | "definitions")
}

/// The document as one definition, so that any place of it can be a schema of its own. Its references start there.
fn below_a_name(document: &Value, draft: Draft) -> Value {
    let mut whole = document.clone();
    rewrite(&mut whole, draft);
    if let Value::Object(members) = &mut whole {
        // Without its `$schema` it would mean its formats in another way.
        let formats = Formats::of(document).to_string();
        members.insert(KEYWORD.to_owned(), json!({ "formats": formats }));
        members.remove("$schema");
        members.remove(draft.id());
    }
    whole
}

fn rewrite(schema: &mut Value, draft: Draft) {
    if let Some(Value::String(reference)) = schema.get_mut("$ref")
        && let Some(rest) = reference.strip_prefix('#')
    {
        *reference = format!("#/{}/{WHOLE}{rest}", draft.definitions());
    }
    for place in places(schema, draft) {
        if let Some(inner) = place.get_mut(schema) {
            rewrite(inner, draft);
        }
    }
}

/// The schema at a place; none where it can't stand alone (a dynamic reference).
fn at(whole: &Value, draft: Draft, pointer: &str) -> Option<Validator> {
    let mut members = Map::new();
    members.insert("$schema".to_owned(), draft.uri().into());
    members.extend(whole.get(KEYWORD).map(|settings| (KEYWORD.to_owned(), settings.clone())));
    let target = format!("{}/{WHOLE}{pointer}", draft.definitions());
    members.insert("$ref".to_owned(), format!("#/{}", uri_fragment(&target)).into());
    members.insert(draft.definitions().to_owned(), json!({ WHOLE: whole }));
    Validator::new(&Value::Object(members)).ok()
}

fn uri_fragment(pointer: &str) -> String {
    crate::uri::encode_fragment(pointer)
}
