//! Where two contracts differ in meaning, for people.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    ContractRecord, Draft, Place,
    draft::places,
    fingerprint,
    fingerprint::{canonical_text, is_meaning, is_set},
    source::escape,
    words::cut,
};

/// Where two records of a contract differ in meaning: `- ` lines hold what only `a` has, `+ ` lines what only `b` has.
///
/// Each line names the place by a JSON pointer, with `response:` or `error:` before it for those schemas. Long values
/// are cut. Empty exactly when the fingerprints of the schemas are equal.
///
/// ```
/// # use celerysalt_contract::{ContractRecord, differences};
/// # use serde_json::json;
/// # let record = |schema| -> ContractRecord {
/// #     serde_json::from_value(json!({"topic": "a", "version": "v1", "mode": "broadcast", "schema": schema, "fingerprint": ""})).unwrap()
/// # };
/// let old = record(json!({"properties": {"amount": {"minimum": 0}}}));
/// let new = record(json!({"properties": {"amount": {"minimum": 5}}}));
/// assert_eq!(differences(&old, &new), ["- /properties/amount/minimum: 0", "+ /properties/amount/minimum: 5"]);
/// ```
pub fn differences(a: &ContractRecord, b: &ContractRecord) -> Vec<String> {
    let digest = |record: &ContractRecord| {
        fingerprint(record.mode, &record.schema, record.response_schema.as_ref(), record.error_schema.as_ref())
    };
    if digest(a) == digest(b) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if a.mode != b.mode {
        lines.extend([format!("- mode: {}", a.mode), format!("+ mode: {}", b.mode)]);
    }
    let parts = [
        ("", Some(&a.schema), Some(&b.schema)),
        ("response:", a.response_schema.as_ref(), b.response_schema.as_ref()),
        ("error:", a.error_schema.as_ref(), b.error_schema.as_ref()),
    ];
    for (prefix, old, new) in parts {
        let clean = |schema: Option<&Value>| schema.map(clean_document);
        compare(prefix, clean(old).as_ref(), clean(new).as_ref(), &mut lines);
    }
    if lines.is_empty() {
        lines.push("- /$defs: shared schemas of other names".to_owned());
        lines.push("+ /$defs: shared schemas of other names".to_owned());
    }
    lines
}

/// A document without what means nothing, its draft spelled out, its sets sorted.
fn clean_document(document: &Value) -> Value {
    let draft = Draft::of(document).unwrap_or(Draft::Draft202012);
    let mut cleaned = document.clone();
    clean(&mut cleaned, draft);
    let reachable = reachable(document, draft);
    if let Value::Object(members) = &mut cleaned {
        members.insert("$schema".to_owned(), draft.uri().into());
        for keyword in ["$defs", "definitions"] {
            if let Some(Value::Object(shared)) = members.get_mut(keyword) {
                let names: Vec<String> = shared.keys().cloned().collect();
                for name in names {
                    let at = format!("/{keyword}/{}", escape(&name));
                    let inside = format!("{at}/");
                    if !reachable.iter().any(|target| *target == at || target.starts_with(&inside)) {
                        shared.remove(&name);
                    }
                }
                if shared.is_empty() {
                    members.remove(keyword);
                }
            }
        }
    }
    cleaned
}

fn clean(schema: &mut Value, draft: Draft) {
    if *schema == Value::Bool(true) {
        *schema = Value::Object(Map::new());
    }
    for place in places(schema, draft) {
        if let Some(subschema) = place.get_mut(schema) {
            clean(subschema, draft);
        }
    }
    let Value::Object(members) = schema else { return };
    members.retain(|keyword, _| is_meaning(keyword));
    for (keyword, value) in members.iter_mut().filter(|(keyword, _)| is_set(keyword)) {
        if keyword == "type" && value.is_string() {
            *value = Value::Array(vec![value.take()]);
        }
        if let Value::Array(items) = value {
            items.sort_by_cached_key(canonical_text);
            items.dedup_by_key(|item| canonical_text(item));
        }
    }
}

/// The pointers that the references of a document lead to, from its root on; anchors keep everything.
fn reachable(document: &Value, draft: Draft) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut queue = vec![String::new()];
    while let Some(pointer) = queue.pop() {
        let Some(schema) = document.pointer(&pointer) else { continue };
        let by_name = ["$ref", "$dynamicRef", "$recursiveRef"].into_iter().filter_map(|keyword| {
            let reference = schema.get(keyword)?.as_str()?;
            (keyword != "$ref" || (reference != "#" && !reference.starts_with("#/"))).then_some(())
        });
        if by_name.count() > 0 {
            let all =
                ["$defs", "definitions"].into_iter().filter_map(|keyword| Some((keyword, document.get(keyword)?)));
            for (keyword, shared) in all {
                let names = shared.as_object().into_iter().flat_map(Map::keys);
                let targets = names.map(|name| format!("/{keyword}/{}", escape(name)));
                queue.extend(targets.filter(|target| found.insert(target.clone())));
            }
        }
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        if let Some(target) = reference.map(crate::uri::decode).filter(|target| found.insert(target.clone())) {
            queue.push(target);
        }
        for place in places(schema, draft) {
            if !matches!(&place, Place::Member("$defs" | "definitions", _)) {
                queue.push(place.below(&pointer));
            }
        }
    }
    found
}

/// As deep as the documents nest.
fn compare(place: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    match (old, new) {
        (None, None) => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                compare(&format!("{place}/{}", escape(key)), old.get(key), new.get(key), lines);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if is_set(place.rsplit('/').next().unwrap_or_default()) => {
            let lacks = |items: &[Value], item: &Value| !items.iter().any(|other| same(other, item));
            lines.extend(old.iter().filter(|item| lacks(new, item)).map(|item| line('-', place, item)));
            lines.extend(new.iter().filter(|item| lacks(old, item)).map(|item| line('+', place, item)));
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for i in 0..old.len().max(new.len()) {
                compare(&format!("{place}/{i}"), old.get(i), new.get(i), lines);
            }
        }
        (Some(old), Some(new)) if same(old, new) => {}
        (old, new) => {
            lines.extend(old.map(|old| line('-', place, old)));
            lines.extend(new.map(|new| line('+', place, new)));
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    canonical_text(a) == canonical_text(b)
}

fn line(sign: char, place: &str, value: &Value) -> String {
    let place = match place {
        "" => "/",
        "response:" => "response:/",
        "error:" => "error:/",
        other => other,
    };
    // A schema's text may hold anything; a line stays a line.
    let place: String =
        place.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    format!("{sign} {place}: {}", cut(canonical_text(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(mode: &str, schema: &Value, response: Option<&Value>) -> ContractRecord {
        let mut record = json!({"topic": "a", "version": "v1", "mode": mode, "schema": schema, "fingerprint": ""});
        if let Some(response) = response {
            record["response_schema"] = response.clone();
        }
        serde_json::from_value(record).unwrap()
    }

    fn lines(old: &Value, new: &Value) -> Vec<String> {
        differences(&record("broadcast", old, None), &record("broadcast", new, None))
    }

    #[test]
    fn each_place_has_its_lines() {
        let old = json!({
            "title": "A", "properties": {"a": {"type": "string"}, "b/c": {"minimum": 1}}, "required": ["b", "a"],
            "anyOf": [{"not": {}}]
        });
        let new = json!({
            "title": "B", "properties": {"b/c": {"minimum": 1.0, "default": "x".repeat(500)}, "d": {}},
            "required": ["a", "c"], "anyOf": [{"not": {}}, false], "additionalProperties": false
        });
        let found = lines(&old, &new);
        let cut = format!("+ /properties/b~1c/default: \"{}...", "x".repeat(199));
        assert_eq!(
            found,
            [
                "+ /additionalProperties: false",
                "+ /anyOf/1: false",
                "- /properties/a: {\"type\":[\"string\"]}",
                &cut,
                "+ /properties/d: {}",
                "- /required: \"b\"",
                "+ /required: \"c\"",
            ]
        );
    }

    #[test]
    fn mode_draft_and_the_other_schemas_are_told() {
        let (old, new) = (json!({}), json!({"$schema": "http://json-schema.org/draft-07/schema#"}));
        let found = differences(&record("broadcast", &old, None), &record("rpc", &new, Some(&json!({"type": "null"}))));
        assert_eq!(
            found,
            [
                "- mode: broadcast",
                "+ mode: rpc",
                "- /$schema: \"https://json-schema.org/draft/2020-12/schema\"",
                "+ /$schema: \"http://json-schema.org/draft-07/schema\"",
                "+ response:/: {\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":[\"null\"]}",
            ]
        );
    }

    #[test]
    fn equal_meaning_has_no_difference_and_other_meaning_has_one() {
        let old = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}, "z": {}}});
        assert!(lines(&old, &json!({"$ref": "#/$defs/b", "$defs": {"b": {"type": "null"}}})).is_empty());
        assert_eq!(
            lines(&old, &json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})),
            ["- /$defs/a/type: \"null\"", "+ /$defs/a/type: \"string\""]
        );
        let swapped = [json!({"properties": {"title": {}}}), json!({"properties": {"title": {"title": "x"}}})];
        assert!(lines(&swapped[0], &swapped[1]).is_empty());
        assert_eq!(lines(&json!({}), &swapped[0]), ["+ /properties: {\"title\":{}}"]);
    }
}
