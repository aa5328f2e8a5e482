//! The rule that refuses a witness, and where both schemas speak of that part of it.

use jsonschema::PatternOptions;
use serde::Serialize;
use serde_json::Value;

use super::{Comparable, document::Document};
use crate::source::{escape, unescape};

/// The most findings of one comparison.
const MAX_FINDINGS: usize = 10;
/// The most references that are followed to one place.
const MAX_REFERENCES: usize = 50;

/// One rule of the new schema that refuses what the old one accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The id of the change, such as `REQ_ADDED`. Stable.
    pub rule: &'static str,
    /// Where the old schema speaks of that part of the witness, as a JSON pointer; the keyword if it is there.
    pub pointer_old: String,
    /// The keyword of the new schema that refuses it, as a JSON pointer.
    pub pointer_new: String,
    /// The part of the witness that is refused, as a JSON pointer.
    pub instance: String,
    /// What is wrong, for people.
    pub message: String,
}

/// Why `new` refuses the witness.
pub(super) fn explain(old: &Document<'_>, new: &Comparable, witness: &Value) -> Vec<Finding> {
    let (new, draft) = (&new.schema, new.draft);
    let options = |patterns| {
        jsonschema::options()
            .with_draft(draft.engine())
            .should_validate_formats(false)
            .offline()
            .with_pattern_options(patterns)
    };
    let compiled = options(PatternOptions::regex()).build(new).or_else(|_| {
        jsonschema::options().with_draft(draft.engine()).should_validate_formats(false).offline().build(new)
    });
    let Ok(compiled) = compiled else { return Vec::new() };
    let mut findings: Vec<Finding> = compiled
        .iter_errors(witness)
        .take(MAX_FINDINGS)
        .map(|error| finding(old, new, error.instance_path().as_str(), error.schema_path().as_str()))
        .collect();
    findings.sort_by(|a, b| (&a.pointer_new, &a.instance).cmp(&(&b.pointer_new, &b.instance)));
    findings.dedup();
    findings
}

fn finding(old: &Document<'_>, new: &Value, instance: &str, pointer_new: &str) -> Finding {
    let keyword = keyword_of(new, pointer_new);
    let place = spoken_of(old, instance);
    let has = |keyword: &str| old.at(&place).and_then(|schema| schema.get(keyword)).is_some();
    // Branches do not show in the instance: what stands at the same place in both is most likely the same rule.
    let alike = !has(&keyword) && !pointer_new.is_empty() && old.at(pointer_new).is_some();
    let pointer_old = if alike {
        pointer_new.to_owned()
    } else if has(&keyword) {
        format!("{place}/{}", escape(&keyword))
    } else {
        place.clone()
    };
    let rule = rule_of(&keyword, &|other| has(other) || alike && other == keyword);
    let part = if instance.is_empty() { "the value".to_owned() } else { format!("the value at {instance}") };
    let message = format!("{part} is accepted by the old schema and refused by `{keyword}` of the new one");
    Finding { rule, pointer_old, pointer_new: pointer_new.to_owned(), instance: instance.to_owned(), message }
}

/// The last part of the pointer that is no name and no position: `/properties/a` is refused by `properties` if `a` is
/// `false`.
fn keyword_of(new: &Value, pointer: &str) -> String {
    let segments: Vec<String> = pointer.split('/').skip(1).map(unescape_segment).collect();
    match segments.as_slice() {
        [] => "false".to_owned(),
        [.., holder, _] if matches!(holder.as_str(), "properties" | "patternProperties" | "dependentSchemas") => {
            holder.clone()
        }
        [.., holder, last] if last.parse::<usize>().is_ok() && new.pointer(pointer).is_some() => holder.clone(),
        [.., last] => last.clone(),
    }
}

fn unescape_segment(segment: &str) -> String {
    unescape(segment).into_owned()
}

/// The pointer of the schema that speaks of a part of an instance; of the nearest whole around it otherwise.
fn spoken_of(document: &Document<'_>, instance: &str) -> String {
    let mut place = follow(document, String::new());
    for segment in instance.split('/').skip(1) {
        let name = unescape_segment(segment);
        match below(document, &place, &name, 0) {
            Some(next) => place = follow(document, next),
            None => break,
        }
    }
    place
}

fn below(document: &Document<'_>, place: &str, name: &str, depth: usize) -> Option<String> {
    let schema = document.at(place)?;
    let exists = |rest: String| {
        let pointer = format!("{place}{rest}");
        document.at(&pointer).filter(|schema| schema.is_object() || schema.is_boolean()).map(|_| pointer)
    };
    let named = exists(format!("/properties/{}", escape(name)));
    let positioned = || {
        name.parse::<usize>().ok()?;
        exists(format!("/prefixItems/{name}"))
            .or_else(|| exists(format!("/items/{name}")))
            .or_else(|| exists("/items".to_owned()))
            .or_else(|| exists("/additionalItems".to_owned()))
    };
    let other = || exists("/additionalProperties".to_owned());
    let joined = || {
        if depth > MAX_REFERENCES {
            return None;
        }
        ["allOf", "anyOf", "oneOf"].into_iter().find_map(|keyword| {
            let branches = schema.get(keyword)?.as_array()?.len();
            (0..branches).find_map(|at| {
                let branch = follow(document, format!("{place}/{keyword}/{at}"));
                below(document, &branch, name, depth + 1)
            })
        })
    };
    named.or_else(positioned).or_else(joined).or_else(other)
}

fn follow(document: &Document<'_>, mut place: String) -> String {
    for _ in 0..MAX_REFERENCES {
        let reference = document.at(&place).and_then(|schema| schema.get("$ref")).and_then(Value::as_str);
        match reference.and_then(|reference| document.target(&place, reference)) {
            Some(target) => place = target,
            None => break,
        }
    }
    place
}

/// The id of the change by the keyword that refuses, and by what the old schema has at that place.
fn rule_of(keyword: &str, has: &dyn Fn(&str) -> bool) -> &'static str {
    let changed = has(keyword);
    match keyword {
        "type" if changed => "TYPE_NARROWED",
        "type" => "TYPE_CHANGED",
        "false" => "SCHEMA_FALSE",
        "enum" if changed => "ENUM_VALUE_REMOVED",
        "enum" => "ENUM_ADDED",
        "const" if changed => "CONST_CHANGED",
        "const" => "CONST_ADDED",
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => "NUM_BOUND_TIGHTENED",
        "multipleOf" => "NUM_MULTIPLEOF",
        "minLength" | "maxLength" => "STR_LENGTH",
        "pattern" if changed => "STR_PATTERN_CHANGED",
        "pattern" => "STR_PATTERN_ADDED",
        "required" => "REQ_ADDED",
        "properties" => "PROP_FORBIDDEN",
        "additionalProperties" if has("additionalProperties") => "PROP_REMOVED_CLOSED",
        "additionalProperties" => "ADDL_CLOSED",
        "patternProperties" if changed => "PATTERNPROP_CHANGED",
        "patternProperties" => "PATTERNPROP_ADDED",
        "propertyNames" if changed => "PROPNAMES_CHANGED",
        "propertyNames" => "PROPNAMES_ADDED",
        "minProperties" | "maxProperties" => "PROP_COUNT",
        "dependentRequired" => "DEP_REQUIRED",
        "dependencies" | "dependentSchemas" => "DEP_SCHEMA",
        "unevaluatedProperties" => "UNEVALUATED_PROPS",
        "items" | "prefixItems" if changed => "ITEMS_NARROWED",
        "items" | "prefixItems" => "ITEMS_ADDED",
        "additionalItems" if changed => "TUPLE_ADDL_CHANGED",
        "additionalItems" => "TUPLE_CLOSED",
        "minItems" | "maxItems" => "ITEMS_COUNT",
        "uniqueItems" => "UNIQUE_ADDED",
        "contains" if changed => "CONTAINS_CHANGED",
        "contains" => "CONTAINS_ADDED",
        "minContains" | "maxContains" => "CONTAINS_COUNT",
        "unevaluatedItems" => "UNEVALUATED_ITEMS",
        "anyOf" => "ANYOF_BRANCH_REMOVED",
        "oneOf" => "ONEOF_OVERLAP",
        "allOf" => "ALLOF_ADDED",
        "not" if changed => "NOT_WIDENED",
        "not" => "NOT_ADDED",
        "if" | "then" | "else" => "IF_THEN_NARROWED",
        "$ref" | "$dynamicRef" | "$recursiveRef" => "REF_TARGET_NARROWED",
        _ => "SCHEMA_NARROWED",
    }
}
