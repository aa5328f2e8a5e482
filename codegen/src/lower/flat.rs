//! Plain schemas that hold together, flattened: what all their keywords say about the type of a value.

use std::collections::BTreeSet;

use celerysalt_contract::Draft;
use serde_json::Value;

use super::{
    kinds::Kinds,
    parts::{Input, Part, union_matters},
};

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
    /// Whether integers are within 64 bits, below and above.
    pub(crate) bounded: (bool, bool),
    /// Strings that are known, of some that may become more: `x-extensible-enum`.
    pub(crate) extensible: Option<Vec<&'a str>>,
    /// Nothing is said of the type, and all of what is said is about objects.
    pub(crate) about_objects: bool,
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
            bounded: (false, false),
            extensible: None,
            about_objects: false,
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
        let constant = members.get("const").filter(|_| input.draft >= Draft::Draft6).into_iter();
        let listed = members.get("enum").and_then(Value::as_array);
        for values in listed.map(|values| values.iter().collect()).into_iter().chain(constant.map(|value| vec![value]))
        {
            self.restrict(values);
        }
        // One schema names each property once, so only those of the schemas before are looked through.
        let before = self.properties.len();
        for (key, schema) in input.members(part, "properties") {
            declare(&mut self.properties, before, key, schema);
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
        self.add_bounds(part);
        let discriminator = members.get("discriminator").and_then(|value| value.get("propertyName"));
        self.discriminator = self.discriminator.or(discriminator.and_then(Value::as_str));
    }

    /// Bounds of numbers, and the formats that say how many bits an integer has.
    fn add_bounds(&mut self, part: &Part<'a>) {
        const SMALL: [&str; 7] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"];
        /// Below two to the power of 63, and exact as a float.
        const LIMIT: f64 = 9_223_372_036_854_774_784.0;
        let number = |keyword: &str| part.schema.get(keyword).filter(|bound| bound.is_number());
        let within =
            |bound: &Value| bound.as_i64().is_some() || bound.as_f64().is_some_and(|bound| bound.abs() <= LIMIT);
        self.bounded.0 |= ["minimum", "exclusiveMinimum"].into_iter().filter_map(number).any(within);
        self.bounded.1 |= ["maximum", "exclusiveMaximum"].into_iter().filter_map(number).any(within);
        if part.schema.get("format").and_then(Value::as_str).is_some_and(|format| SMALL.contains(&format)) {
            self.bounded = (true, true);
        }
        let known = part.schema.get("x-extensible-enum").and_then(Value::as_array);
        let known: Option<Vec<&str>> = known.and_then(|known| known.iter().map(Value::as_str).collect());
        self.extensible = self.extensible.take().or(known.filter(|known| !known.is_empty()));
    }

    /// Whether 64 bits hold every integer that is allowed.
    pub(crate) fn is_small(&self) -> bool {
        let listed = self.values.as_ref().is_some_and(|values| {
            values.iter().filter(|value| value.is_number()).all(|value| value.as_i64().is_some())
        });
        self.bounded == (true, true) || listed
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
            let known = keyword == "additionalProperties" || input.draft >= Draft::Draft201909;
            match part.at(keyword).filter(|_| known) {
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
            let parts = part.at(keyword).map(|branch| input.parts(&[branch]).all).unwrap_or_default();
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
                for part in input.parts(&[schema]).all {
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

    fn conclude(&mut self) {
        let object = !self.properties.is_empty()
            || !self.conditional.is_empty()
            || !self.required.is_empty()
            || !self.additional.is_empty()
            || !self.patterns.is_empty()
            || self.closed;
        let array = !self.tuple.is_empty() || !self.items.is_empty();
        self.about_objects = self.kinds == Kinds::ALL && object && !array && self.values.is_none();
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

fn declare<'a>(properties: &mut Vec<(&'a str, Vec<Part<'a>>)>, before: usize, key: &'a str, schema: Part<'a>) {
    match properties.iter_mut().take(before).find(|(known, _)| *known == key) {
        Some((_, schemas)) => schemas.push(schema),
        None => properties.push((key, vec![schema])),
    }
}
