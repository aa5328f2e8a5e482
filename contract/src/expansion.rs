//! How much work a schema is on one value: references that never end, and references that double.
//!
//! `{"$ref": "#"}` asks the same question of the same value forever. `allOf` of two references to an `allOf` of two
//! references, thirty times over, is a short schema that takes a billion steps. Both are refused before they run.

use std::collections::HashMap;

use serde_json::Value;

use crate::{Draft, draft::subschemas, for_each_subschema, library::Names, uri};

/// The most schemas that one value may be checked against.
const MAX_STEPS: u64 = 100_000;

/// Why a schema must not run.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) pointer: String,
    pub(crate) message: String,
}

/// Refuses a schema that never ends, or takes too long, on a single value.
pub(crate) fn check(document: &Value, draft: Draft) -> Result<(), Refusal> {
    if Glance::is_harmless(document, draft) {
        return Ok(());
    }
    let mut walk = Walk { document, draft, names: Names::of(document, draft), steps: HashMap::new() };
    let mut positions = vec![String::new()];
    let mut next = 0;
    while let Some(pointer) = positions.get(next).cloned() {
        next += 1;
        walk.steps(&pointer)?;
        if let Some(schema) = document.pointer(&pointer) {
            for_each_subschema(schema, draft, &mut |place, _| positions.push(place.below(&pointer)));
        }
    }
    Ok(())
}

/// The keywords whose schemas look at the same value as the one that they stand in.
const SAME_VALUE: [&str; 9] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
/// How deep a glance goes.
const MAX_GLANCE: usize = 100;

/// A count that gives up as soon as anything is unusual: names, circles, depth, or too many steps. Nearly all documents
/// are harmless, and this is told of them without a word about places.
struct Glance<'a> {
    document: &'a Value,
    draft: Draft,
    /// By where a schema is in memory: how many schemas look at one value; none while they are being counted.
    steps: HashMap<*const Value, Option<u64>>,
}

impl<'a> Glance<'a> {
    /// False is no verdict.
    fn is_harmless(document: &'a Value, draft: Draft) -> bool {
        let mut glance = Self { document, draft, steps: HashMap::new() };
        let mut queue = vec![document];
        while let Some(schema) = queue.pop() {
            if glance.steps(schema, 0).is_none() {
                return false;
            }
            subschemas(schema, draft, &mut |subschema| queue.push(subschema));
        }
        true
    }

    fn steps(&mut self, schema: &'a Value, depth: usize) -> Option<u64> {
        let Value::Object(members) = schema else { return Some(1) };
        let place = std::ptr::from_ref(schema);
        if let Some(known) = self.steps.get(&place) {
            return *known;
        }
        if depth > MAX_GLANCE {
            return None;
        }
        self.steps.insert(place, None);
        let mut total = 1;
        let mut hidden = false;
        if let Some(Value::String(reference)) = members.get("$ref") {
            let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            total += self.steps(self.document.pointer(&uri::decode(pointer))?, depth + 1)?;
            hidden = self.draft.ref_hides_siblings();
        }
        for (keyword, value) in members {
            match keyword.as_str() {
                "$id" | "id" | "$anchor" | "$dynamicAnchor" | "$recursiveAnchor" | "$dynamicRef" | "$recursiveRef" => {
                    return None;
                }
                keyword if !hidden && SAME_VALUE.contains(&keyword) => {
                    let inner: Vec<&Value> = match value {
                        Value::Array(items) => items.iter().collect(),
                        Value::Object(map) if keyword.starts_with("dependen") => map.values().collect(),
                        other => vec![other],
                    };
                    for schema in inner {
                        total += self.steps(schema, depth + 1)?;
                    }
                }
                _ => {}
            }
            if total > MAX_STEPS {
                return None;
            }
        }
        self.steps.insert(place, Some(total));
        Some(total)
    }
}

/// A schema whose steps are being added up.
struct Frame {
    pointer: String,
    /// The schemas that look at the same value, each with the reference that leads to it, and how many are done.
    inner: Vec<(String, &'static str)>,
    next: usize,
    total: u64,
}

struct Walk<'a> {
    document: &'a Value,
    draft: Draft,
    names: Names,
    /// By pointer: how many schemas look at one value; none while they are being counted.
    steps: HashMap<String, Option<u64>>,
}

impl Walk<'_> {
    /// Counts the schemas that the schema at `start` makes look at the same value. Without recursion: references may
    /// chain as long as the document is.
    fn steps(&mut self, start: &str) -> Result<(), Refusal> {
        if self.steps.contains_key(start) {
            return Ok(());
        }
        let mut stack = vec![self.open(start)];
        while let Some(frame) = stack.last_mut() {
            let Some((inner, keyword)) = frame.inner.get(frame.next).cloned() else {
                let done = (std::mem::take(&mut frame.pointer), frame.total);
                stack.pop();
                self.steps.insert(done.0, Some(done.1));
                if let Some(outer) = stack.last_mut() {
                    outer.total = outer.total.saturating_add(done.1);
                    outer.next += 1;
                    if outer.total > MAX_STEPS {
                        return Err(Refusal {
                            code: "ref-explosion",
                            message: format!("one value would be checked against more than {MAX_STEPS} schemas"),
                            pointer: outer.pointer.clone(),
                        });
                    }
                }
                continue;
            };
            match self.steps.get(&inner) {
                Some(Some(known)) => {
                    frame.total = frame.total.saturating_add(*known);
                    frame.next += 1;
                    if frame.total > MAX_STEPS {
                        return Err(Refusal {
                            code: "ref-explosion",
                            message: format!("one value would be checked against more than {MAX_STEPS} schemas"),
                            pointer: frame.pointer.clone(),
                        });
                    }
                }
                Some(None) => {
                    return Err(Refusal {
                        code: "ref-loop",
                        message: "this reference leads back to itself without looking at a part of the value"
                            .to_owned(),
                        pointer: format!("{}{keyword}", frame.pointer),
                    });
                }
                None => {
                    let opened = self.open(&inner);
                    stack.push(opened);
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, pointer: &str) -> Frame {
        self.steps.insert(pointer.to_owned(), None);
        Frame { pointer: pointer.to_owned(), inner: self.inner(pointer), next: 0, total: 1 }
    }

    /// The schemas that look at the same value as the one at `pointer`, each with the reference that leads to it.
    fn inner(&self, pointer: &str) -> Vec<(String, &'static str)> {
        let Some(schema) = self.document.pointer(pointer) else { return Vec::new() };
        let mut inner = Vec::new();
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        if let Some(target) = text("$ref").and_then(|reference| self.names.local(pointer, reference)) {
            inner.push((target, "/$ref"));
            if self.draft.ref_hides_siblings() {
                return inner;
            }
        }
        // Where a dynamic reference leads depends on how it was reached: each place it may lead to counts.
        if let Some(reference) = text("$dynamicRef").filter(|_| self.draft == Draft::Draft202012) {
            let name = reference.split_once('#').map_or("", |(_, name)| name);
            let targets = self.names.every_anchor(name).map(ToOwned::to_owned);
            inner.extend(targets.chain(self.names.local(pointer, reference)).map(|target| (target, "/$dynamicRef")));
        }
        if let Some(reference) = text("$recursiveRef").filter(|_| self.draft == Draft::Draft201909) {
            inner.extend(self.names.local(pointer, reference).map(|target| (target, "/$recursiveRef")));
        }
        for_each_subschema(schema, self.draft, &mut |place, _| {
            if SAME_VALUE.contains(&place.keyword()) {
                inner.push((place.below(pointer), ""));
            }
        });
        inner
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(schema: &Value) -> Option<(&'static str, String)> {
        check(schema, Draft::Draft202012).err().map(|refusal| (refusal.code, refusal.pointer))
    }

    #[test]
    fn circles_that_look_at_nothing_are_refused() {
        assert_eq!(code(&json!({"$ref": "#"})), Some(("ref-loop", "/$ref".to_owned())));
        let schema = json!({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}});
        assert_eq!(code(&schema).unwrap().0, "ref-loop");
        // Found also where the root does not lead.
        let unused = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
        assert_eq!(code(&unused), Some(("ref-loop", "/$defs/b/$ref".to_owned())));
    }

    #[test]
    fn circles_by_name_are_seen() {
        for schema in [
            json!({"$anchor": "a", "$ref": "#a"}),
            json!({"$id": "https://x/y", "allOf": [{"$ref": "y"}]}),
            json!({"$id": "https://x/y", "$ref": "https://x/y#"}),
            json!({"$dynamicAnchor": "a", "$dynamicRef": "#a"}),
            json!({"$defs": {"a": {"$id": "z", "anyOf": [{"$ref": "#"}]}}}),
        ] {
            assert_eq!(code(&schema).map(|found| found.0), Some("ref-loop"), "{schema}");
        }
        let recursive = json!({"$recursiveAnchor": true, "not": {"$recursiveRef": "#"}});
        assert!(check(&recursive, Draft::Draft201909).is_err());
    }

    #[test]
    fn recursion_through_a_part_of_the_value_is_fine() {
        assert_eq!(code(&json!({"properties": {"next": {"$ref": "#"}}, "items": {"anyOf": [{"$ref": "#"}]}})), None);
    }

    /// A glance that finds nothing unusual must be right, and should be enough for what contracts are made of.
    #[test]
    fn a_glance_is_enough_for_what_is_usual() {
        let usual = json!({
            "properties": {"next": {"$ref": "#"}, "a": {"anyOf": [{"$ref": "#/$defs/a%20b"}, {"type": "null"}]}},
            "allOf": [{"$ref": "#/$defs/a b"}], "$defs": {"a b": {"not": {"items": {"$ref": "#"}}}}
        });
        assert!(Glance::is_harmless(&usual, Draft::Draft202012));
        for unusual in [
            json!({"$ref": "#"}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}),
            json!({"properties": {"a": {"$anchor": "x"}}}),
            json!({"$ref": "#x"}),
            json!({"$ref": "#/missing"}),
            json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
        ] {
            assert!(!Glance::is_harmless(&unusual, Draft::Draft202012), "{unusual}");
        }
    }

    #[test]
    fn references_that_double_are_refused() {
        let mut defs = serde_json::Map::new();
        defs.insert("a0".to_owned(), json!({"type": "integer"}));
        for i in 1..40 {
            let below = json!({"$ref": format!("#/$defs/a{}", i - 1)});
            defs.insert(format!("a{i}"), json!({"allOf": [below, below]}));
        }
        let schema = json!({"$ref": "#/$defs/a39", "$defs": defs});
        assert_eq!(code(&schema).unwrap().0, "ref-explosion");
        assert_eq!(code(&json!({"$ref": "#/$defs/a9", "$defs": schema["$defs"]})).unwrap().0, "ref-explosion");
    }

    #[test]
    fn long_chains_are_no_recursion() {
        let mut defs = serde_json::Map::new();
        for i in 0..50_000 {
            defs.insert(format!("a{i}"), json!({"$ref": format!("#/$defs/a{}", i + 1)}));
        }
        defs.insert("a50000".to_owned(), json!({}));
        assert_eq!(code(&json!({"$ref": "#/$defs/a0", "$defs": defs})), None);
    }
}
