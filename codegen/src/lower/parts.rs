//! Schemas that hold together: references followed and `allOf` dissolved, until plain schemas are left.

use std::collections::BTreeSet;

use celerysalt_contract::{Document, Draft};
use serde_json::{Map, Value};

/// A schema and where it stands in its document.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) schema: &'a Value,
    pub(crate) pointer: String,
    /// Taken apart already: what it refers to, its `allOf` and its alternatives are looked after elsewhere.
    pub(crate) taken_apart: bool,
}

impl<'a> Part<'a> {
    pub(crate) fn new(schema: &'a Value, pointer: String) -> Self {
        Self { schema, pointer, taken_apart: false }
    }

    pub(crate) fn at(&self, keyword: &str) -> Option<Self> {
        Some(Self::new(self.schema.get(keyword)?, format!("{}/{}", self.pointer, escape(keyword))))
    }

    fn item(&self, index: usize) -> Option<Self> {
        Some(Self::new(self.schema.get(index)?, format!("{}/{index}", self.pointer)))
    }

    pub(crate) fn items(&self) -> Vec<Self> {
        (0..self.schema.as_array().map_or(0, Vec::len)).filter_map(|i| self.item(i)).collect()
    }

    fn text(&self, keyword: &str) -> Option<&'a str> {
        self.schema.get(keyword)?.as_str()
    }
}

/// A document to lower.
pub(crate) struct Input<'a> {
    pub(crate) root: &'a Value,
    pub(crate) draft: Draft,
    /// Where the members of the document stand in their file, for their order.
    pub(crate) document: Option<&'a Document>,
    pub(crate) anchors: Vec<(String, String)>,
}

/// Schemas that all apply to one value, none of them a reference or an `allOf` any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) all: Vec<Part<'a>>,
    /// Where the one reference led to, if there was nothing but it.
    pub(crate) target: Option<String>,
    /// The description closest to the place of use.
    pub(crate) doc: String,
    /// The description of the type itself.
    pub(crate) own_doc: String,
    /// The default closest to the place of use.
    pub(crate) default: Option<&'a Value>,
}

enum Entry<'a> {
    Plain(Part<'a>),
    Reference(String),
}

impl<'a> Input<'a> {
    pub(crate) fn new(root: &'a Value, draft: Draft, document: Option<&'a Document>) -> Self {
        let mut anchors = Vec::new();
        find_anchors(root, draft, String::new(), &mut anchors);
        Self { root, draft, document, anchors }
    }

    /// What `conjunction` comes down to.
    pub(crate) fn parts(&self, conjunction: &[Part<'a>]) -> Parts<'a> {
        let mut result = Parts::default();
        let mut visited = BTreeSet::new();
        let mut entries = Vec::new();
        let mut sites: Vec<Part<'a>> = conjunction.to_vec();
        loop {
            for site in &sites {
                annotate(site, &mut result);
            }
            entries.clear();
            for site in &sites {
                self.collect(site, &mut entries);
            }
            drop_redundant_types(&mut entries);
            let [Entry::Reference(pointer)] = entries.as_slice() else { break };
            if !visited.insert(pointer.clone()) {
                break;
            }
            let Some(target) = self.at(pointer) else { break };
            result.target = Some(pointer.clone());
            sites = vec![target];
        }
        result.own_doc = match sites.as_slice() {
            [site] if result.target.is_some() => site.text("description").unwrap_or_default().to_owned(),
            _ => result.doc.clone(),
        };
        self.expand(entries, &mut visited, &mut result.all);
        result
    }

    fn expand(&self, entries: Vec<Entry<'a>>, visited: &mut BTreeSet<String>, parts: &mut Vec<Part<'a>>) {
        for entry in entries {
            match entry {
                Entry::Plain(part) => {
                    let known = |p: &Part<'_>| p.pointer == part.pointer && p.taken_apart == part.taken_apart;
                    if !parts.iter().any(known) {
                        parts.push(part);
                    }
                }
                Entry::Reference(pointer) => {
                    if let Some(target) = self.at(&pointer).filter(|_| visited.insert(pointer)) {
                        let mut entries = Vec::new();
                        self.collect(&target, &mut entries);
                        self.expand(entries, visited, parts);
                    }
                }
            }
        }
    }

    /// Takes a schema apart: what it refers to first, so that the fields of a base come first.
    fn collect(&self, part: &Part<'a>, entries: &mut Vec<Entry<'a>>) {
        let members = match part.schema {
            Value::Object(members) => members,
            Value::Bool(false) => return entries.push(Entry::Plain(part.clone())),
            _ => return,
        };
        if part.taken_apart {
            return entries.push(Entry::Plain(part.clone()));
        }
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let known = match keyword {
                "$dynamicRef" => self.draft == Draft::Draft202012,
                "$recursiveRef" => self.draft == Draft::Draft201909,
                _ => true,
            };
            let reference = members.get(keyword).filter(|_| known);
            if let Some(pointer) = reference.and_then(Value::as_str).and_then(|text| self.resolve(text)) {
                let same = |entry: &Entry<'_>| matches!(entry, Entry::Reference(known) if *known == pointer);
                if !entries.iter().any(same) {
                    entries.push(Entry::Reference(pointer));
                }
            }
        }
        if members.contains_key("$ref") && self.draft.ref_hides_siblings() {
            return;
        }
        for member in part.at("allOf").iter().flat_map(Part::items) {
            self.collect(&member, entries);
        }
        if is_structural(members, self.draft) {
            entries.push(Entry::Plain(part.clone()));
        }
    }

    fn resolve(&self, reference: &str) -> Option<String> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.is_empty() || fragment.starts_with('/') {
            let pointer = percent_decoded(fragment);
            return self.root.pointer(&pointer).map(|_| pointer);
        }
        self.anchors.iter().find(|(name, _)| name == fragment).map(|(_, pointer)| pointer.clone())
    }

    fn at(&self, pointer: &str) -> Option<Part<'a>> {
        Some(Part::new(self.root.pointer(pointer)?, pointer.to_owned()))
    }

    /// The members of an object of schemas, in the order of their file where it is known, else by name.
    pub(crate) fn members(&self, part: &Part<'a>, keyword: &str) -> Vec<(&'a str, Part<'a>)> {
        let Some(holder) = part.at(keyword) else { return Vec::new() };
        let Value::Object(members) = holder.schema else { return Vec::new() };
        let mut sorted: Vec<_> = members
            .iter()
            .filter(|(_, schema)| schema.is_object() || schema.is_boolean())
            .map(|(key, schema)| {
                let pointer = format!("{}/{}", holder.pointer, escape(key));
                let written = self.document.map(|document| document.origin(&pointer));
                let written = written.filter(|(source, place)| source.value().pointer(place).is_some());
                let offset = written.map_or(0, |(source, place)| source.key_span_of(&place).offset);
                (offset, key.as_str(), Part::new(schema, pointer))
            })
            .collect();
        sorted.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        sorted.into_iter().map(|(_, key, part)| (key, part)).collect()
    }
}

fn annotate<'a>(site: &Part<'a>, result: &mut Parts<'a>) {
    if result.doc.is_empty() {
        site.text("description").unwrap_or_default().clone_into(&mut result.doc);
    }
    if result.default.is_none() {
        result.default = site.schema.get("default");
    }
}

/// Beside a reference, `"type": "object"` and the like say nothing new.
fn drop_redundant_types(entries: &mut Vec<Entry<'_>>) {
    if entries.iter().filter(|entry| matches!(entry, Entry::Reference(_))).count() == 1 {
        entries.retain(|entry| match entry {
            Entry::Reference(_) => true,
            Entry::Plain(part) => {
                let union = |key: &str| part.taken_apart && matches!(key, "anyOf" | "oneOf");
                let says = |key: &&String| STRUCTURAL.contains(&key.as_str()) && !union(key);
                let only_type = |members: &Map<String, Value>| {
                    members.get("type").is_some_and(Value::is_string) && members.keys().filter(says).count() == 1
                };
                !part.schema.as_object().is_some_and(only_type)
            }
        });
    }
}

const STRUCTURAL: [&str; 19] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "anyOf",
    "oneOf",
];

/// Whether a schema, its references and `allOf` aside, says anything about the type of a value.
fn is_structural(members: &Map<String, Value>, draft: Draft) -> bool {
    members.iter().any(|(key, value)| match key.as_str() {
        "anyOf" | "oneOf" => union_matters(value, draft),
        "unevaluatedProperties" | "unevaluatedItems" => false,
        "if" | "then" | "else" => value.get("properties").is_some() || value.get("$ref").is_some(),
        key => STRUCTURAL.contains(&key),
    })
}

/// Whether alternatives differ in more than which properties they require: those are for the validator alone.
pub(crate) fn union_matters(alternatives: &Value, draft: Draft) -> bool {
    fn shapes(schema: &Value, draft: Draft) -> bool {
        let Value::Object(members) = schema else { return false };
        let refers = ["$ref", "$dynamicRef", "$recursiveRef"].iter().any(|keyword| members.contains_key(*keyword));
        let all_of = members.get("allOf").and_then(Value::as_array);
        refers
            || all_of.is_some_and(|all| all.iter().any(|schema| shapes(schema, draft)))
            || members.iter().any(|(key, value)| match key.as_str() {
                "required" | "if" | "then" | "else" | "dependencies" | "dependentSchemas" => false,
                "anyOf" | "oneOf" => union_matters(value, draft),
                key => STRUCTURAL.contains(&key),
            })
    }
    alternatives.as_array().is_some_and(|all| all.iter().any(|schema| shapes(schema, draft)))
}

fn find_anchors(schema: &Value, draft: Draft, pointer: String, anchors: &mut Vec<(String, String)>) {
    let name = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
    let by_id = name("$id").or_else(|| name("id")).and_then(|id| id.strip_prefix('#'));
    for anchor in [name("$anchor"), name("$dynamicAnchor"), by_id].into_iter().flatten() {
        anchors.push((anchor.to_owned(), pointer.clone()));
    }
    celerysalt_contract::for_each_subschema(schema, draft, &mut |place, subschema| {
        find_anchors(subschema, draft, place.below(&pointer), anchors);
    });
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let digits = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            i += 3;
        } else {
            decoded.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

/// The last part of a pointer, as a name for what it points to.
pub(crate) fn name_of(pointer: &str) -> String {
    let last = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let file = last.rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".json").unwrap_or(file).to_owned()
}
