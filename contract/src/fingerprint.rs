//! Equality of contracts: what changes meaning, and nothing else.
//!
//! Two contracts are the same when a canonical form of their schemas is: keys sorted, sets sorted, numbers by value,
//! annotations dropped where they are keywords, shared schemas under the order in which they are reached instead of
//! their names. The digest is over that form, so it depends on no formatting, no file layout and no map order.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::{
    Draft, Formats, Mode,
    draft::{Held, held_by, subschemas},
    formats, uri,
};

/// SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Fingerprint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The fingerprint of a contract: over its mode and its schemas, which must be self-contained.
///
/// What counts for nothing: `title`, `description`, `examples`, `$comment`, `deprecated`, `readOnly`, `writeOnly`,
/// `x-celerysalt` and other `x-*` keywords except `x-extensible-enum`, the order of keys, of `required`, of `type` and
/// of `enum`, how a number is written, and how shared schemas are named. `default` counts, and so do the draft and whether
/// formats are asserted.
///
/// ```
/// use celerysalt_contract::{Mode, fingerprint};
/// use serde_json::json;
///
/// let a = json!({"title": "A", "properties": {"n": {"minimum": 1}}, "required": ["n", "m"]});
/// let b = json!({"required": ["m", "n"], "properties": {"n": {"minimum": 1.0}}});
/// let of = |schema| fingerprint(Mode::Broadcast, schema, None, None);
/// assert_eq!(of(&a), of(&b));
/// assert_ne!(of(&a), of(&json!({"properties": {"n": {"minimum": 2}}, "required": ["m", "n"]})));
/// ```
pub fn fingerprint(mode: Mode, schema: &Value, response: Option<&Value>, error: Option<&Value>) -> Fingerprint {
    let mut text = format!("celerysalt 1 {mode}");
    for (name, schema) in [("schema", Some(schema)), ("response", response), ("error", error)] {
        let _ = write!(text, "\n{name} ");
        match schema {
            Some(schema) => text.push_str(&canonical_document(schema)),
            None => text.push('-'),
        }
    }
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        let _ = write!(digits, "{byte:02x}");
    }
    Fingerprint(digits)
}

/// Keywords that tell people something and change no verdict.
const ANNOTATIONS: [&str; 7] = ["$comment", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"];

/// Whether a keyword changes what a schema means.
pub(crate) fn is_meaning(keyword: &str) -> bool {
    !ANNOTATIONS.contains(&keyword) && (!keyword.starts_with("x-") || keyword == "x-extensible-enum")
}

/// Whether the value of a keyword is a list whose order means nothing.
pub(crate) fn is_set(keyword: &str) -> bool {
    matches!(keyword, "enum" | "required" | "type" | "x-extensible-enum")
}

/// A document in canonical form: its draft, then its schemas as they are reached. Documents of the same form mean the same.
pub(crate) fn canonical_document(document: &Value) -> String {
    let draft = Draft::of(document).unwrap_or(Draft::Draft202012);
    let by_name = needs_names(document, draft, true);
    let mut canon = Canon { document, draft, by_name, numbers: BTreeMap::new(), queue: Vec::new() };
    let mut text = format!("{draft} ");
    // Nothing is said of formats where nothing is refused for them.
    let asserted = Formats::of(document);
    if formats::refuses(document, asserted, draft) {
        let _ = write!(text, "formats {asserted} ");
    }
    canon.schema(document, &mut text);
    // Reached schemas follow in the order in which they got their numbers.
    let mut next = 0;
    while let Some(pointer) = canon.queue.get(next).cloned() {
        next += 1;
        let _ = write!(text, " #{next} ");
        match document.pointer(&pointer) {
            Some(schema) => canon.schema(schema, &mut text),
            None => text.push('?'),
        }
    }
    text
}

/// Whether a document uses names that only mean something where they are: dynamic references, anchors, inner `$id`s.
fn needs_names(schema: &Value, draft: Draft, root: bool) -> bool {
    let has = |keyword: &str| schema.get(keyword).is_some_and(Value::is_string);
    let by_name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .is_some_and(|reference| reference != "#" && !reference.starts_with("#/"));
    if by_name || has("$dynamicRef") || has("$recursiveRef") || (!root && has(draft.id())) {
        return true;
    }
    let mut found = false;
    subschemas(schema, draft, &mut |subschema| {
        found = found || needs_names(subschema, draft, false);
    });
    found
}

struct Canon<'a> {
    document: &'a Value,
    draft: Draft,
    /// Whether references and definitions stay as they are written.
    by_name: bool,
    numbers: BTreeMap<String, usize>,
    /// Pointers of reached schemas, in the order of their numbers.
    queue: Vec<String>,
}

impl Canon<'_> {
    /// As deep as the schema nests.
    fn schema(&mut self, schema: &Value, out: &mut String) {
        let Value::Object(members) = schema else {
            // `true` is the empty schema.
            out.push_str(if schema == &Value::Bool(true) { "{}" } else { "false" });
            return;
        };
        let mut keywords: Vec<&String> = members.keys().filter(|keyword| self.counts(keyword)).collect();
        keywords.sort_unstable();
        out.push('{');
        for keyword in keywords {
            let value = &members[keyword.as_str()];
            text(keyword, out);
            out.push(':');
            match value {
                Value::String(reference) if keyword == "$ref" && !self.by_name => self.reference(reference, out),
                _ if is_set(keyword) => set(value, out),
                _ => match held_by(keyword, value, self.draft) {
                    Some(held) => self.subschemas(&held, out),
                    None => canonical(value, out),
                },
            }
            out.push(',');
        }
        out.push('}');
    }

    fn counts(&self, keyword: &str) -> bool {
        let names = ["$anchor", "$defs", "$id", "definitions", "id"];
        is_meaning(keyword) && keyword != "$schema" && (self.by_name || !names.contains(&keyword))
    }

    /// The value of a keyword that holds schemas.
    fn subschemas(&mut self, held: &Held<'_>, out: &mut String) {
        match held {
            Held::One(schema) => self.schema(schema, out),
            Held::Items(items) => {
                out.push('[');
                for item in *items {
                    self.schema(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            Held::Members(members) => {
                let mut keys: Vec<&String> = members.keys().collect();
                keys.sort_unstable();
                out.push('{');
                for key in keys {
                    text(key, out);
                    out.push(':');
                    match &members[key.as_str()] {
                        names @ Value::Array(_) => set(names, out),
                        schema => self.schema(schema, out),
                    }
                    out.push(',');
                }
                out.push('}');
            }
        }
    }

    fn reference(&mut self, reference: &str, out: &mut String) {
        let pointer = uri::decode(reference.strip_prefix('#').unwrap_or_default());
        let number = match self.numbers.get(&pointer) {
            Some(number) => *number,
            None if pointer.is_empty() || self.document.pointer(&pointer).is_none() => {
                text(reference, out);
                return;
            }
            None => {
                self.queue.push(pointer.clone());
                self.numbers.insert(pointer, self.queue.len());
                self.queue.len()
            }
        };
        let _ = write!(out, "#{number}");
    }
}

/// A list as a set; a single value as a set of one.
fn set(value: &Value, out: &mut String) {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice);
    let mut texts: Vec<String> = items.iter().map(canonical_text).collect();
    texts.sort_unstable();
    texts.dedup();
    let _ = write!(out, "[{}]", texts.join(","));
}

/// A value by its meaning: keys sorted, numbers exact, whatever their spelling.
pub(crate) fn canonical_text(value: &Value) -> String {
    let mut out = String::new();
    canonical(value, &mut out);
    out
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&decimal(number)),
        Value::String(string) => text(string, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                text(key, out);
                out.push(':');
                canonical(&members[key.as_str()], out);
            }
            out.push('}');
        }
    }
}

/// A number in decimal digits: 1, 1.0 and 1e0 are the same, and so are 0 and -0.0.
fn decimal(number: &Number) -> String {
    if let Some(whole) = number.as_i64() {
        return whole.to_string();
    }
    if let Some(whole) = number.as_u64() {
        return whole.to_string();
    }
    match number.as_f64() {
        Some(0.0) => "0".to_owned(),
        // Without an exponent, and as many digits as tell the number from its neighbours.
        Some(real) if real.fract() != 0.0 => real.to_string(),
        Some(whole) if whole.is_finite() => format!("{whole:.0}"),
        _ => number.to_string(),
    }
}

fn text(string: &str, out: &mut String) {
    out.push_str(&Value::from(string).to_string());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Fingerprint {
        fingerprint(Mode::Broadcast, schema, None, None)
    }

    /// Everything a contract may say differently and mean the same.
    #[test]
    fn what_changes_no_meaning_changes_no_fingerprint() {
        let pairs = [
            (json!({"title": "A", "description": "a", "examples": [1], "$comment": "c"}), json!({})),
            (
                json!({"deprecated": true, "readOnly": true, "writeOnly": false, "x-celerysalt": {}, "x-y": 1}),
                json!({}),
            ),
            (json!({"$schema": "https://json-schema.org/draft/2020-12/schema#"}), json!({})),
            (
                json!({"type": ["null", "string"], "enum": ["b", "a"]}),
                json!({"type": ["string", "null"], "enum": ["a", "b"]}),
            ),
            (json!({"type": "string"}), json!({"type": ["string"]})),
            (json!({"minimum": 1, "maximum": 100}), json!({"minimum": 1.0, "maximum": 1e2})),
            (json!({"const": {"a": 0}}), json!({"const": {"a": -0.0}})),
            (json!({"properties": {"a": {"title": "x"}}}), json!({"properties": {"a": true}})),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {}}, "unused": {}}}),
                json!({"$ref": "#/$defs/b", "$defs": {"b": {"not": {}}}}),
            ),
            (json!({"dependencies": {"a": ["c", "b"], "d": {}}}), json!({"dependencies": {"d": {}, "a": ["b", "c"]}})),
        ];
        for (a, b) in &pairs {
            assert_eq!(of(a), of(b), "{a} and {b}");
        }
    }

    #[test]
    fn what_changes_meaning_changes_the_fingerprint() {
        let schemas = [
            json!({}),
            json!(false),
            json!({"$schema": "http://json-schema.org/draft-07/schema"}),
            json!({"properties": {"title": {}}}),
            json!({"properties": {"title": {}, "description": {}}}),
            json!({"properties": {"title": {}}, "required": ["title"]}),
            json!({"default": 1}),
            json!({"default": 2}),
            json!({"default": {"title": 1}}),
            json!({"default": "1"}),
            json!({"enum": [{"title": 1}]}),
            json!({"const": 9_007_199_254_740_993_u64}),
            json!({"const": 9_007_199_254_740_992_u64}),
            json!({"x-extensible-enum": ["a"]}),
            json!({"format": "date"}),
            json!({"prefixItems": [{}, false]}),
            json!({"prefixItems": [false, {}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}),
            json!({"properties": {"a": {"$ref": "#"}}}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": {"type": "null"}, "b": {"type": "string"}}}),
            json!({"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}, "b": {"type": "string"}}}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}}),
        ];
        for (i, a) in schemas.iter().enumerate() {
            for b in &schemas[i + 1..] {
                assert_ne!(of(a), of(b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn the_mode_and_each_part_count() {
        let schema = json!({});
        let all = [
            fingerprint(Mode::Broadcast, &schema, None, None),
            fingerprint(Mode::Rpc, &schema, None, None),
            fingerprint(Mode::Rpc, &schema, Some(&schema), None),
            fingerprint(Mode::Rpc, &schema, None, Some(&schema)),
            fingerprint(Mode::Rpc, &schema, Some(&schema), Some(&schema)),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(a.as_str().len() == 64 && all[i + 1..].iter().all(|b| a != b));
        }
    }

    /// The digest is stored in registries and lock files: a change here is a change of format.
    #[test]
    fn the_digest_is_stable() {
        let schema =
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"minimum": 0.5}}});
        assert_eq!(of(&schema).as_str(), "72bbb0a1918d1bc5f92ffc91d6493c4af51c6c795008bc75943924afeed16f5f");
    }

    #[test]
    fn recursive_documents_end() {
        let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/a"}, "c": {"$ref": "#/$defs/missing"}}}}});
        assert_eq!(of(&schema), of(&schema.clone()));
        let by_anchor = json!({"$ref": "#x", "$defs": {"a": {"$anchor": "x", "type": "null"}}});
        assert_ne!(of(&by_anchor), of(&json!({"$ref": "#x", "$defs": {"a": {"$anchor": "x", "type": "string"}}})));
    }
}
