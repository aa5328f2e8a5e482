//! Random schemas of all keywords of all drafts, values that nearly fit them, and texts of these values.
//!
//! All is made of few names, numbers and texts, so that it meets. The numbers are such that no arithmetic rounds them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "each test uses a part of it; tests fail by panicking"
)]

#[path = "../formatted/mod.rs"]
mod formatted;

use std::fmt::Write as _;

use formatted::{COMMON, DRAFTS, FORMATS, FORMATTED};
use serde_json::{Map, Value, json};

/// Numbers that look random, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    pub fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

const NAMES: [&str; 6] = ["a", "b", "ab", "c", "é/~", "a\"b"];
const TEXTS: [&str; 12] = ["", "a", "b", "ab", "aa", "abc", "1", "a1", "é", "😀a", "a\nb", "eyJhIjoxfQ=="];
const PATTERNS: [&str; 14] =
    ["a", "^a", "b$", "^a+$", "^[ab]*$", r"\d", "^.$", "^(a|ab)$", "c?", r"^\S*$", "^ab$", "^(?!b)", r"^(.)\1$", r"\w"];

fn number(dice: &mut Dice) -> Value {
    let numbers = [
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(2),
        json!(3),
        json!(4),
        json!(6),
        json!(-2.25),
        json!(1e2),
        json!(100),
        json!(1_048_576),
    ];
    dice.pick(&numbers)
}

fn string_value(dice: &mut Dice) -> Value {
    json!(if dice.one_in(2) { dice.pick(&TEXTS) } else { dice.pick(&FORMATTED) })
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 4 } else { 7 }) {
        0 => Value::Null,
        1 => json!(dice.one_in(2)),
        2 => number(dice),
        3 => string_value(dice),
        4 | 5 => {
            let count = dice.roll(4);
            Value::Object((0..count).map(|_| (dice.pick(&NAMES).to_owned(), value(dice, depth - 1))).collect())
        }
        _ => {
            let count = dice.roll(4);
            Value::Array((0..count).map(|_| value(dice, depth - 1)).collect())
        }
    }
}

/// One schema; `draft` counts from 4's 0.
fn schema(dice: &mut Dice, draft: usize, depth: usize) -> Value {
    if dice.one_in(12) && draft > 0 {
        return json!(!dice.one_in(3));
    }
    let mut members = Map::new();
    for _ in 0..=dice.roll(3) {
        keyword(dice, draft, depth, &mut members);
    }
    Value::Object(members)
}

/// Where a boolean is a schema in every draft.
fn schema_or_bool(dice: &mut Dice, draft: usize, depth: usize) -> Value {
    if dice.one_in(3) { json!(dice.one_in(2)) } else { schema(dice, draft, depth) }
}

fn names(dice: &mut Dice) -> Value {
    let (a, b) = (dice.pick(&NAMES), dice.pick(&NAMES));
    if a == b { json!([a]) } else { json!([a, b]) }
}

fn keyword(dice: &mut Dice, draft: usize, depth: usize, members: &mut Map<String, Value>) {
    let mut put = |keyword: &str, value: Value| {
        members.insert(keyword.to_owned(), value);
    };
    let leaf = 15;
    match dice.roll(if depth == 0 { leaf } else { leaf + 25 }) {
        0..=2 => {
            let types = ["null", "boolean", "integer", "number", "string", "array", "object", "object", "array"];
            let (a, b) = (dice.pick(&types), dice.pick(&types));
            put("type", if a == b || dice.one_in(2) { json!(a) } else { json!([a, b]) });
        }
        3 => {
            let mut values: Vec<Value> = Vec::new();
            for _ in 0..=dice.roll(3) {
                let one = value(dice, 1);
                let plain = |value: &Value| value.to_string().replace(".0", "");
                if !values.iter().any(|known| plain(known) == plain(&one)) {
                    values.push(one);
                }
            }
            put("enum", Value::Array(values));
        }
        4 => put("const", value(dice, 2)),
        5 => {
            let keyword = dice.pick(&["minimum", "maximum"]);
            put(keyword, number(dice));
        }
        6 if draft > 0 => {
            let keyword = dice.pick(&["exclusiveMinimum", "exclusiveMaximum"]);
            put(keyword, number(dice));
        }
        6 => {
            let (bound, exclusive) = dice.pick(&[("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")]);
            put(bound, number(dice));
            put(exclusive, json!(dice.one_in(2)));
        }
        7 => put("multipleOf", dice.pick(&[json!(1), json!(0.5), json!(2), json!(3), json!(1.5)])),
        8 => {
            let keyword = dice.pick(&["minLength", "maxLength"]);
            put(keyword, json!(dice.roll(4)));
        }
        9 => put("pattern", json!(dice.pick(&PATTERNS))),
        10 => {
            let keyword = dice.pick(&["minItems", "maxItems", "minProperties", "maxProperties"]);
            put(keyword, json!(dice.roll(4)));
        }
        11 => put("uniqueItems", json!(!dice.one_in(5))),
        12 => put("required", names(dice)),
        13 => {
            // Only beside the type are formats pydantic's.
            if !dice.one_in(4) {
                put("type", json!("string"));
            }
            put("format", json!(if dice.one_in(2) { dice.pick(&COMMON) } else { dice.pick(&FORMATS) }));
        }
        14 => {
            if dice.one_in(2) {
                put("contentMediaType", json!("application/json"));
            }
            if dice.one_in(2) {
                put("contentEncoding", json!("base64"));
            }
        }
        15..=18 => {
            let count = 1 + dice.roll(3);
            let properties =
                (0..count).map(|_| (dice.pick(&NAMES).to_owned(), schema(dice, draft, depth - 1))).collect();
            put("properties", Value::Object(properties));
        }
        19 | 20 => put("additionalProperties", schema_or_bool(dice, draft, depth - 1)),
        21 => put("patternProperties", json!({dice.pick(&PATTERNS): schema(dice, draft, depth - 1)})),
        22 => put("propertyNames", schema(dice, draft, 0)),
        23 => {
            let inner = schema(dice, draft, depth - 1);
            let wanted = if dice.one_in(2) && inner.is_object() { inner } else { names(dice) };
            let keyword = match (draft >= 3 && !dice.one_in(3), wanted.is_array()) {
                (false, _) => "dependencies",
                (true, true) => "dependentRequired",
                (true, false) => "dependentSchemas",
            };
            put(keyword, json!({dice.pick(&NAMES): wanted}));
        }
        24 | 25 => {
            let inner = schema(dice, draft, depth - 1);
            put("items", if draft == 0 && inner.is_boolean() { json!({}) } else { inner });
        }
        26 | 27 => {
            let count = 1 + dice.roll(2);
            let list: Vec<Value> = (0..count).map(|_| schema(dice, draft, depth - 1)).collect();
            put(if draft >= 4 { "prefixItems" } else { "items" }, Value::Array(list));
            if dice.one_in(2) {
                put(if draft >= 4 { "items" } else { "additionalItems" }, schema_or_bool(dice, draft, depth - 1));
            }
        }
        28 => {
            put("contains", schema(dice, draft, depth - 1));
            if dice.one_in(2) {
                put("minContains", json!(dice.roll(3)));
            }
            if dice.one_in(2) {
                put("maxContains", json!(dice.roll(3)));
            }
        }
        29 | 30 => put("unevaluatedProperties", schema_or_bool(dice, draft, depth - 1)),
        31 => put("unevaluatedItems", schema_or_bool(dice, draft, depth - 1)),
        32 => put("not", schema(dice, draft, depth - 1)),
        33 => {
            put("if", schema(dice, draft, depth - 1));
            if !dice.one_in(4) {
                put("then", schema(dice, draft, depth - 1));
            }
            if !dice.one_in(4) {
                put("else", schema(dice, draft, depth - 1));
            }
        }
        34 => {
            let mut references = vec!["#/definitions/x", "#/definitions/y"];
            if draft >= 3 {
                references.extend(["#x", "y.json", "y.json#/definitions/in"]);
            }
            put("$ref", json!(dice.pick(&references)));
        }
        35 if draft == 3 => put("$recursiveRef", json!("#")),
        35 if draft >= 4 => put("$dynamicRef", json!(dice.pick(&["#node", "#/definitions/x"]))),
        _ => {
            let list: Vec<Value> = (0..=dice.roll(3)).map(|_| schema(dice, draft, depth - 1)).collect();
            put(dice.pick(&["allOf", "anyOf", "oneOf"]), Value::Array(list));
        }
    }
}

/// A whole schema; it may be one that is refused.
pub fn document(dice: &mut Dice) -> Value {
    let draft = dice.roll(DRAFTS.len());
    let mut document = schema(dice, draft, 3);
    let text = document.to_string();
    if let Value::Object(members) = &mut document {
        if let Some(draft) = DRAFTS[draft] {
            members.insert("$schema".to_owned(), json!(draft));
        }
        if dice.one_in(3) {
            let formats = dice.pick(&["annotation", "assertion", "pydantic"]);
            members.insert("x-celerysalt".to_owned(), json!({"formats": formats}));
        }
        if text.contains("Ref\"") || text.contains("$ref") {
            if draft >= 3 {
                members.insert("$id".to_owned(), json!("https://example.com/root.json"));
            }
            let (mut x, mut y) = (schema(dice, draft, 1), schema(dice, draft, 1));
            // References into themselves only by way of a part.
            if let Value::Object(x) = &mut x {
                x.remove("$ref");
                x.insert("properties".to_owned(), json!({"a": {"$ref": "#/definitions/y"}}));
                if draft >= 3 {
                    x.insert("$anchor".to_owned(), json!("x"));
                }
            }
            if let Value::Object(y) = &mut y {
                y.remove("$ref");
                y.insert("definitions".to_owned(), json!({"in": schema(dice, draft, 0)}));
                if draft >= 3 {
                    y.insert("$id".to_owned(), json!("y.json"));
                    y.insert("items".to_owned(), json!({"$ref": "root.json#/definitions/x"}));
                } else {
                    y.insert("items".to_owned(), json!({"$ref": "#/definitions/x"}));
                }
                if draft >= 4 && dice.one_in(2) {
                    y.insert("$dynamicAnchor".to_owned(), json!("node"));
                }
                if draft == 3 {
                    y.insert("$recursiveAnchor".to_owned(), json!(true));
                }
            }
            members.insert("definitions".to_owned(), json!({"x": x, "y": y}));
            if draft >= 4 {
                members.insert("$dynamicAnchor".to_owned(), json!("node"));
            }
            if draft == 3 && !dice.one_in(3) {
                members.insert("$recursiveAnchor".to_owned(), json!(true));
            }
        }
    }
    document
}

/// A value that a schema may well take, made along its keywords.
pub fn fit(dice: &mut Dice, root: &Value, schema: &Value, depth: usize) -> Value {
    if depth == 0 || dice.one_in(12) {
        return value(dice, depth.min(2));
    }
    let get = |keyword: &str| schema.get(keyword);
    if let Some(pointer) = get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'))
        && let Some(target) = root.pointer(pointer)
        && dice.one_in(2)
    {
        return fit(dice, root, target, depth - 1);
    }
    if let Some(value) = get("const") {
        return value.clone();
    }
    if let Some(Value::Array(values)) = get("enum") {
        return dice.pick(values);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        if let Some(Value::Array(inner)) = get(keyword)
            && dice.one_in(3)
        {
            let chosen = dice.pick(inner);
            return fit(dice, root, &chosen, depth - 1);
        }
    }
    for keyword in ["if", "then", "else"] {
        if let Some(inner) = get(keyword)
            && dice.one_in(4)
        {
            return fit(dice, root, inner, depth - 1);
        }
    }
    let types: Vec<&str> = match get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ if get("properties").is_some() || get("required").is_some() || get("additionalProperties").is_some() => {
            vec!["object"]
        }
        _ if get("items").is_some() || get("prefixItems").is_some() || get("contains").is_some() => vec!["array"],
        _ => vec!["object", "array", "string", "number", "null"],
    };
    match dice.pick(&types) {
        "object" => {
            let mut members = Map::new();
            if let Some(Value::Object(properties)) = get("properties") {
                for (name, inner) in properties {
                    if !dice.one_in(3) {
                        members.insert(name.clone(), fit(dice, root, inner, depth - 1));
                    }
                }
            }
            for name in get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) && !dice.one_in(8) {
                    members.insert(name.to_owned(), value(dice, 1));
                }
            }
            for _ in 0..dice.roll(3) {
                let inner = get("additionalProperties").or(get("unevaluatedProperties")).unwrap_or(&Value::Null);
                let name = dice.pick(&NAMES).to_owned();
                if !members.contains_key(&name) {
                    let value = fit(dice, root, inner, depth - 1);
                    members.insert(name, value);
                }
            }
            Value::Object(members)
        }
        "array" => {
            let empty = Vec::new();
            let prefix = get("prefixItems").or(get("items")).and_then(Value::as_array).unwrap_or(&empty);
            let rest = get("items").filter(|items| items.is_object()).or(get("additionalItems"));
            let inner = rest.or(get("contains")).or(get("unevaluatedItems")).unwrap_or(&Value::Null);
            let mut items: Vec<Value> = prefix.iter().map(|inner| fit(dice, root, inner, depth - 1)).collect();
            for _ in 0..dice.roll(4) {
                items.push(fit(dice, root, inner, depth - 1));
            }
            Value::Array(items)
        }
        "string" => string_value(dice),
        "number" | "integer" => number(dice),
        "boolean" => json!(dice.one_in(2)),
        _ => Value::Null,
    }
}

/// The value as a text with white space, escapes, members in any order, and some of them more than once.
pub fn text(dice: &mut Dice, value: &Value) -> String {
    let mut out = String::new();
    write(dice, value, &mut out, 4);
    out
}

/// The same without members of the same name.
pub fn text_without_repeats(dice: &mut Dice, value: &Value) -> String {
    let mut out = String::new();
    write(dice, value, &mut out, usize::MAX);
    out
}

fn blank(dice: &mut Dice, out: &mut String) {
    for _ in 0..dice.roll(3).saturating_sub(1) {
        out.push(dice.pick(&[' ', '\n', '\r', '\t']));
    }
}

fn string(dice: &mut Dice, text: &str, out: &mut String) {
    out.push('"');
    let escaped = dice.one_in(3);
    for c in text.chars() {
        if escaped && dice.one_in(2) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else if c == '/' && escaped {
            out.push_str("\\/");
        } else {
            let quoted = Value::from(c.to_string()).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}

fn write(dice: &mut Dice, value: &Value, out: &mut String, repeats: usize) {
    blank(dice, out);
    match value {
        Value::String(text) => string(dice, text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(dice, item, out, repeats);
            }
            blank(dice, out);
            out.push(']');
        }
        Value::Object(members) => {
            let mut order: Vec<(String, Value)> = members.clone().into_iter().collect();
            for i in (1..order.len()).rev() {
                order.swap(i, dice.roll(i + 1));
            }
            if repeats != usize::MAX && !order.is_empty() && dice.one_in(repeats) {
                let name = dice.pick(&order).0;
                let at = dice.roll(order.len() + 1);
                order.insert(at, (name, self::value(dice, 1)));
            }
            out.push('{');
            for (i, (name, value)) in order.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                blank(dice, out);
                string(dice, name, out);
                blank(dice, out);
                out.push(':');
                write(dice, value, out, repeats);
            }
            blank(dice, out);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    blank(dice, out);
}
