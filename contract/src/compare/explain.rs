//! The rule that refuses a witness, and where both schemas speak of that part of it.

use jsonschema::{PatternOptions, error::ValidationErrorKind};
use serde::Serialize;
use serde_json::Value;

use super::{Witness, document::Document};
use crate::{
    Exact, Violation, formats,
    source::{escape, unescape},
};

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

impl Finding {
    /// Of a witness that is refused without a rule that could be named.
    pub(crate) fn whole() -> Self {
        let message = "the value is accepted by the old schema and refused by the new one".to_owned();
        let empty = String::new;
        Self { rule: "SCHEMA_NARROWED", pointer_old: empty(), pointer_new: empty(), instance: empty(), message }
    }
}

/// Why `new` refuses the witness.
pub(super) fn explain(old: &Document<'_>, new: &Document<'_>, witness: &Witness) -> Vec<Finding> {
    // The validator rounds: a number that it can't tell from another one is refused for what has more digits.
    let by_digits =
        || new.digits.differing(old.digits).take(MAX_FINDINGS).map(|place| rounded(old, new, place)).collect();
    let mut findings: Vec<Finding> = Vec::new();
    if !witness.is_exact() {
        findings = by_digits();
        if findings.is_empty() {
            findings = by_text(old, new, witness);
        }
    }
    if findings.is_empty() {
        findings = by_validator(old, new, witness.value());
    }
    if findings.is_empty() {
        findings = by_digits();
    }
    findings.sort_by(|a, b| (&a.pointer_new, &a.instance).cmp(&(&b.pointer_new, &b.instance)));
    findings.dedup();
    findings
}

/// What the exact checker says of a witness that no value holds.
fn by_text(old: &Document<'_>, new: &Document<'_>, witness: &Witness) -> Vec<Finding> {
    let Ok(exact) = Exact::new(new.root) else { return Vec::new() };
    let Err(violations) = exact.check(witness.text().as_bytes()) else { return Vec::new() };
    let of = |Violation { pointer: instance, keyword, .. }: &Violation| {
        let place = |document: &Document<'_>| {
            let schema = spoken_of(document, instance);
            let at = format!("{schema}/{}", escape(keyword));
            if document.at(&at).is_some() { (at, true) } else { (schema, false) }
        };
        let ((pointer_old, is_old), (pointer_new, _)) = (place(old), place(new));
        let message = format!("the value is accepted by the old schema and refused by `{keyword}` of the new one");
        let rule = rule_of(keyword, &|other| other == keyword && is_old);
        Finding { rule, pointer_old, pointer_new, instance: instance.clone(), message }
    };
    violations.iter().take(MAX_FINDINGS).map(of).collect()
}

fn by_validator(old: &Document<'_>, new: &Document<'_>, witness: &Value) -> Vec<Finding> {
    let options = || {
        let options = jsonschema::options().with_draft(new.draft.engine()).offline();
        formats::asserted(options, new.formats, new.draft)
    };
    let linear = options().with_pattern_options(PatternOptions::regex()).build(new.root);
    let compiled = linear.or_else(|_| options().build(new.root));
    let Ok(compiled) = compiled else { return Vec::new() };
    compiled.iter_errors(witness).take(MAX_FINDINGS).map(|error| finding(old, new, witness, &error)).collect()
}

fn rounded(old: &Document<'_>, new: &Document<'_>, place: &str) -> Finding {
    let keyword = keyword_of(new.root, place);
    Finding {
        rule: rule_of(&keyword, &|_| old.at(place).is_some()),
        pointer_old: if old.at(place).is_some() { place.to_owned() } else { String::new() },
        pointer_new: place.to_owned(),
        instance: String::new(),
        message: format!("the value is accepted by the old schema and refused by `{keyword}` of the new one"),
    }
}

fn finding(
    old: &Document<'_>,
    new: &Document<'_>,
    witness: &Value,
    error: &jsonschema::ValidationError<'_>,
) -> Finding {
    let (instance, pointer_new) = (error.instance_path().as_str(), error.schema_path().as_str());
    let keyword = keyword_of(new.root, pointer_new);
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
    let rule = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => closed(old, &place, unexpected),
        _ if keyword == "additionalProperties" => {
            let members = witness.pointer(instance).and_then(Value::as_object);
            let names: Vec<String> = members.into_iter().flat_map(|all| all.keys().cloned()).collect();
            closed(old, &place, &names)
        }
        ValidationErrorKind::Required { property } if has_default(new, pointer_new, property) => "REQ_ADDED_DEFAULT",
        _ if keyword == "properties" => "PROP_FORBIDDEN",
        _ => structural(old, instance, pointer_new)
            .unwrap_or_else(|| rule_of(&keyword, &|other| has(other) || alike && other == keyword)),
    };
    let part = if instance.is_empty() { "the value".to_owned() } else { format!("the value at {instance}") };
    let message = format!("{part} is accepted by the old schema and refused by `{keyword}` of the new one");
    Finding { rule, pointer_old, pointer_new: pointer_new.to_owned(), instance: instance.to_owned(), message }
}

/// What it is that properties are refused which the old object may have.
fn closed(old: &Document<'_>, place: &str, unexpected: &[String]) -> &'static str {
    let is_closed = old.at(place).and_then(|schema| schema.get("additionalProperties")) == Some(&Value::Bool(false));
    let declared = |name: &String| {
        below(old, place, name, 0).is_some_and(|at| at.ends_with(&format!("/properties/{}", escape(name))))
    };
    if unexpected.iter().any(declared) {
        "PROP_REMOVED_CLOSED"
    } else if is_closed && old.at(place).is_some_and(|schema| schema.get("patternProperties").is_some()) {
        "PATTERNPROP_REMOVED_CLOSED"
    } else {
        "ADDL_CLOSED"
    }
}

/// Whether the new schema has a default for a property that it requires: which no validator fills in.
fn has_default(new: &Document<'_>, pointer: &str, property: &Value) -> bool {
    let schema = pointer.rsplit_once('/').map_or("", |(schema, _)| schema);
    let name = property.as_str().unwrap_or_default();
    new.at(&format!("{schema}/properties/{}/default", escape(name))).is_some()
}

/// What it is that the new schema speaks of a part of the value that the old one leaves to a rule for others.
fn structural(old: &Document<'_>, instance: &str, pointer_new: &str) -> Option<&'static str> {
    let mut place = follow(old, String::new());
    for segment in instance.split('/').skip(1) {
        let name = unescape_segment(segment);
        let says = |keyword: &str| format!("{pointer_new}/").contains(&format!("/{keyword}/{segment}/"));
        let (as_property, as_item) = (says("properties"), says("prefixItems") || says("items"));
        let by_pattern = pointer_new.contains("/patternProperties/");
        let has = |keyword: &str| old.at(&place).and_then(|schema| schema.get(keyword)).is_some();
        match below(old, &place, &name, 0) {
            None if as_property && has("patternProperties") => return None,
            None if as_property => return Some("PROP_ADDED_OPEN"),
            None if as_item => return Some("TUPLE_ADDED_OPEN"),
            None if by_pattern && !has("patternProperties") => return Some("PATTERNPROP_ADDED"),
            None if pointer_new.contains("/additionalProperties/") => return Some("ADDL_SCHEMA_NARROWED"),
            None => return None,
            Some(at) if at.ends_with("/additionalProperties") && as_property => return Some("PROP_ADDED_PARTIAL"),
            Some(at) if at.ends_with("/additionalProperties") && pointer_new.contains("/additionalProperties/") => {
                return Some("ADDL_SCHEMA_NARROWED");
            }
            Some(at) => place = follow(old, at),
        }
    }
    None
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
        "format" if changed => "STR_FORMAT_CHANGED",
        "format" => "STR_FORMAT_ADDED",
        "required" => "REQ_ADDED",
        "properties" => "PROP_FORBIDDEN",
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
