//! What a schema file says besides what its struct does, and where the two differ without meaning anything else.

use std::collections::BTreeSet;

use celerysalt_contract::{Draft, Mode, for_each_subschema};
use serde_json::{Map, Value};

use super::{contract::SETTINGS, schema::ENUM_DESCRIPTIONS};

/// Keywords that say something to people; `x-*` do as well.
const NOTES: [&str; 7] = ["$comment", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"];

/// Whether a keyword changes no verdict. Settings have rules of their own.
fn is_note(keyword: &str) -> bool {
    NOTES.contains(&keyword) || (keyword.starts_with("x-") && keyword != "x-extensible-enum" && keyword != SETTINGS)
}

/// The struct's schema, with what only the file says.
pub(super) fn merge(schema: &Value, file: &Value, mode: Mode) -> Value {
    let mut merged = schema.clone();
    keep_notes(&mut merged, file);
    keep_settings(&mut merged, file, mode);
    merged
}

/// Takes over the notes of `file` that `schema` does not have, at every place that both have. As deep as `schema` nests.
fn keep_notes(schema: &mut Value, file: &Value) {
    for pointer in places(schema) {
        if let (Some(inner), Some(file)) = (schema.pointer_mut(&pointer), file.pointer(&pointer)) {
            keep_notes(inner, file);
        }
    }
    let (Value::Object(members), Value::Object(file)) = (schema, file) else { return };
    for (keyword, value) in file {
        // The struct knows all of its values, so what it does not say of them is no longer so.
        if is_note(keyword) && keyword != ENUM_DESCRIPTIONS && !members.contains_key(keyword) {
            members.insert(keyword.clone(), value.clone());
        }
    }
}

/// Takes over the settings that are not the struct's, and those that say what the struct says without a word.
fn keep_settings(schema: &mut Value, file: &Value, mode: Mode) {
    let (Value::Object(members), Some(Value::Object(file))) = (schema, file.get(SETTINGS)) else { return };
    let mut settings = match members.remove(SETTINGS) {
        Some(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    for (key, value) in file {
        let own = match key.as_str() {
            "mode" => Some(Value::from(mode.to_string())),
            "registry" | "auto_register" => Some(settings.get(key).cloned().unwrap_or(Value::Bool(true))),
            "exchange" => Some(settings.get(key).cloned().unwrap_or(Value::Null)),
            _ => None,
        };
        if own.is_none_or(|own| own == *value) {
            settings.insert(key.clone(), value.clone());
        }
    }
    if !settings.is_empty() {
        members.insert(SETTINGS.to_owned(), settings.into());
    }
}

/// Where notes and settings of `file` differ from those of `merged`, at the places that both have: `- ` lines hold what
/// the file says, `+ ` lines what it should say.
pub(super) fn differences(merged: &Value, file: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", merged, file, &mut lines);
    lines
}

/// As deep as `merged` nests.
fn compare(pointer: &str, merged: &Value, file: &Value, lines: &mut Vec<String>) {
    if let (Value::Object(new), Value::Object(old)) = (merged, file) {
        let keywords: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
        for keyword in keywords.into_iter().filter(|keyword| is_note(keyword) || *keyword == SETTINGS) {
            if new.get(keyword) != old.get(keyword) {
                let line = |sign: char, value: &Value| format!("{sign} {pointer}/{keyword}: {value}");
                lines.extend(old.get(keyword).map(|value| line('-', value)));
                lines.extend(new.get(keyword).map(|value| line('+', value)));
            }
        }
    }
    for place in places(merged) {
        if let (Some(merged), Some(file)) = (merged.pointer(&place), file.pointer(&place)) {
            compare(&format!("{pointer}{place}"), merged, file, lines);
        }
    }
}

/// Where the direct subschemas are.
fn places(schema: &Value) -> Vec<String> {
    let mut places = Vec::new();
    for_each_subschema(schema, Draft::Draft202012, &mut |place, _| places.push(place.pointer()));
    places
}

#[cfg(test)]
mod tests {
    use celerysalt_contract::fingerprint;
    use serde_json::json;

    use super::*;

    #[test]
    fn notes_are_what_a_fingerprint_passes_over() {
        let of = |schema: &Value| fingerprint(Mode::Broadcast, schema, None, None);
        for keyword in NOTES.into_iter().chain(["x-anything", ENUM_DESCRIPTIONS]) {
            assert!(is_note(keyword), "{keyword}");
            assert_eq!(of(&json!({keyword: ["a"]})), of(&json!({})), "{keyword}");
        }
        for keyword in ["x-extensible-enum", "default", "format", "type", "$defs", "const"] {
            assert!(!is_note(keyword), "{keyword}");
        }
    }

    #[test]
    fn the_file_keeps_what_the_struct_is_silent_about() {
        let schema = json!({
            "title": "T",
            "properties": {"a": {"type": "string", "description": "new"}, "b": {"x-enum-descriptions": {"x": "y"}}},
        });
        let file = json!({
            "title": "Old",
            "x-celerysalt": {"owner": "ops", "compatibility": "none"},
            "x-team": 1,
            "examples": [{"a": "x"}],
            "minProperties": 1,
            "properties": {
                "a": {"type": "integer", "description": "old", "examples": ["x"]},
                "b": {"x-enum-descriptions": {"z": "gone"}},
                "gone": {"description": "?"},
            },
        });
        let expected = json!({
            "title": "T",
            "x-celerysalt": {"owner": "ops", "compatibility": "none"},
            "x-team": 1,
            "examples": [{"a": "x"}],
            "properties": {
                "a": {"type": "string", "description": "new", "examples": ["x"]},
                "b": {"x-enum-descriptions": {"x": "y"}},
            },
        });
        let merged = merge(&schema, &file, Mode::Broadcast);
        assert_eq!(merged, expected);
        assert_eq!(merge(&schema, &merged, Mode::Broadcast), merged, "it stays");
        assert_eq!(
            differences(&merged, &file),
            [
                "- /title: \"Old\"",
                "+ /title: \"T\"",
                "- /properties/a/description: \"old\"",
                "+ /properties/a/description: \"new\"",
                "- /properties/b/x-enum-descriptions: {\"z\":\"gone\"}",
                "+ /properties/b/x-enum-descriptions: {\"x\":\"y\"}",
            ]
        );
        assert_eq!(differences(&merged, &merged), Vec::<String>::new());
    }

    #[test]
    fn settings_that_the_struct_decides_are_the_struct_s() {
        let settings = |own: Value, file: Value, mode: Mode| {
            let of = |settings: Value| if settings.is_null() { json!({}) } else { json!({SETTINGS: settings}) };
            merge(&of(own), &of(file), mode).get(SETTINGS).cloned().unwrap_or_default()
        };
        let silent = json!({"mode": "broadcast", "registry": true, "auto_register": true, "owner": "o"});
        assert_eq!(settings(Value::Null, silent.clone(), Mode::Broadcast), silent);
        let other = json!({"mode": "rpc", "registry": false, "auto_register": false, "exchange": "e", "owner": "o"});
        assert_eq!(settings(Value::Null, other.clone(), Mode::Broadcast), json!({"owner": "o"}));
        assert_eq!(settings(Value::Null, json!({"exchange": "e"}), Mode::Broadcast), Value::Null);
        let own = json!({"exchange": "mine", "registry": false});
        let both = json!({"exchange": "mine", "registry": false, "mode": "rpc", "owner": "o"});
        assert_eq!(settings(own, other, Mode::Rpc), both);
    }
}
