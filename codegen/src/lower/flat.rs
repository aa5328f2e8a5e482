//! Schemas that hold together, flattened: references followed, `allOf` dissolved, keywords gathered.

use std::collections::BTreeSet;

use celerysalt_contract::{Draft, Source};
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

    fn at(&self, keyword: &str) -> Option<Self> {
        Some(Self::new(self.schema.get(keyword)?, format!("{}/{}", self.pointer, escape(keyword))))
    }

    fn item(&self, index: usize) -> Option<Self> {
        Some(Self::new(self.schema.get(index)?, format!("{}/{index}", self.pointer)))
    }

    fn items(&self) -> Vec<Self> {
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
    pub(crate) source: Option<&'a Source>,
    pub(crate) anchors: Vec<(String, String)>,
}

/// Schemas that all apply to one value, none of them a reference or an `allOf` any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) parts: Vec<Part<'a>>,
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
    pub(crate) fn new(root: &'a Value, draft: Draft, source: Option<&'a Source>) -> Self {
        let mut anchors = Vec::new();
        find_anchors(root, draft, String::new(), &mut anchors);
        Self { root, draft, source, anchors }
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
        self.expand(entries, &mut visited, &mut result.parts);
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
            if let Some(pointer) = members.get(keyword).and_then(Value::as_str).and_then(|text| self.resolve(text)) {
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
                let written = self.source.filter(|source| source.value().pointer(&pointer).is_some());
                let offset = written.map_or(0, |source| source.key_span_of(&pointer).offset);
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
        find_anchors(subschema, draft, format!("{pointer}{}", place.pointer()), anchors);
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

/// The types of JSON, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(2);
    pub(crate) const INTEGER: Self = Self(4);
    /// Every number, integers too.
    pub(crate) const NUMBER: Self = Self(4 | 8);
    pub(crate) const STRING: Self = Self(16);
    pub(crate) const ARRAY: Self = Self(32);
    pub(crate) const OBJECT: Self = Self(64);
    pub(crate) const ALL: Self = Self(127);
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::NONE,
        }
    }

    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|n| n.fract() != 0.0) => Self(8),
            Value::Number(_) => Self::INTEGER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Everything that [`Parts`] say about the type of a value.
#[derive(Clone, Debug)]
pub(crate) struct Flat<'a> {
    pub(crate) kinds: Kinds,
    /// The values allowed, if they are counted.
    pub(crate) values: Option<Vec<&'a Value>>,
    /// Declared properties; several schemas for one when a base declares it too.
    pub(crate) properties: Vec<(&'a str, Vec<Part<'a>>)>,
    /// Properties declared under a condition.
    pub(crate) conditional: Vec<(&'a str, Vec<Part<'a>>)>,
    pub(crate) required: BTreeSet<&'a str>,
    pub(crate) closed: bool,
    /// The schemas of undeclared properties.
    pub(crate) additional: Vec<Part<'a>>,
    /// The schemas of properties declared by pattern.
    pub(crate) patterns: Vec<Part<'a>>,
    /// The schemas of the first items of an array.
    pub(crate) tuple: Vec<Part<'a>>,
    /// The schemas of further items.
    pub(crate) items: Vec<Part<'a>>,
    pub(crate) min_items: u64,
    /// Whether an array ends where the tuple does.
    pub(crate) items_end: bool,
    pub(crate) unions: Vec<Vec<Part<'a>>>,
    pub(crate) discriminator: Option<&'a str>,
}

impl<'a> Flat<'a> {
    pub(crate) fn of(input: &Input<'a>, parts: &[Part<'a>]) -> Self {
        let mut flat = Self {
            kinds: Kinds::ALL,
            values: None,
            properties: Vec::new(),
            conditional: Vec::new(),
            required: BTreeSet::new(),
            closed: false,
            additional: Vec::new(),
            patterns: Vec::new(),
            tuple: Vec::new(),
            items: Vec::new(),
            min_items: 0,
            items_end: false,
            unions: Vec::new(),
            discriminator: None,
        };
        for part in parts {
            flat.add(input, part);
        }
        flat.conclude();
        flat
    }

    fn add(&mut self, input: &Input<'a>, part: &Part<'a>) {
        let Value::Object(members) = part.schema else {
            self.kinds = Kinds::NONE;
            return;
        };
        match members.get("type") {
            Some(Value::String(name)) => self.kinds = self.kinds.and(Kinds::named(name)),
            Some(Value::Array(names)) => {
                let named = names.iter().filter_map(Value::as_str).map(Kinds::named);
                self.kinds = self.kinds.and(named.fold(Kinds::NONE, Kinds::or));
            }
            _ => (),
        }
        let constant = members.get("const").into_iter();
        let listed = members.get("enum").and_then(Value::as_array);
        for values in listed.map(|values| values.iter().collect()).into_iter().chain(constant.map(|value| vec![value]))
        {
            self.restrict(values);
        }
        for (key, schema) in input.members(part, "properties") {
            declare(&mut self.properties, key, schema);
        }
        self.required
            .extend(members.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
        self.add_undeclared(input, part);
        self.add_items(input, part);
        self.add_conditional(input, part);
        if !part.taken_apart {
            for keyword in ["anyOf", "oneOf"] {
                if let Some(union) = part.at(keyword).filter(|union| union_matters(union.schema, input.draft)) {
                    self.unions.push(union.items());
                }
            }
        }
        let discriminator = members.get("discriminator").and_then(|value| value.get("propertyName"));
        self.discriminator = self.discriminator.or(discriminator.and_then(Value::as_str));
    }

    fn restrict(&mut self, values: Vec<&'a Value>) {
        let kept = match self.values.take() {
            Some(known) => known.into_iter().filter(|value| values.contains(value)).collect(),
            None => values,
        };
        self.values = Some(kept);
    }

    fn add_undeclared(&mut self, input: &Input<'a>, part: &Part<'a>) {
        self.patterns.extend(input.members(part, "patternProperties").into_iter().map(|(_, schema)| schema));
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            match part.at(keyword) {
                // What alternatives declare is evaluated too, so only the older keyword closes this very object.
                Some(Part { schema: Value::Bool(false), .. }) => self.closed |= keyword == "additionalProperties",
                Some(schema) if schema.schema.as_object().is_some_and(|members| !members.is_empty()) => {
                    self.additional.push(schema);
                }
                _ => (),
            }
        }
    }

    fn add_items(&mut self, input: &Input<'a>, part: &Part<'a>) {
        let array_form = part.at("items").filter(|items| items.schema.is_array());
        let (first, rest) = match array_form {
            Some(first) => (Some(first), part.at("additionalItems")),
            None if input.draft >= Draft::Draft202012 => (part.at("prefixItems"), part.at("items")),
            None => (None, part.at("items")),
        };
        if let Some(first) = first.filter(|_| self.tuple.is_empty()) {
            self.tuple = first.items();
        }
        match rest {
            Some(Part { schema: Value::Bool(false), .. }) => self.items_end = true,
            Some(rest) if rest.schema.is_object() => self.items.push(rest),
            _ => (),
        }
        let bound = |keyword: &str| part.schema.get(keyword).and_then(Value::as_u64);
        self.min_items = self.min_items.max(bound("minItems").unwrap_or(0));
        if !self.tuple.is_empty() && bound("maxItems").is_some_and(|max| usize::try_from(max) == Ok(self.tuple.len())) {
            self.items_end = true;
        }
    }

    /// Properties that are declared only where a condition holds; elsewhere they may be anything.
    fn add_conditional(&mut self, input: &Input<'a>, part: &Part<'a>) {
        let branch = |keyword: &str| -> Vec<(&'a str, Part<'a>)> {
            let parts = part.at(keyword).map(|branch| input.parts(&[branch]).parts).unwrap_or_default();
            parts.iter().flat_map(|part| input.members(part, "properties")).collect()
        };
        let (then, otherwise) = (branch("then"), branch("else"));
        for (key, schema) in then.iter().chain(&otherwise) {
            let both = then.iter().any(|(known, _)| known == key) && otherwise.iter().any(|(known, _)| known == key);
            self.declare_conditional(key, both.then(|| schema.clone()));
        }
        for (key, _) in branch("if") {
            self.declare_conditional(key, None);
        }
        for keyword in ["dependentSchemas", "dependencies"] {
            for (_, schema) in input.members(part, keyword) {
                for part in input.parts(&[schema]).parts {
                    for (key, _) in input.members(&part, "properties") {
                        self.declare_conditional(key, None);
                    }
                }
            }
        }
    }

    fn declare_conditional(&mut self, key: &'a str, schema: Option<Part<'a>>) {
        let anything = Part::new(&Value::Bool(true), String::new());
        let schema = schema.unwrap_or(anything);
        match self.conditional.iter_mut().find(|(known, _)| *known == key) {
            Some((_, schemas)) => schemas.push(schema),
            None => self.conditional.push((key, vec![schema])),
        }
    }

    /// A schema with `properties` and no `type` means an object, whatever the letter of the standard.
    fn conclude(&mut self) {
        let object = !self.properties.is_empty()
            || !self.conditional.is_empty()
            || !self.required.is_empty()
            || !self.additional.is_empty()
            || !self.patterns.is_empty()
            || self.closed;
        let array = !self.tuple.is_empty() || !self.items.is_empty();
        if self.kinds == Kinds::ALL && object != array {
            self.kinds = if object { Kinds::OBJECT } else { Kinds::ARRAY };
        }
        if let Some(values) = &mut self.values {
            let kinds = self.kinds;
            values.retain(|value| kinds.has(Kinds::of(value)));
            self.kinds = values.iter().map(|value| Kinds::of(value)).fold(Kinds::NONE, Kinds::or).and(kinds);
        }
        let declared = |key: &str| self.properties.iter().any(|(known, _)| *known == key);
        self.conditional.retain(|(key, _)| !declared(key));
    }

    /// Whether it is an object of which nothing is declared: a map.
    pub(crate) fn is_map(&self) -> bool {
        self.properties.is_empty() && self.conditional.is_empty() && self.required.is_empty()
    }

    /// The schemas of a property, none when it isn't declared.
    pub(crate) fn property(&self, key: &str) -> Option<&[Part<'a>]> {
        self.properties.iter().find(|(known, _)| *known == key).map(|(_, schemas)| schemas.as_slice())
    }

    /// The strings that a value must be one of, if it must.
    pub(crate) fn strings(&self) -> Option<Vec<&'a str>> {
        self.values.as_ref()?.iter().map(|value| value.as_str()).collect()
    }
}

fn declare<'a>(properties: &mut Vec<(&'a str, Vec<Part<'a>>)>, key: &'a str, schema: Part<'a>) {
    match properties.iter_mut().find(|(known, _)| *known == key) {
        Some((_, schemas)) => schemas.push(schema),
        None => properties.push((key, vec![schema])),
    }
}
