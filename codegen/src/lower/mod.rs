//! What typify can take: a document of any draft becomes a flat list of named types of the simplest kinds.
//!
//! Types say what a value is made of, the validator says which values are allowed: bounds, lengths, patterns,
//! formats, `not`, `contains` and conditions are left to it, and fields stay plain `String`, `i64` and `f64`.
//! Every value that the schema allows must fit its type; where Rust has no type for that, the value stays JSON.
//! Names are decided here, once, so that no two types of a document can meet in one.

mod flat;
mod kinds;
mod parts;
mod shape;
mod union;

use std::collections::{BTreeMap, BTreeSet};

use celerysalt_contract::{Document, Draft};
use serde_json::Value;

pub(crate) use self::shape::{
    Base, Field, Home, Item, Rank, Record, Shape, Space, Type, Union, Words, canonical, index_of, placeholder,
};
use self::{
    flat::Flat,
    kinds::{Kinds, Scalar},
    parts::{Input, Part, Parts, name_of},
};
use crate::names::type_name;

/// Types nested deeper than this, or more of them, stay JSON.
const MAX_DEPTH: usize = 100;
const MAX_ITEMS: usize = 2_000;
/// A type without a name gets one when it is made of more parts than this.
const MAX_INLINE: usize = 40;
/// Rust implements `Debug` and the like for tuples up to this length.
const MAX_TUPLE: usize = 12;

/// Lowers a document; its own type is called `name`. `plain` types hold what the schema names and nothing else.
///
/// The items have no final names yet: [`Space::name_items`].
pub(crate) fn lower(document: &Document, name: &str, plain: bool) -> Space {
    let mut space = Space { plain, ..lower_schema(&document.schema, document.draft, Some(document), name) };
    for item in &mut space.items {
        item.identity = item.identity.iter().map(|entry| identity(document, entry)).collect();
        item.identity.push(format!("{:?} {plain}", document.draft));
    }
    for base in &mut space.bases {
        for identity_of_base in &mut base.bases {
            *identity_of_base = identity_of_base.iter().map(|entry| identity(document, entry)).collect();
            identity_of_base.push(format!("{:?} {plain}", document.draft));
        }
    }
    space
}

/// One of the schemas that an item was made of, by the file that it was written in; marks behind `\0` stay.
fn identity(document: &Document, entry: &str) -> String {
    let (pointer, mark) = entry.split_at(entry.find('\0').unwrap_or(entry.len()));
    if pointer.is_empty() && !mark.is_empty() && mark.len() > 1 {
        return mark.to_owned();
    }
    let (source, pointer) = document.origin(pointer);
    format!("{}#{pointer}{mark}", source.path().to_string_lossy().replace('\\', "/"))
}

fn lower_schema(schema: &Value, draft: Draft, document: Option<&Document>, name: &str) -> Space {
    let name = name.to_owned();
    let mut lowerer = Lowerer {
        input: Input::new(schema, draft, document),
        items: Vec::new(),
        known: BTreeMap::new(),
        begun: BTreeMap::new(),
        stack: Vec::new(),
    };
    let hint = Hint { name, rank: Rank::Root, second_name: None };
    lowerer.add(&hint, &Key::new());
    let root = Part::new(schema, String::new());
    let parts = lowerer.input.parts(&[root]);
    lowerer.begun.insert(key_of(&parts.all), 0);
    lowerer.lower_parts(&parts, &hint);
    let bases = document.map(|document| lowerer.bases(document, &parts)).unwrap_or_default();
    if let Some(root) = lowerer.items.first_mut() {
        root.doc = parts.doc;
    }
    reachable(lowerer.items, bases)
}

/// Keeps what the root and its bases are made of, in the order of its first use.
fn reachable(items: Vec<Item>, mut bases: Vec<Base>) -> Space {
    let mut order = vec![0];
    order.extend(bases.iter().map(|base| base.item));
    let mut next = 0;
    while let Some(&index) = order.get(next) {
        next += 1;
        for ty in items.get(index).map(|item| item.shape.types()).unwrap_or_default() {
            ty.for_each_item(&mut |index| {
                if !order.contains(&index) {
                    order.push(index);
                }
            });
        }
    }
    let new_index: BTreeMap<usize, usize> = order.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    let mut kept: Vec<Item> = order.iter().filter_map(|index| items.get(*index)).cloned().collect();
    for ty in kept.iter_mut().flat_map(|item| item.shape.types_mut()) {
        renumber(&mut ty.core, &new_index);
    }
    for base in &mut bases {
        base.item = new_index.get(&base.item).copied().unwrap_or_default();
    }
    Space { items: kept, names: BTreeSet::new(), plain: false, shared: String::new(), bases, joint: false }
}

fn renumber(schema: &mut Value, new_index: &BTreeMap<usize, usize>) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| renumber(item, new_index)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| renumber(member, new_index)),
        Value::String(text) => {
            if let Some(index) =
                text.strip_prefix("#/definitions/").and_then(index_of).and_then(|old| new_index.get(&old))
            {
                *text = format!("#/definitions/{}", placeholder(*index));
            }
        }
        _ => (),
    }
}

/// What a type is called if it turns out to need a name.
#[derive(Clone, Debug)]
struct Hint {
    name: String,
    rank: Rank,
    second_name: Option<String>,
}

impl Hint {
    fn place(name: impl Into<String>) -> Self {
        Self { name: name.into(), rank: Rank::Place, second_name: None }
    }

    fn definition(pointer: &str) -> Self {
        Self { name: type_name(&name_of(pointer)), rank: Rank::Definition, second_name: None }
    }

    fn with(&self, suffix: &str) -> Self {
        Self::place(format!("{}{suffix}", self.name))
    }

    fn is_root(&self) -> bool {
        self.rank == Rank::Root
    }

    /// The same, for the type inside a root that may be null.
    fn inner(&self, nullable: bool) -> Self {
        if self.is_root() && nullable { self.with("Inner") } else { self.clone() }
    }
}

/// What makes two uses the same type: the schemas that apply, wherever they are used.
type Key = Vec<String>;

fn key_of(parts: &[Part<'_>]) -> Key {
    let mut key: Key =
        parts.iter().map(|p| format!("{}{}", p.pointer, if p.taken_apart { "\0" } else { "" })).collect();
    key.sort_unstable();
    key
}

struct Lowerer<'a> {
    input: Input<'a>,
    items: Vec<Item>,
    known: BTreeMap<Key, Type>,
    /// Types that were needed inside themselves.
    begun: BTreeMap<Key, usize>,
    stack: Vec<Key>,
}

impl<'a> Lowerer<'a> {
    /// The type of a value to which all of `conjunction` apply.
    fn lower(&mut self, conjunction: &[Part<'a>], hint: &Hint) -> Type {
        let parts = self.input.parts(conjunction);
        self.lower_parts(&parts, hint)
    }

    fn lower_parts(&mut self, parts: &Parts<'a>, hint: &Hint) -> Type {
        let key = key_of(&parts.all);
        if key.is_empty() {
            return Type::any();
        }
        if let Some(ty) = self.known.get(&key) {
            return ty.clone();
        }
        let hint = match &parts.target {
            Some(target) if hint.rank == Rank::Place => Hint::definition(target),
            _ => hint.clone(),
        };
        if self.stack.contains(&key) {
            // A type inside itself: from here on it has a name.
            let index = self.begun.get(&key).copied().unwrap_or_else(|| self.add(&hint, &key));
            self.begun.insert(key, index);
            return Type::item(index);
        }
        if self.stack.len() >= MAX_DEPTH || self.items.len() >= MAX_ITEMS {
            return Type::any();
        }
        self.stack.push(key.clone());
        let flat = Flat::of(&self.input, &parts.all);
        let ty = self.lower_flat(flat, parts, &key, &hint);
        self.stack.pop();
        self.finish(key, ty, &parts.own_doc, &hint)
    }

    /// Remembers the type, under a name of its own if it was needed inside itself or is long.
    fn finish(&mut self, key: Key, ty: Type, doc: &str, hint: &Hint) -> Type {
        let index = match self.begun.get(&key) {
            Some(index) if ty == Type::item(*index) => None,
            Some(index) => Some(*index),
            None if ty.size() > MAX_INLINE && !hint.is_root() => Some(self.add(hint, &key)),
            None => None,
        };
        let ty = match index {
            Some(index) => {
                let own = Type::item(index);
                let inner = if ty.core == own.core { Type::any() } else { ty };
                self.complete(index, doc, Shape::Alias(inner));
                own
            }
            None => ty,
        };
        self.known.insert(key, ty.clone());
        ty
    }

    /// Begins a named type, so that it can be referred to from inside.
    fn start(&mut self, key: &Key, hint: &Hint, nullable: bool) -> (usize, Type) {
        let begun = self.begun.get(key).copied().filter(|_| !nullable);
        let index = match begun {
            Some(index) => index,
            None if hint.is_root() && !nullable => 0,
            None => self.add(&hint.inner(nullable), key),
        };
        let ty = Type::item(index).or_null(nullable);
        self.known.insert(key.clone(), ty.clone());
        (index, ty)
    }

    fn add(&mut self, hint: &Hint, key: &Key) -> usize {
        let Hint { name, rank, second_name } = hint.clone();
        let shape = Shape::Alias(Type::any());
        let (doc, identity) = (String::new(), key.clone());
        self.items.push(Item { name, rank, second_name, doc, shape, identity, home: Home::Here });
        self.items.len() - 1
    }

    /// The fragments that the document's own type is made of, each as a struct of its own.
    fn bases(&mut self, document: &Document, parts: &Parts<'a>) -> Vec<Base> {
        if !matches!(self.items.first().map(|item| &item.shape), Some(Shape::Record(_))) {
            return Vec::new();
        }
        let mut bases = Vec::new();
        for part in parts.all.iter().filter(|part| is_fragment(document, part)) {
            let flat = Flat::of(&self.input, std::slice::from_ref(part));
            if flat.properties.is_empty() {
                continue;
            }
            // What a fragment refers to itself is looked at on its own.
            let all = self.input.parts(&[Part::new(part.schema, part.pointer.clone())]).all;
            let others = all.iter().filter(|other| other.pointer != part.pointer && is_fragment(document, other));
            let others: Vec<Key> = others.map(|other| vec![format!("{}\0base", other.pointer)]).collect();
            let title = part.schema.get("title").and_then(Value::as_str).map(type_name);
            let name = title.unwrap_or_else(|| type_name(&name_of(&part.pointer)));
            let key = vec![format!("{}\0base", part.pointer)];
            let item = self.add(&Hint::place(name), &key);
            let description = part.schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            let record = self.record(item, plan_fields(&flat), None, false);
            self.complete(item, &description, Shape::Record(record));
            bases.push(Base { item, bases: others });
        }
        bases
    }

    fn complete(&mut self, index: usize, doc: &str, shape: Shape) {
        if let Some(item) = self.items.get_mut(index) {
            doc.clone_into(&mut item.doc);
            item.shape = shape;
        }
    }

    fn name_of_item(&self, index: usize) -> String {
        self.items.get(index).map(|item| item.name.clone()).unwrap_or_default()
    }

    fn lower_flat(&mut self, flat: Flat<'a>, parts: &Parts<'a>, key: &Key, hint: &Hint) -> Type {
        if flat.kinds == Kinds::NONE || flat.kinds == Kinds::NULL {
            return Type::any();
        }
        if flat.values.is_some() && !flat.kinds.touches(Kinds::ARRAY.or(Kinds::OBJECT)) {
            return self.lower_values(&flat, parts, key, hint);
        }
        if !flat.unions.is_empty() {
            return self.lower_union(flat, parts, key, hint);
        }
        if flat.about_objects && flat.unions.is_empty() {
            return self.lower_object_or_other(&flat, parts, key, hint);
        }
        if flat.kinds == Kinds::ALL {
            return Type::any();
        }
        let nullable = flat.kinds.has(Kinds::NULL);
        if let Some(known) = flat.extensible.as_ref().filter(|_| flat.kinds.without(Kinds::NULL) == Kinds::STRING) {
            return self.lower_words(known, true, parts, key, hint, nullable);
        }
        match Scalar::of(flat.kinds.without(Kinds::NULL)) {
            Some(scalar) => scalar_type(&scalar, &flat).or_null(nullable),
            None if flat.kinds.without(Kinds::NULL) == Kinds::ARRAY => self.lower_array(&flat, hint).or_null(nullable),
            None if flat.kinds.without(Kinds::NULL) == Kinds::OBJECT => {
                self.lower_object(&flat, parts, key, hint, nullable, hint.is_root() && !nullable)
            }
            None => self.lower_kinds(flat, parts, key, hint, nullable),
        }
    }

    /// `enum` and `const`.
    fn lower_values(&mut self, flat: &Flat<'a>, parts: &Parts<'a>, key: &Key, hint: &Hint) -> Type {
        let nullable = flat.kinds.has(Kinds::NULL);
        let values: Vec<&Value> = flat.values.iter().flatten().copied().filter(|value| !value.is_null()).collect();
        let strings: Option<Vec<&str>> = values.iter().map(|value| value.as_str()).collect();
        if let Some(strings) = strings.filter(|strings| !strings.is_empty()) {
            return self.lower_words(&strings, false, parts, key, hint, nullable);
        }
        match Scalar::of(flat.kinds.without(Kinds::NULL)) {
            Some(scalar) => scalar_type(&scalar, flat).or_null(nullable),
            None => Type::any(),
        }
    }

    /// An enum of strings; more may come where it is `open`.
    fn lower_words(
        &mut self,
        strings: &[&str],
        open: bool,
        parts: &Parts<'a>,
        key: &Key,
        hint: &Hint,
        nullable: bool,
    ) -> Type {
        let mut seen = BTreeSet::new();
        let values: Vec<String> =
            strings.iter().filter(|string| seen.insert(**string)).map(|string| (*string).to_owned()).collect();
        let default = parts.default.and_then(Value::as_str).map(str::to_owned).filter(|text| values.contains(text));
        let (index, ty) = self.start(key, hint, nullable);
        self.complete(index, &parts.own_doc, Shape::Words(Words { values, default, open }));
        ty
    }

    fn lower_array(&mut self, flat: &Flat<'a>, hint: &Hint) -> Type {
        let item = hint.with("Item");
        if flat.tuple.is_empty() {
            return Type::array(&self.lower(&flat.items, &item));
        }
        let mut types = Vec::with_capacity(flat.tuple.len());
        for (i, part) in flat.tuple.iter().enumerate() {
            types.push(self.lower(std::slice::from_ref(part), &item.with(&(i + 1).to_string())));
        }
        let complete = usize::try_from(flat.min_items) == Ok(types.len()) && flat.items_end;
        if complete && types.len() <= MAX_TUPLE {
            return Type::tuple(&types);
        }
        if !flat.items_end {
            types.push(self.lower(&flat.items, &item));
        }
        Type::array(&self.unify(&types))
    }

    fn lower_object(
        &mut self,
        flat: &Flat<'a>,
        parts: &Parts<'a>,
        key: &Key,
        hint: &Hint,
        nullable: bool,
        is_top: bool,
    ) -> Type {
        let has_fields = parts.all.iter().any(|part| part.schema.get("properties").is_some());
        let undeclared = self.lower_undeclared(flat, hint);
        // At the top there is no struct around a map that keeps how its values were written.
        let is_record = is_top || !flat.is_map() || (undeclared.is_none() && (flat.closed || has_fields));
        if !is_record {
            return Type::map(&undeclared.unwrap_or_else(Type::any)).or_null(nullable);
        }
        let (index, ty) = self.start(key, hint, nullable);
        let plan = plan_fields(flat);
        let record = self.record(index, plan, undeclared, !flat.closed);
        self.complete(index, &parts.own_doc, Shape::Record(record));
        ty
    }

    /// The type of what `additionalProperties` and `patternProperties` describe, if they do.
    fn lower_undeclared(&mut self, flat: &Flat<'a>, hint: &Hint) -> Option<Type> {
        let value = hint.with("Value");
        let mut types: Vec<Type> = Vec::new();
        for pattern in &flat.patterns {
            types.push(self.lower(std::slice::from_ref(pattern), &value));
        }
        if !flat.additional.is_empty() {
            types.push(self.lower(&flat.additional, &value));
        } else if types.is_empty() {
            return None;
        } else if !flat.closed {
            types.push(Type::any());
        }
        Some(self.unify(&types))
    }

    fn record(&mut self, index: usize, plan: Vec<FieldPlan<'a>>, undeclared: Option<Type>, open: bool) -> Record {
        let hint = Hint::place(self.name_of_item(index));
        let mut fields = Vec::with_capacity(plan.len());
        for planned in plan {
            let hint = hint.with(&type_name(planned.key));
            let mut types = Vec::with_capacity(planned.alternatives.len());
            let mut first: Option<Parts<'a>> = None;
            let mut possible = planned.required;
            for alternative in &planned.alternatives {
                let parts = self.input.parts(alternative);
                possible |= Flat::of(&self.input, &parts.all).kinds != Kinds::NONE;
                types.push(self.lower_parts(&parts, &hint));
                first.get_or_insert(parts);
            }
            if possible {
                let Parts { doc, default, .. } = first.unwrap_or_default();
                fields.push(Field {
                    key: planned.key.to_owned(),
                    doc,
                    ty: self.unify(&types),
                    required: planned.required,
                    default: default.filter(|value| !value.is_null()).cloned(),
                    null_by_default: default.is_some_and(Value::is_null),
                });
            }
        }
        let open = open && undeclared.is_none();
        Record { fields, extra: undeclared.map(|values| Type::map(&values)), closed: false, open }
    }

    /// One type for values of any of `types`.
    fn unify(&self, types: &[Type]) -> Type {
        let Some((first, others)) = types.split_first() else { return Type::any() };
        let nullable = types.iter().any(|ty| ty.nullable);
        if others.iter().all(|ty| ty.core == first.core) {
            return first.clone().or_null(nullable);
        }
        let all = |test: &dyn Fn(&Type) -> bool| types.iter().all(test);
        if all(&|ty| ty.is_scalar("string") || self.is_words(ty)) {
            return Type::scalar("string").or_null(nullable);
        }
        if all(&|ty| ty.is_scalar("integer") || ty.is_scalar("number")) {
            return Type::scalar("number").or_null(nullable);
        }
        Type::any()
    }

    fn is_words(&self, ty: &Type) -> bool {
        let item = ty.as_item().and_then(|index| self.items.get(index));
        item.is_some_and(|item| matches!(item.shape, Shape::Words(_)))
    }
}

/// Whether a schema was written in a file that is no contract.
fn is_fragment(document: &Document, part: &Part<'_>) -> bool {
    document.origin(&part.pointer).0.path().to_string_lossy().starts_with('_')
}

/// The type of a scalar; integers get one of 64 bits where that is enough.
fn scalar_type(scalar: &Scalar, flat: &Flat<'_>) -> Type {
    if scalar.0 == "integer" && flat.is_small() { Type::small_integer() } else { Type::scalar(scalar.0) }
}

/// A field before its type is known.
struct FieldPlan<'a> {
    key: &'a str,
    /// The schemas that declare it, each on its own: alternatives and conditions may differ.
    alternatives: Vec<Vec<Part<'a>>>,
    required: bool,
}

/// The fields of an object: declared ones, conditional ones, and those that are required and nothing else is said of.
fn plan_fields<'a>(flat: &Flat<'a>) -> Vec<FieldPlan<'a>> {
    let required = |key: &str| flat.required.contains(key);
    let mut plan: Vec<FieldPlan<'a>> = Vec::new();
    for (key, schemas) in &flat.properties {
        plan.push(FieldPlan { key, alternatives: vec![schemas.clone()], required: required(key) });
    }
    for (key, schemas) in &flat.conditional {
        let alternatives = schemas.iter().map(|schema| vec![schema.clone()]).collect();
        plan.push(FieldPlan { key, alternatives, required: required(key) });
    }
    for key in &flat.required {
        if !plan.iter().any(|field| field.key == *key) {
            plan.push(FieldPlan { key, alternatives: Vec::new(), required: true });
        }
    }
    plan
}

#[cfg(test)]
mod tests;
