//! Schemas become formulas: references, types, values, and the keywords that join schemas.
//!
//! The keywords of numbers and texts are here, too; those of objects and arrays have a file each. A keyword whose value
//! is not what the draft says becomes something that is not understood, never something that is skipped.

use std::collections::BTreeSet;

use num_rational::BigRational;
use serde_json::{Map, Value};

use super::{
    exact::{Exact, Kind, rational},
    formula::{Closing, EVERY_KIND, FALSE, Id, Node, Rule, Site, TRUE, bit},
    solve::Solver,
};
use crate::{Draft, Formats, formats::Format, source::escape};

/// The deepest that schemas are taken together before the rest waits until it is asked for.
const MAX_DEPTH: usize = 60;
/// The most branches of a `oneOf`.
const MAX_ONE_OF: usize = 100;

/// A schema on its way to becoming a formula.
pub(super) struct Schema<'a> {
    pub(super) document: usize,
    pub(super) pointer: String,
    pub(super) members: &'a Map<String, Value>,
    pub(super) draft: Draft,
    /// Whether the parts of its instances have declared properties only.
    pub(super) closed: bool,
    pub(super) depth: usize,
}

impl<'a> Schema<'a> {
    pub(super) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.members.get(keyword)
    }

    /// What stands at these keys from here.
    fn at(&self, keys: &[&str]) -> Option<&'a Value> {
        let (keyword, rest) = keys.split_first()?;
        rest.iter().try_fold(self.members.get(*keyword)?, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            other => other.get(key),
        })
    }

    /// The pointer to it.
    fn pointer_to(&self, keys: &[&str]) -> String {
        let mut pointer = self.pointer.clone();
        for key in keys {
            pointer.push('/');
            pointer.push_str(&escape(key));
        }
        pointer
    }

    /// The keyword's value where the draft has it.
    pub(super) fn since(&self, draft: Draft, keyword: &str) -> Option<&'a Value> {
        if self.draft >= draft { self.members.get(keyword) } else { None }
    }

    /// Whether a reference beside them takes the meaning of all other keywords.
    pub(super) fn is_hidden(&self) -> bool {
        self.draft.ref_hides_siblings() && self.members.contains_key("$ref")
    }

    /// The count that a keyword gives, if it is there; what is there instead of a count is an error.
    pub(super) fn count(&self, keyword: &str) -> Option<Result<u64, ()>> {
        self.get(keyword).map(|value| count(value).ok_or(()))
    }
}

/// A count as drafts allow it: `2` or `2.0`.
fn count(value: &Value) -> Option<u64> {
    let number = rational(value.as_number()?)?;
    (number.is_integer() && number >= BigRational::from_integer(0.into())).then(|| super::number::count_of(&number))
}

impl<'a> Solver<'a> {
    /// The formula of the whole document.
    pub(super) fn root(&mut self, document: usize) -> Id {
        if let Some(known) = self.roots.get(&document) {
            return *known;
        }
        let closed = self.documents.get(document).is_some_and(|document| document.closed);
        let closing = if closed { Closing::Whole } else { Closing::Written };
        let root = self.compile((document, String::new()), closing, 0);
        self.roots.insert(document, root);
        root
    }

    /// The formula of a place that was put off.
    pub(super) fn resolve(&mut self, id: Id) -> Id {
        let Node::Later { site, closing, holds } = self.arena.node(id).clone() else { return id };
        let key = (site, closing);
        let positive = match self.taken.get(&key) {
            Some(known) => *known,
            None => self.follow(key, 0),
        };
        if holds { positive } else { self.arena.not(positive) }
    }

    /// A subschema that looks at a part of the value, at these keys from the schema.
    pub(super) fn part(&mut self, schema: &Schema<'a>, keys: &[&str]) -> Id {
        let closing = if schema.closed { Closing::Whole } else { Closing::Written };
        self.compile_as((schema.document, schema.pointer_to(keys)), schema.at(keys), closing, schema.depth + 1)
    }

    /// A subschema that looks at the same value. Its object is closed by whoever is outermost.
    pub(super) fn same(&mut self, schema: &Schema<'a>, keys: &[&str]) -> Id {
        let closing = if schema.closed { Closing::Inside } else { Closing::Written };
        self.compile_as((schema.document, schema.pointer_to(keys)), schema.at(keys), closing, schema.depth + 1)
    }

    /// A subschema of the same value, without closing anything.
    pub(super) fn as_written(&mut self, schema: &Schema<'a>, rest: &str) -> Id {
        self.compile((schema.document, format!("{}{rest}", schema.pointer)), Closing::Written, schema.depth + 1)
    }

    /// Now, or later where schemas nest deeply.
    pub(super) fn compile(&mut self, site: Site, closing: Closing, depth: usize) -> Id {
        let value = self.documents.get(site.0).and_then(|document| document.at(&site.1));
        self.compile_as(site, value, closing, depth)
    }

    /// The same of a value that is known to stand there.
    fn compile_as(&mut self, site: Site, value: Option<&'a Value>, closing: Closing, depth: usize) -> Id {
        if depth >= MAX_DEPTH {
            return self.arena.intern(Node::Later { site, closing, holds: true });
        }
        let (value, members, draft) = match (value, self.documents.get(site.0)) {
            (Some(value @ Value::Object(members)), Some(document)) => (value, members, document.draft),
            (Some(Value::Bool(true)), _) => return TRUE,
            (Some(Value::Bool(false)), _) => return FALSE,
            _ => return self.unknown(&format!("{}:{}", site.0, site.1)),
        };
        if let Some(known) = self.read_before(&site, value, closing) {
            return known;
        }
        let mut schema = Schema { document: site.0, pointer: site.1, members, draft, closed: false, depth };
        schema.closed = closing != Closing::Written && !(closing == Closing::Whole && self.overlaps(&schema));
        let mut parts = Vec::new();
        self.references(&schema, &mut parts);
        if !schema.is_hidden() {
            self.values(&schema, &mut parts);
            self.joins(&schema, &mut parts);
            self.numbers(&schema, &mut parts);
            self.texts(&schema, &mut parts);
            self.object_rules(&schema, &mut parts);
            self.array_rules(&schema, &mut parts);
        }
        if closing == Closing::Whole {
            let closed = self.close(&schema);
            parts.push(closed);
        }
        let formula = self.arena.all(parts);
        self.keep_read((schema.document, schema.pointer), value, closing, formula);
        formula
    }

    /// The schema at a place; none for anything but an object.
    pub(super) fn schema(&self, site: &Site, depth: usize) -> Option<Schema<'a>> {
        let document = self.documents.get(site.0)?;
        let members = document.at(&site.1)?.as_object()?;
        let draft = document.draft;
        Some(Schema { document: site.0, pointer: site.1.clone(), members, draft, closed: false, depth })
    }

    /// Something that is not understood; equal keys are equal.
    pub(super) fn unknown(&mut self, key: &str) -> Id {
        self.arena.intern(Node::Opaque { key: key.to_owned(), holds: true })
    }

    /// A keyword whose value makes no sense here.
    pub(super) fn odd(&mut self, schema: &Schema<'a>, keyword: &str) -> Id {
        self.unknown(&format!("{keyword}:{}", schema.get(keyword).unwrap_or(&Value::Null)))
    }

    fn references(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        for (keyword, reference, target) in self.targets(schema) {
            let part = match target {
                Some(target) => self.referred(schema, target),
                // Both documents mean the same by a reference to what neither has.
                None => self.unknown(&format!("{keyword} {reference}")),
            };
            parts.push(part);
        }
    }

    /// The references of a schema, and where in the document they lead.
    pub(super) fn targets(&self, schema: &Schema<'a>) -> Vec<(&'static str, &'a str, Option<Site>)> {
        let Some(document) = self.documents.get(schema.document) else { return Vec::new() };
        let mut targets = Vec::new();
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let known = match keyword {
                "$ref" => true,
                "$dynamicRef" => schema.draft >= Draft::Draft202012,
                _ => schema.draft == Draft::Draft201909,
            };
            let Some(value) = schema.get(keyword).filter(|_| known) else { continue };
            let reference = value.as_str().unwrap_or_default();
            let target = match keyword {
                "$ref" => document.target(&schema.pointer, reference),
                "$dynamicRef" => document.dynamic_target(&schema.pointer, reference),
                _ => document.recursive_target(),
            };
            targets.push((keyword, reference, target.map(|target| (schema.document, target))));
        }
        targets
    }

    /// References that are not part of a circle are taken in at once, so that equal schemas meet.
    fn referred(&mut self, schema: &Schema<'a>, site: Site) -> Id {
        let site = self.first_with(site);
        let closing = if schema.closed { Closing::Inside } else { Closing::Written };
        if self.following.contains(&site) || schema.depth >= MAX_DEPTH {
            return self.arena.intern(Node::Later { site, closing, holds: true });
        }
        let key = (site, closing);
        match self.taken.get(&key) {
            Some(known) => *known,
            None => self.follow(key, schema.depth + 1),
        }
    }

    fn follow(&mut self, key: (Site, Closing), depth: usize) -> Id {
        self.following.push(key.0.clone());
        let formula = self.compile(key.0.clone(), key.1, depth);
        self.following.pop();
        if !matches!(self.arena.node(formula), Node::Later { .. }) {
            self.taken.insert(key, formula);
        }
        formula
    }

    fn values(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        match schema.get("type") {
            None => {}
            Some(Value::String(name)) => {
                let part = self.type_of(schema, name);
                parts.push(part);
            }
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                let types: Vec<Id> = names.into_iter().map(|name| self.type_of(schema, name)).collect();
                let part = self.arena.any(types);
                parts.push(part);
            }
            Some(_) => {
                let part = self.odd(schema, "type");
                parts.push(part);
            }
        }
        if let Some(value) = schema.get("enum") {
            let values: Option<BTreeSet<Exact>> = value.as_array().and_then(|values| {
                let place = |at| format!("/enum/{at}");
                values.iter().enumerate().map(|(at, value)| self.exact(schema, &place(at), value)).collect()
            });
            let part = match values {
                Some(values) => self.arena.one_of(values),
                None => self.odd(schema, "enum"),
            };
            parts.push(part);
        }
        if let Some(value) = schema.since(Draft::Draft6, "const") {
            let part = match self.exact(schema, "/const", value) {
                Some(value) => self.arena.one_of(BTreeSet::from([value])),
                None => self.odd(schema, "const"),
            };
            parts.push(part);
        }
    }

    /// A value of the schema with all the digits that its text has.
    fn exact(&self, schema: &Schema<'a>, rest: &str, value: &Value) -> Option<Exact> {
        let document = self.documents.get(schema.document)?;
        document.digits.value(&format!("{}{rest}", schema.pointer), value)
    }

    fn bound(&self, schema: &Schema<'a>, keyword: &str, value: &Value) -> Option<BigRational> {
        let (document, number) = (self.documents.get(schema.document)?, value.as_number()?);
        document.digits.number(&format!("{}/{keyword}", schema.pointer), number)
    }

    fn type_of(&mut self, schema: &Schema<'a>, name: &str) -> Id {
        let kind = match name {
            "null" => Kind::Null,
            "boolean" => Kind::Bool,
            "number" => Kind::Number,
            "string" => Kind::Text,
            "array" => Kind::Array,
            "object" => Kind::Object,
            "integer" if schema.draft == Draft::Draft4 => {
                self.dotted = true;
                return self.arena.either(Rule::Plain(true), false);
            }
            "integer" => return self.arena.either(Rule::Multiple(BigRational::from_integer(1.into())), false),
            _ => return self.odd(schema, "type"),
        };
        self.arena.intern(Node::Kinds(bit(kind)))
    }

    fn joins(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(value) = schema.get(keyword) else { continue };
            let Some(branches) = value.as_array().filter(|branches| branches.len() <= MAX_ONE_OF || keyword != "oneOf")
            else {
                let part = self.odd(schema, keyword);
                parts.push(part);
                continue;
            };
            let branches: Vec<Id> =
                (0..branches.len()).map(|at| self.same(schema, &[keyword, &at.to_string()])).collect();
            let part = match keyword {
                "allOf" => self.arena.all(branches),
                "anyOf" => self.arena.any(branches),
                _ => {
                    // The negative parts are of the schemas as they are written: closing does not make room.
                    let written: Vec<Id> = if schema.closed {
                        (0..branches.len()).map(|at| self.as_written(schema, &format!("/oneOf/{at}"))).collect()
                    } else {
                        branches.clone()
                    };
                    self.exactly_one(&branches, &written)
                }
            };
            parts.push(part);
        }
        if schema.get("not").is_some() {
            let inner = self.as_written(schema, "/not");
            let part = self.arena.not(inner);
            parts.push(part);
        }
        if schema.since(Draft::Draft7, "if").is_some() {
            let condition = self.as_written(schema, "/if");
            let [then, otherwise] = ["then", "else"]
                .map(|keyword| if schema.get(keyword).is_some() { self.same(schema, &[keyword]) } else { TRUE });
            let not = self.arena.not(condition);
            let yes = self.arena.all([condition, then]);
            let no = self.arena.all([not, otherwise]);
            let part = self.arena.any([yes, no]);
            parts.push(part);
        }
    }

    fn exactly_one(&mut self, branches: &[Id], written: &[Id]) -> Id {
        let ways: Vec<Id> = (0..branches.len())
            .map(|one| {
                let mut parts: Vec<Id> = branches.get(one).copied().into_iter().collect();
                for (at, other) in written.iter().enumerate() {
                    if at != one {
                        let not = self.arena.not(*other);
                        parts.push(not);
                    }
                }
                self.arena.all(parts)
            })
            .collect();
        let exactly = self.arena.any(ways);
        // The opposite is said outright: two of them, or none. As the opposite of the above it has many more cases.
        let mut wrong = Vec::new();
        for (at, first) in written.iter().enumerate() {
            for second in written.iter().skip(at + 1) {
                let both = self.arena.all([*first, *second]);
                wrong.push(both);
            }
        }
        let none: Vec<Id> = written.iter().map(|branch| self.arena.not(*branch)).collect();
        let none = self.arena.all(none);
        wrong.push(none);
        let wrong = self.arena.any(wrong);
        if branches == written {
            self.arena.oppose(exactly, wrong);
        }
        exactly
    }

    fn numbers(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
            let Some(value) = schema.get(keyword) else { continue };
            if value.is_boolean() && schema.draft == Draft::Draft4 {
                continue;
            }
            let Some(bound) = self.bound(schema, keyword, value) else {
                let part = self.odd(schema, keyword);
                parts.push(part);
                continue;
            };
            let flag = |keyword: &str| schema.draft == Draft::Draft4 && schema.get(keyword) == Some(&Value::Bool(true));
            let rule = match keyword {
                "minimum" => Rule::Low { bound, strict: flag("exclusiveMinimum") },
                "maximum" => Rule::High { bound, strict: flag("exclusiveMaximum") },
                "exclusiveMinimum" if schema.draft > Draft::Draft4 => Rule::Low { bound, strict: true },
                "exclusiveMaximum" if schema.draft > Draft::Draft4 => Rule::High { bound, strict: true },
                "multipleOf" => Rule::Multiple(bound),
                _ => continue,
            };
            let part = self.arena.rule(rule);
            parts.push(part);
        }
    }

    fn texts(&mut self, schema: &Schema<'a>, parts: &mut Vec<Id>) {
        for keyword in ["minLength", "maxLength"] {
            let part = match schema.count(keyword) {
                None => continue,
                Some(Ok(length)) if keyword == "minLength" => self.arena.rule(Rule::Longer(length)),
                Some(Ok(length)) => self.arena.rule(Rule::Shorter(length)),
                Some(Err(())) => self.odd(schema, keyword),
            };
            parts.push(part);
        }
        if let Some(value) = schema.get("pattern") {
            let part = match value.as_str() {
                Some(pattern) => self.arena.matching(pattern),
                None => self.odd(schema, "pattern"),
            };
            parts.push(part);
        }
        let formats = self.documents.get(schema.document).map_or(Formats::Annotation, |document| document.formats);
        if let Some(format) = Format::of(formats, schema.draft, schema.members) {
            // What takes more is said as well: whatever is of the format is of those.
            let all = format.wider(formats, schema.draft).chain([format]);
            let all: Vec<Id> = all.map(|format| self.texts_of(format, schema.draft)).collect();
            let understood = self.arena.all(all);
            let other = self.arena.intern(Node::Kinds(EVERY_KIND & !bit(Kind::Text)));
            let part = self.arena.any([other, understood]);
            parts.push(part);
        }
        // Drafts 6 and 7 let validators look into texts, and this one does.
        if matches!(schema.draft, Draft::Draft6 | Draft::Draft7) {
            let content = ["contentEncoding", "contentMediaType"].map(|keyword| schema.get(keyword));
            if content.iter().any(Option::is_some) {
                let understood = self.unknown(&format!("content:{content:?}"));
                let other = self.arena.intern(Node::Kinds(EVERY_KIND & !bit(Kind::Text)));
                let part = self.arena.any([other, understood]);
                parts.push(part);
            }
        }
    }

    /// The texts of a format: those inside for sure, and of those around it the ones that are asked about one by one.
    fn texts_of(&mut self, format: Format, draft: Draft) -> Id {
        let language = format.language();
        let around = language.around.as_deref().map_or(TRUE, |around| self.arena.matching(around));
        if language.is_exact() {
            return around;
        }
        let inside = language.inside.as_deref().map_or(FALSE, |inside| self.arena.matching(inside));
        let key = format.key(draft);
        let asked = self.unknown(&key);
        self.formats.insert(key, format);
        let some = self.arena.any([inside, asked]);
        self.arena.all([around, some])
    }
}
