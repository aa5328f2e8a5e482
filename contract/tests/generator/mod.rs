//! Random schemas and values, the same for the same seed: made of few names, numbers, texts and formats, so that they meet.
//!
//! Formats are asserted, as pydantic reads them or as their standards have them, or they are annotations: as a document's
//! `$schema`, or that it has none, and the setting `x-celerysalt.formats` say.

#![allow(dead_code, clippy::unwrap_used, reason = "tests; not every test uses everything")]

#[path = "../formatted/mod.rs"]
mod formatted;

use formatted::{COMMON, FORMATS};
pub(crate) use formatted::{DRAFTS, FORMATTED};
use serde_json::{Map, Value, json};

/// Numbers that look random, the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

/// How many pairs to try: `CELERYSALT_COMPAT_PAIRS`, or `few`.
pub(crate) fn pairs(few: u64) -> u64 {
    setting("CELERYSALT_COMPAT_PAIRS").unwrap_or(few)
}

/// That many seeds, from `CELERYSALT_COMPAT_SEED` on: another first seed makes other pairs.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = setting("CELERYSALT_COMPAT_SEED").unwrap_or(0);
    first..first + count
}

fn setting(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

pub(crate) const NAMES: [&str; 4] = ["a", "b", "ab", "c"];
pub(crate) const TEXTS: [&str; 8] = ["", "a", "b", "ab", "aa", "abc", "1", "a1"];
pub(crate) const PATTERNS: [&str; 9] = ["a", "^a", "b$", "^a+$", "^[ab]*$", r"\d", "^.$", "^(a|ab)$", "c?"];
const FORMAT_PATTERNS: [&str; 7] = ["Z$", "^[0-9-]+$", "T", "^2", "@b", ":", r"\."];

pub(crate) fn number(dice: &mut Dice) -> Value {
    let numbers =
        [json!(-1), json!(0), json!(0.5), json!(1), json!(1.0), json!(1.5), json!(2), json!(3), json!(4), json!(6)];
    dice.pick(&numbers)
}

fn text(dice: &mut Dice) -> &'static str {
    if dice.roll(2) == 0 { dice.pick(&TEXTS) } else { dice.pick(&FORMATTED) }
}

fn name(dice: &mut Dice) -> &'static str {
    if dice.roll(8) == 0 { dice.pick(&FORMATTED) } else { dice.pick(&NAMES) }
}

fn format(dice: &mut Dice) -> &'static str {
    if dice.roll(2) == 0 { dice.pick(&COMMON) } else { dice.pick(&FORMATS) }
}

pub(crate) fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 4 } else { 7 }) {
        0 => Value::Null,
        1 => json!(dice.roll(2) == 0),
        2 => number(dice),
        3 => json!(text(dice)),
        4 | 5 => {
            let count = dice.roll(4);
            Value::Object((0..count).map(|_| (name(dice).to_owned(), value(dice, depth - 1))).collect())
        }
        _ => {
            let count = dice.roll(4);
            Value::Array((0..count).map(|_| value(dice, depth - 1)).collect())
        }
    }
}

/// One schema; `draft` is an index into [`DRAFTS`].
pub(crate) fn schema(dice: &mut Dice, draft: usize, depth: usize) -> Value {
    if dice.roll(12) == 0 && draft > 0 {
        return json!(dice.roll(3) > 0);
    }
    let mut members = Map::new();
    for _ in 0..=dice.roll(3) {
        keyword(dice, draft, depth, &mut members);
    }
    Value::Object(members)
}

/// A format, and now and then what else is asked of its texts.
fn formatted_text(dice: &mut Dice, members: &mut Map<String, Value>) {
    // Only beside the type are formats pydantic's.
    if dice.roll(4) > 0 {
        members.insert("type".to_owned(), json!("string"));
    }
    members.insert("format".to_owned(), json!(format(dice)));
    let (keyword, value) = match dice.roll(6) {
        0 => ("minLength", json!(dice.pick(&[1, 4, 11, 20, 36]))),
        1 => ("maxLength", json!(dice.pick(&[4, 10, 20, 36, 45]))),
        2 => ("pattern", json!(dice.pick(&FORMAT_PATTERNS))),
        _ => return,
    };
    members.insert(keyword.to_owned(), value);
}

pub(crate) fn keyword(dice: &mut Dice, draft: usize, depth: usize, members: &mut Map<String, Value>) {
    let mut put = |keyword: &str, value: Value| {
        members.insert(keyword.to_owned(), value);
    };
    let leaf = 15;
    match dice.roll(if depth == 0 { leaf } else { leaf + 22 }) {
        0..=2 => {
            let types = ["null", "boolean", "integer", "number", "string", "array", "object", "object", "array"];
            let (a, b) = (dice.pick(&types), dice.pick(&types));
            put("type", if a == b || dice.roll(2) == 0 { json!(a) } else { json!([a, b]) });
        }
        3 => {
            let mut values: Vec<Value> = Vec::new();
            for _ in 0..=dice.roll(3) {
                let one = value(dice, 1);
                if !values.iter().any(|known| known.to_string().replace(".0", "") == one.to_string().replace(".0", ""))
                {
                    values.push(one);
                }
            }
            put("enum", Value::Array(values));
        }
        4 => put("const", value(dice, 1)),
        5 => {
            let keyword = dice.pick(&["minimum", "maximum"]);
            put(keyword, number(dice));
        }
        6 if draft > 0 => {
            let keyword = dice.pick(&["exclusiveMinimum", "exclusiveMaximum"]);
            put(keyword, number(dice));
        }
        6 => {
            put("minimum", number(dice));
            put("exclusiveMinimum", json!(dice.roll(2) == 0));
        }
        7 => put("multipleOf", dice.pick(&[json!(1), json!(0.5), json!(2), json!(3), json!(1.5)])),
        8 => put(dice.pick(&["minLength", "maxLength"]), json!(dice.roll(4))),
        9 => put("pattern", json!(dice.pick(&PATTERNS))),
        10 => put(dice.pick(&["minItems", "maxItems", "minProperties", "maxProperties"]), json!(dice.roll(4))),
        11 => put("uniqueItems", json!(true)),
        12 => {
            let (a, b) = (dice.pick(&NAMES), dice.pick(&NAMES));
            put("required", if a == b { json!([a]) } else { json!([a, b]) });
        }
        13 | 14 => formatted_text(dice, members),
        15..=18 => {
            let count = 1 + dice.roll(3);
            let properties =
                (0..count).map(|_| (dice.pick(&NAMES).to_owned(), schema(dice, draft, depth - 1))).collect();
            put("properties", Value::Object(properties));
        }
        19 | 20 => put("additionalProperties", schema(dice, draft.max(1), depth - 1)),
        21 => put("patternProperties", json!({dice.pick(&PATTERNS): schema(dice, draft, depth - 1)})),
        22 => put("propertyNames", schema(dice, draft, 0)),
        23 => {
            let inner = schema(dice, draft, depth - 1);
            let wanted = if dice.roll(2) == 0 && inner.is_object() { inner } else { json!([dice.pick(&NAMES)]) };
            let keyword = match (draft >= 3, wanted.is_array()) {
                (false, _) => "dependencies",
                (true, true) => "dependentRequired",
                (true, false) => "dependentSchemas",
            };
            put(keyword, json!({dice.pick(&NAMES): wanted}));
        }
        24 | 25 => put("items", schema(dice, draft.max(1), depth - 1).as_object().map_or(json!({}), |one| json!(one))),
        26 | 27 => {
            let count = 1 + dice.roll(2);
            let list: Vec<Value> =
                (0..count).map(|_| schema(dice, draft, depth - 1)).filter(|one| draft > 0 || one.is_object()).collect();
            if list.is_empty() {
                return;
            }
            put(if draft >= 4 { "prefixItems" } else { "items" }, Value::Array(list));
            if draft < 4 && dice.roll(2) == 0 {
                put("additionalItems", schema(dice, draft.max(1), depth - 1));
            }
        }
        28 => {
            put("contains", schema(dice, draft, depth - 1));
            if draft >= 3 && dice.roll(2) == 0 {
                put("minContains", json!(dice.roll(3)));
            }
            if draft >= 3 && dice.roll(2) == 0 {
                put("maxContains", json!(dice.roll(3)));
            }
        }
        29 => put("unevaluatedProperties", schema(dice, draft, depth - 1)),
        30 => put("unevaluatedItems", schema(dice, draft, depth - 1)),
        31 => put("not", schema(dice, draft, depth - 1)),
        32 => {
            put("if", schema(dice, draft, depth - 1));
            put("then", schema(dice, draft, depth - 1));
            put("else", schema(dice, draft, depth - 1));
        }
        33 => put("$ref", json!(dice.pick(&["#/definitions/x", "#/definitions/y"]))),
        _ => {
            let list: Vec<Value> = (0..=dice.roll(3)).map(|_| schema(dice, draft, depth - 1)).collect();
            put(dice.pick(&["allOf", "anyOf", "oneOf"]), Value::Array(list));
        }
    }
}

pub(crate) fn document(dice: &mut Dice, draft: usize) -> Value {
    let mut document = schema(dice, draft, 3);
    let text = document.to_string();
    if let Value::Object(members) = &mut document {
        if let Some(draft) = DRAFTS[draft] {
            members.insert("$schema".to_owned(), json!(draft));
        }
        if dice.roll(3) == 0 {
            set_formats(dice, members);
        }
        if text.contains("#/definitions") {
            // References into themselves only by way of a part.
            let mut x = schema(dice, draft, 1);
            if let Value::Object(x) = &mut x {
                x.remove("$ref");
                x.insert("properties".to_owned(), json!({"a": {"$ref": "#/definitions/y"}}));
            }
            members.insert("definitions".to_owned(), json!({"x": x, "y": {"items": {"$ref": "#/definitions/x"}}}));
        }
    }
    document
}

/// Says of a document how its formats are meant.
fn set_formats(dice: &mut Dice, members: &mut Map<String, Value>) {
    let formats = dice.pick(&["annotation", "assertion", "assertion", "pydantic", "pydantic"]);
    members.insert("x-celerysalt".to_owned(), json!({"formats": formats}));
}

/// Adds a format, takes it away or changes it.
fn change_format(dice: &mut Dice, members: &mut Map<String, Value>) {
    if members.contains_key("format") && dice.roll(3) == 0 {
        members.remove("format");
    } else {
        members.insert("format".to_owned(), json!(format(dice)));
    }
}

/// The same schema with one part of it changed: such pairs are compatible more often.
pub(crate) fn changed(dice: &mut Dice, document: &Value, draft: usize) -> Value {
    let mut changed = document.clone();
    let Value::Object(members) = &mut changed else { return schema(dice, draft, 2) };
    // Where there is a format, or one fits.
    let is_text = members.contains_key("format") || members.get("type") == Some(&json!("string"));
    if dice.roll(if is_text { 3 } else { 15 }) == 0 {
        change_format(dice, members);
        return changed;
    }
    if dice.roll(20) == 0 {
        // Inside a document it means nothing.
        set_formats(dice, members);
        return changed;
    }
    let keys: Vec<String> =
        members.keys().filter(|key| !key.starts_with(['$', 'x']) && *key != "definitions").cloned().collect();
    if keys.is_empty() {
        return changed;
    }
    let key = dice.pick(&keys);
    match (dice.roll(4), members.get_mut(&key)) {
        (0, _) => {
            members.remove(&key);
        }
        (1, Some(Value::Object(inner))) if !inner.is_empty() => {
            let keys: Vec<String> = inner.keys().cloned().collect();
            let part = inner.get_mut(&dice.pick(&keys)).unwrap();
            if part.is_object() {
                *part = self::changed(dice, part, draft);
            }
        }
        (1 | 2, Some(Value::Array(list))) if list.len() > 1 => {
            list.pop();
        }
        _ => keyword(dice, draft, 2, members),
    }
    changed
}

/// Two documents, often one made of the other.
pub(crate) fn pair(seed: u64) -> (Value, Value, Dice) {
    let mut dice = Dice(seed);
    let draft = dice.roll(DRAFTS.len());
    let old = document(&mut dice, draft);
    let new = match dice.roll(3) {
        0 => {
            let draft = dice.roll(DRAFTS.len());
            document(&mut dice, draft)
        }
        _ => changed(&mut dice, &old, draft),
    };
    if dice.roll(2) == 0 { (old, new, dice) } else { (new, old, dice) }
}
