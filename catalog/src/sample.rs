//! Examples of a schema: those that its author wrote, else one that is made. Each is checked by the rules that a publish is
//! checked by; what they refuse is not shown as an example.

use celerysalt_contract::{
    Exact,
    compare::{Options, Verdict, contains},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

/// How deep schemas are followed.
const DEPTH: usize = 16;
/// More examples than anybody reads.
const MOST: usize = 4;

/// A payload that its contract takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Example {
    pub(crate) value: Value,
    /// Whether it is the author's own.
    pub(crate) is_written: bool,
}

/// The examples of a schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Examples {
    pub(crate) valid: Vec<Example>,
    /// How many of the author's own the contract refuses.
    pub(crate) refused: usize,
}

/// Examples that were made before, for the pages that show the same schema, and of patterns that several schemas have.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    schemas: Mutex<HashMap<String, Arc<Examples>>>,
    solved: Mutex<HashMap<String, Option<Value>>>,
}

impl Samples {
    /// The author's examples that are valid; without one, an example that is made.
    pub(crate) fn of(&self, schema: &Value) -> Arc<Examples> {
        let key = schema.to_string();
        let known = || self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(examples) = known().get(&key) {
            return Arc::clone(examples);
        }
        let examples = Arc::new(self.make(schema));
        known().insert(key, Arc::clone(&examples));
        examples
    }

    fn make(&self, schema: &Value) -> Examples {
        let Ok(exact) = Exact::new(schema) else { return Examples::default() };
        let is_valid = |value: &Value| exact.accepts(value.to_string().as_bytes());
        let written = schema["examples"].as_array().into_iter().flatten().take(MOST);
        let (valid, refused): (Vec<&Value>, Vec<&Value>) = written.partition(|value| is_valid(value));
        let mut examples = Examples {
            valid: valid.into_iter().map(|value| Example { value: value.clone(), is_written: true }).collect(),
            refused: refused.len(),
        };
        if examples.valid.is_empty() {
            let made = [true, false]
                .into_iter()
                .filter_map(|all| Sampler { samples: self, root: schema, all }.sample(schema, "", DEPTH));
            let made = made.into_iter().find(is_valid).or_else(|| self.solved(schema).filter(is_valid));
            examples.valid.extend(made.map(|value| Example { value, is_written: false }));
        }
        examples
    }

    /// Some value that the schema takes, found by what decides about compatibility.
    fn solved(&self, schema: &Value) -> Option<Value> {
        let key = schema.to_string();
        let known = || self.solved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known().get(&key) {
            return value.clone();
        }
        let value = match contains(schema, &Value::Bool(false), &Options::default()) {
            Verdict::Breaking { witness, .. } if witness.is_exact() => Some(witness.value().clone()),
            _ => None,
        };
        known().insert(key, value.clone());
        value
    }
}

/// Makes a value that a reader recognizes. It may be none that the schema takes.
struct Sampler<'a> {
    samples: &'a Samples,
    root: &'a Value,
    /// With optional properties.
    all: bool,
}

impl Sampler<'_> {
    fn sample(&self, schema: &Value, name: &str, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if *schema == Value::Bool(true) {
            return Some(json!("anything"));
        }
        let keywords = schema.as_object()?;
        for keyword in ["examples", "enum", "x-extensible-enum"] {
            if let Some(first) = keywords.get(keyword).and_then(Value::as_array).and_then(|values| values.first()) {
                return Some(first.clone());
            }
        }
        if let Some(value) = keywords.get("const").or_else(|| keywords.get("default").filter(|value| !value.is_null()))
        {
            return Some(value.clone());
        }
        let mut parts = Vec::new();
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#')) {
            parts.push(self.sample(self.root.pointer(target)?, name, depth)?);
        }
        for part in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            parts.extend(self.sample(part, name, depth));
        }
        for combination in ["oneOf", "anyOf"] {
            let branches = keywords.get(combination).and_then(Value::as_array).into_iter().flatten();
            // A value says more than null.
            let (null, some): (Vec<&Value>, Vec<&Value>) = branches.partition(|branch| branch["type"] == "null");
            parts.extend(some.into_iter().chain(null).find_map(|branch| self.sample(branch, name, depth)));
        }
        let own = self.own(keywords, name, depth);
        if let Some(own) = own {
            parts.push(own);
        }
        parts.into_iter().reduce(merged).or_else(|| Some(json!("anything")))
    }

    fn own(&self, keywords: &Map<String, Value>, name: &str, depth: usize) -> Option<Value> {
        let named = match keywords.get("type") {
            Some(Value::String(kind)) => Some(kind.as_str()),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            _ => None,
        };
        let implied = || {
            let has = |names: &[&str]| names.iter().any(|name| keywords.contains_key(*name));
            if has(&["properties", "required", "additionalProperties", "patternProperties"]) {
                Some("object")
            } else if has(&["items", "prefixItems", "minItems"]) {
                Some("array")
            } else if has(&["pattern", "minLength", "maxLength", "format"]) {
                Some("string")
            } else if has(&["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"]) {
                Some("number")
            } else {
                None
            }
        };
        Some(match named.or_else(implied)? {
            "object" => self.object(keywords, depth),
            "array" => self.array(keywords, name, depth),
            "string" => self.text(keywords, name),
            "integer" => self.number(keywords, true),
            "number" => self.number(keywords, false),
            "boolean" => Value::Bool(true),
            _ => Value::Null,
        })
    }

    fn object(&self, keywords: &Map<String, Value>, depth: usize) -> Value {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let required = keywords.get("required").and_then(Value::as_array);
        let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let mut members = Map::new();
        for (name, schema) in properties.into_iter().flatten() {
            if (self.all || required.contains(&name.as_str()))
                && let Some(value) = self.sample(schema, name, depth)
            {
                members.insert(name.clone(), value);
            }
        }
        // What is required and not declared may be anything that further properties may be.
        let rest = keywords.get("additionalProperties").unwrap_or(&Value::Bool(true));
        for name in required {
            if !members.contains_key(name)
                && let Some(value) = self.sample(rest, name, depth)
            {
                members.insert(name.to_owned(), value);
            }
        }
        if members.is_empty()
            && self.all
            && rest.is_object()
            && let Some(value) = self.sample(rest, "", depth)
        {
            members.insert("name".to_owned(), value);
        }
        Value::Object(members)
    }

    fn array(&self, keywords: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let count = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
        let most = count("maxItems").unwrap_or(u64::MAX);
        let least = count("minItems").unwrap_or(u64::from(self.all)).min(most).min(50);
        let tuple = keywords.get("prefixItems").or_else(|| keywords.get("items")).and_then(Value::as_array);
        let mut items: Vec<Value> =
            tuple.into_iter().flatten().filter_map(|item| self.sample(item, name, depth)).collect();
        let item = keywords.get("items").filter(|item| !item.is_array());
        let contained = keywords.get("contains").and_then(|item| self.sample(item, name, depth));
        items.extend(contained.filter(|_| most > 0));
        while (items.len() as u64) < least {
            let Some(value) = self.sample(item.unwrap_or(&Value::Bool(true)), name, depth) else { break };
            items.push(value);
        }
        items.into()
    }

    /// A text that looks like what its property is called.
    fn text(&self, keywords: &Map<String, Value>, name: &str) -> Value {
        let rule = |keyword: &str| keywords.get(keyword).is_some();
        let format = keywords.get("format").and_then(Value::as_str).unwrap_or_default();
        let lower = name.to_lowercase();
        let has = |part: &str| lower.contains(part);
        let known = match format {
            "date-time" => "2026-01-15T09:30:00Z",
            "date" => "2026-01-15",
            "time" => "09:30:00Z",
            "duration" => "PT1H30M",
            "email" | "idn-email" => "ann@example.com",
            "hostname" | "idn-hostname" => "example.com",
            "ipv4" => "192.0.2.1",
            "ipv6" => "2001:db8::1",
            "uri" | "uri-reference" | "iri" | "iri-reference" | "url" => "https://example.com/",
            "uuid" | "uuid4" => "0b6f9c1e-7a52-4d9e-9c1b-3f2a5d8e7c64",
            "json-pointer" => "/a/b",
            "regex" => "^[a-z]+$",
            _ if has("email") || has("e_mail") => "ann@example.com",
            _ if has("url") || has("website") => "https://example.com/",
            _ if lower.ends_with("_at") || has("timestamp") => "2026-01-15T09:30:00Z",
            _ if lower.ends_with("_date") || lower == "date" => "2026-01-15",
            _ if has("currency") => "EUR",
            _ if has("country") => "DE",
            _ if has("first_name") => "Ann",
            _ if has("name") => "Ann Smith",
            _ if lower == "id" || lower.ends_with("_id") => "A-1001",
            _ => "",
        };
        let plain = if known.is_empty() {
            let words = name.replace(['_', '-'], " ");
            if words.trim().is_empty() { "text".to_owned() } else { words }
        } else {
            known.to_owned()
        };
        if rule("pattern") || rule("minLength") || rule("maxLength") {
            // Words say nothing about which texts are allowed.
            let own = ["type", "pattern", "minLength", "maxLength"];
            let own = keywords.iter().filter(|(keyword, _)| own.contains(&keyword.as_str()));
            let own = Value::Object(own.map(|(keyword, value)| (keyword.clone(), value.clone())).collect());
            let fits =
                Exact::new(&own).is_ok_and(|exact| exact.accepts(Value::from(plain.as_str()).to_string().as_bytes()));
            if !fits && let Some(found) = self.samples.solved(&own) {
                return found;
            }
        }
        plain.into()
    }

    /// A number within its bounds, as round as they let it be.
    fn number(&self, keywords: &Map<String, Value>, is_integer: bool) -> Value {
        let own = Value::Object(keywords.clone());
        let Ok(exact) = Exact::new(&own) else { return json!(1) };
        let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
        let low = bound("minimum").or_else(|| bound("exclusiveMinimum"));
        let high = bound("maximum").or_else(|| bound("exclusiveMaximum"));
        let middle = match (low, high) {
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (Some(low), None) => low + 1.0,
            (None, Some(high)) => high - 1.0,
            (None, None) => 42.0,
        };
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        let stepped = step.map(|step| (middle / step).floor() * step);
        // Beyond these, a float is no exact integer any more.
        let whole =
            |value: f64| format!("{value:.0}").parse::<i64>().ok().filter(|_| value.abs() < 9e15).map(Value::from);
        let mut candidates: Vec<Value> =
            stepped.into_iter().chain([middle.floor(), middle.ceil()]).filter_map(whole).collect();
        if !is_integer {
            candidates.extend(stepped.into_iter().chain([middle]).map(|value| json!(value)));
            if step.is_none() && low.is_none() && high.is_none() {
                candidates.insert(0, json!(12.5));
            }
        }
        candidates.extend([low, high].into_iter().flatten().filter_map(whole));
        let fits = |value: &Value| exact.accepts(value.to_string().as_bytes());
        candidates.into_iter().find(fits).or_else(|| self.samples.solved(&own)).unwrap_or(json!(1))
    }
}

/// Both at once, where that can be.
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            for (name, value) in second {
                let value = match first.remove(&name) {
                    Some(known) => merged(known, value),
                    None => value,
                };
                first.insert(name, value);
            }
            Value::Object(first)
        }
        (_, second) => second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authors_examples_are_shown_if_the_contract_takes_them() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "examples": [{"n": 7}, {"n": "seven"}]});
        let found = Samples::default().of(&schema);
        assert_eq!(found.valid, [Example { value: json!({"n": 7}), is_written: true }]);
        assert_eq!(found.refused, 1);
    }

    #[test]
    fn what_is_made_is_valid_and_says_something() {
        for (schema, expected) in [
            (
                json!({"type": "object", "properties": {"score": {"type": "number", "minimum": 0, "maximum": 10}}}),
                json!({"score": 5}),
            ),
            (
                json!({"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}),
                json!({"at": "2026-01-15T09:30:00Z"}),
            ),
            (
                json!({"type": "object", "properties": {"user_email": {"type": "string"}}}),
                json!({"user_email": "ann@example.com"}),
            ),
            (
                json!({"type": "object", "properties": {"price": {"type": "number", "multipleOf": 0.01}}}),
                json!({"price": 42}),
            ),
            (
                json!({"type": "object", "properties": {"list": {"type": "array", "items": {"type": "boolean"}}}}),
                json!({"list": [true]}),
            ),
            (
                json!({"type": "object", "properties": {"maybe": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}}),
                json!({"maybe": 42}),
            ),
        ] {
            let found = Samples::default().of(&schema);
            assert_eq!(found.valid.first().map(|example| &example.value), Some(&expected), "{schema}");
        }
    }

    #[test]
    fn hard_ones_are_solved_and_impossible_ones_have_none() {
        let pattern = json!({"type": "object", "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}}, "required": ["sku"]});
        let found = Samples::default().of(&pattern);
        assert!(Exact::new(&pattern).unwrap().accepts(found.valid[0].value.to_string().as_bytes()));
        assert_eq!(found.valid[0].value["sku"].as_str().map(str::len), Some(8));
        let either = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        assert_eq!(Samples::default().of(&either).valid.len(), 1);
        let never = json!({"type": "object", "properties": {"a": false}, "required": ["a"]});
        assert!(Samples::default().of(&never).valid.is_empty());
    }
}
