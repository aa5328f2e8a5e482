//! `anyOf`, `oneOf` and several types at once: an enum where its variants can be told apart, else something wider.
//!
//! Serde takes the first variant that fits, so a variant may come before another only if no value of the other fits
//! it and loses members by that. Objects that can't be told apart become one struct with the fields of all.

use serde_json::Value;

use super::{
    FieldPlan, Hint, Key, Lowerer, Type,
    flat::Flat,
    key_of,
    kinds::{Kinds, Scalar},
    parts::{Part, Parts, name_of},
    plan_fields, scalar_type,
    shape::{Rank, Shape, Union, Variant},
};
use crate::names::{Scope, type_name, variant_name};

/// More alternatives than this stay JSON.
const MAX_VARIANTS: usize = 100;

/// One way that a value may be.
struct Choice<'a> {
    parts: Parts<'a>,
    flat: Flat<'a>,
    /// What its author calls it, if anything.
    name: Option<String>,
}

impl<'a> Lowerer<'a> {
    pub(super) fn lower_union(&mut self, flat: Flat<'a>, parts: &Parts<'a>, key: &Key, hint: &Hint) -> Type {
        let mut choices = Vec::new();
        let mut nullable = false;
        let base = self.base(parts);
        let single = match flat.unions.as_slice() {
            [union] => self.choices(&base, union, &mut choices, &mut nullable, 0),
            _ => false,
        };
        if !single {
            let mut fields = flat;
            let unions = std::mem::take(&mut fields.unions);
            return if fields.kinds == Kinds::OBJECT {
                choices.clear();
                let all: Vec<Part<'a>> = unions.into_iter().flatten().collect();
                let fits = self.choices(&base, &all, &mut choices, &mut nullable, 0);
                if fits { self.merged(&choices, parts, key, hint, nullable) } else { Type::any() }
            } else {
                Type::any()
            };
        }
        if let [choice] = choices.as_slice() {
            return self.lower_parts(&choice.parts, &hint.inner(nullable)).or_null(nullable);
        }
        if choices.is_empty()
            || choices.iter().any(|choice| choice.flat.kinds == Kinds::ALL && choice.flat.unions.is_empty())
        {
            return Type::any();
        }
        let objects = choices.iter().all(|choice| choice.flat.kinds == Kinds::OBJECT && choice.flat.unions.is_empty());
        if let Some(tag) = tag_of(self, &choices, flat.discriminator).filter(|_| objects) {
            return self.tagged(&choices, &tag, parts, key, hint, nullable);
        }
        match self.ordered(&mut choices) {
            true => self.untagged(&choices, parts, key, hint, nullable),
            false if objects && choices.iter().all(|choice| !choice.flat.is_map()) => {
                self.merged(&choices, parts, key, hint, nullable)
            }
            false => Type::any(),
        }
    }

    /// What holds beside the alternatives, nothing if that says nothing about the type.
    fn base(&self, parts: &Parts<'a>) -> Vec<Part<'a>> {
        let base: Vec<Part<'a>> = parts.all.iter().cloned().map(|part| Part { taken_apart: true, ..part }).collect();
        let flat = Flat::of(&self.input, &base);
        if flat.kinds == Kinds::ALL && flat.values.is_none() { Vec::new() } else { base }
    }

    /// Takes alternatives apart, those inside alternatives too; says whether that worked.
    fn choices(
        &self,
        base: &[Part<'a>],
        members: &[Part<'a>],
        choices: &mut Vec<Choice<'a>>,
        nullable: &mut bool,
        depth: usize,
    ) -> bool {
        for member in members {
            let mut conjunction = base.to_vec();
            conjunction.push(member.clone());
            let parts = self.input.parts(&conjunction);
            let flat = Flat::of(&self.input, &parts.all);
            if flat.kinds == Kinds::NULL {
                *nullable = true;
                continue;
            }
            if flat.kinds == Kinds::NONE {
                continue;
            }
            if let [union] = flat.unions.as_slice() {
                let base = self.base(&parts);
                if depth > 8 || !self.choices(&base, union, choices, nullable, depth + 1) {
                    return false;
                }
                continue;
            }
            *nullable |= flat.kinds.has(Kinds::NULL) && flat.kinds != Kinds::ALL;
            let title = member.schema.get("title").and_then(Value::as_str);
            let name =
                parts.target.as_deref().map(name_of).or(title.map(str::to_owned)).filter(|name| !name.is_empty());
            let mut parts = parts;
            if parts.target.is_none() {
                member
                    .schema
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .clone_into(&mut parts.own_doc);
            }
            choices.push(Choice { parts, flat, name });
            if choices.len() > MAX_VARIANTS {
                return false;
            }
        }
        true
    }

    /// Several types at once, such as `["string", "integer"]`.
    pub(super) fn lower_kinds(
        &mut self,
        flat: Flat<'a>,
        parts: &Parts<'a>,
        key: &Key,
        hint: &Hint,
        nullable: bool,
    ) -> Type {
        let mut types = Vec::new();
        for kind in [Kinds::STRING, Kinds::NUMBER, Kinds::BOOLEAN, Kinds::ARRAY, Kinds::OBJECT] {
            let kinds = flat.kinds.and(kind);
            if kinds == Kinds::NONE {
                continue;
            }
            let sub = Flat { kinds, values: None, ..flat.clone() };
            let name = kind_name(kinds);
            let ty = match Scalar::of(kinds) {
                Some(scalar) => scalar_type(&scalar, &flat),
                None if kinds == Kinds::ARRAY => self.lower_array(&sub, &hint.with(name)),
                None => {
                    let key = marked(key, "object");
                    self.lower_object(&sub, parts, &key, &hint.with(name), false, hint.is_root())
                }
            };
            types.push((name.to_owned(), ty));
        }
        self.enumeration(types, parts, key, hint, nullable)
    }

    /// What is said about objects only allows everything else: a struct for objects, JSON for the rest.
    pub(super) fn lower_object_or_other(&mut self, flat: &Flat<'a>, parts: &Parts<'a>, key: &Key, hint: &Hint) -> Type {
        let object =
            self.lower_object(flat, parts, &marked(key, "object"), &hint.with("Object"), false, hint.is_root());
        let types = vec![("Object".to_owned(), object), ("Other".to_owned(), Type::any())];
        self.enumeration(types, parts, key, hint, false)
    }

    /// An enum that is told by a property.
    fn tagged(
        &mut self,
        choices: &[Choice<'a>],
        tag: &str,
        parts: &Parts<'a>,
        key: &Key,
        hint: &Hint,
        nullable: bool,
    ) -> Type {
        let (index, ty) = self.start(key, hint, nullable);
        let own = Hint::place(self.name_of_item(index));
        let mut scope = Scope::of_types();
        let mut variants = Vec::with_capacity(choices.len());
        for choice in choices {
            let value = tag_value(self, choice, tag).unwrap_or_default();
            let name = scope.take(&variant_name(&value));
            let hint = match &choice.parts.target {
                Some(target) => {
                    Hint { rank: Rank::Share, second_name: Some(own.with(&name).name), ..Hint::definition(target) }
                }
                None => own.with(&name),
            };
            let key = marked(&key_of(&choice.parts.all), tag);
            let ty = self.known.get(&key).cloned().unwrap_or_else(|| {
                let (index, ty) = self.start(&key, &hint, false);
                let undeclared = self.lower_undeclared(&choice.flat, &hint);
                let plan = plan_fields(&choice.flat).into_iter().filter(|field| field.key != tag).collect();
                let record = self.record(index, plan, undeclared, !choice.flat.closed);
                self.complete(index, &choice.parts.own_doc, Shape::Record(record));
                ty
            });
            variants.push(Variant { name, tag: Some(value), ty });
        }
        self.complete(index, &parts.own_doc, Shape::Union(Union { tag: Some(tag.to_owned()), variants }));
        ty
    }

    /// An enum whose variants are told by what they look like.
    fn untagged(&mut self, choices: &[Choice<'a>], parts: &Parts<'a>, key: &Key, hint: &Hint, nullable: bool) -> Type {
        let mut types = Vec::with_capacity(choices.len());
        let mut nullable = nullable;
        for (i, choice) in choices.iter().enumerate() {
            let kinds = choice.flat.kinds.without(Kinds::NULL);
            let plain = Scalar::of(kinds).is_some() || kinds == Kinds::ARRAY || choice.flat.is_map();
            let name = match (&choice.name, choice.flat.strings().as_deref()) {
                (Some(name), _) => type_name(name),
                (None, Some([value])) => type_name(value),
                (None, Some(_)) => "Known".to_owned(),
                (None, None) if plain && choice.flat.unions.is_empty() => kind_name(kinds).to_owned(),
                (None, None) => format!("Variant{}", i + 1),
            };
            let ty = self.lower_parts(&choice.parts, &hint.with(&name));
            if ty.is_any() {
                return Type::any();
            }
            nullable |= ty.nullable;
            types.push((name, Type { nullable: false, ..ty }));
        }
        self.close_variants(choices, &types);
        self.enumeration(types, parts, key, hint, nullable)
    }

    /// Lets a closed alternative refuse the members of others.
    fn close_variants(&mut self, choices: &[Choice<'a>], types: &[(String, Type)]) {
        for (choice, (_, ty)) in choices.iter().zip(types) {
            let item = ty.as_item().filter(|index| *index != 0 && choice.flat.closed);
            if let Some(Shape::Record(record)) =
                item.and_then(|index| self.items.get_mut(index)).map(|item| &mut item.shape)
            {
                record.closed = record.extra.is_none();
            }
        }
    }

    fn enumeration(
        &mut self,
        types: Vec<(String, Type)>,
        parts: &Parts<'a>,
        key: &Key,
        hint: &Hint,
        nullable: bool,
    ) -> Type {
        let mut kept: Vec<(String, Type)> = Vec::new();
        let number = types.iter().any(|(_, ty)| ty.is_scalar("number"));
        for (name, ty) in types {
            let covered = kept.iter().any(|(_, known)| *known == ty) || (number && ty.is_scalar("integer"));
            if !covered {
                kept.push((name, ty));
            }
        }
        if let [(_, ty)] = kept.as_slice() {
            return ty.clone().or_null(nullable);
        }
        let (index, ty) = self.start(key, hint, nullable);
        let mut scope = Scope::of_types();
        let variants =
            kept.into_iter().map(|(name, ty)| Variant { name: scope.take(&variant_name(&name)), tag: None, ty });
        let union = Union { tag: None, variants: variants.collect() };
        self.complete(index, &parts.own_doc, Shape::Union(union));
        ty
    }

    /// One struct with the fields of all alternatives, required where all of them do.
    fn merged(&mut self, choices: &[Choice<'a>], parts: &Parts<'a>, key: &Key, hint: &Hint, nullable: bool) -> Type {
        let mut plan: Vec<FieldPlan<'a>> = Vec::new();
        for choice in choices {
            for field in plan_fields(&choice.flat) {
                match plan.iter_mut().find(|known| known.key == field.key) {
                    Some(known) => known.alternatives.extend(field.alternatives),
                    None => plan.push(field),
                }
            }
        }
        for field in &mut plan {
            field.required = choices.iter().all(|choice| choice.flat.required.contains(field.key));
            let mut seen: Vec<Key> = Vec::new();
            field.alternatives.retain(|alternative| {
                let key = key_of(alternative);
                let is_new = !seen.contains(&key);
                seen.push(key);
                is_new
            });
        }
        let (index, ty) = self.start(key, hint, nullable);
        let hint = Hint::place(self.name_of_item(index));
        let mut undeclared = Vec::new();
        for choice in choices {
            undeclared.extend(self.lower_undeclared(&choice.flat, &hint));
        }
        let extra = if undeclared.is_empty() { None } else { Some(self.unify(&undeclared)) };
        let open = choices.iter().any(|choice| !choice.flat.closed);
        let record = self.record(index, plan, extra, open);
        self.complete(index, &parts.own_doc, Shape::Record(record));
        ty
    }

    /// Finds an order in which no alternative takes what belongs to a later one; says whether there is one.
    fn ordered(&self, choices: &mut [Choice<'a>]) -> bool {
        let apart = |choices: &[Choice<'a>]| {
            (0..choices.len()).all(|a| (a + 1..choices.len()).all(|b| self.leaves_alone(&choices[a], &choices[b])))
        };
        if apart(choices) {
            return true;
        }
        choices.sort_by_key(|choice| {
            let map = choice.flat.is_map();
            (choice.flat.values.is_none(), map, std::cmp::Reverse(choice.flat.required.len()), !choice.flat.closed)
        });
        apart(choices)
    }

    /// Whether every value of `second` is refused by the type of `first`, or loses nothing in it.
    fn leaves_alone(&self, first: &Choice<'a>, second: &Choice<'a>) -> bool {
        let (a, b) = (&first.flat, &second.flat);
        let common = a.kinds.without(Kinds::NULL).and(b.kinds.without(Kinds::NULL));
        if !common.touches(Kinds::ARRAY.or(Kinds::OBJECT)) {
            // Strings and numbers keep their value in any variant; but all strings before some would hide these.
            return !common.touches(Kinds::STRING) || a.values.is_some() || b.values.is_none();
        }
        if common != Kinds::OBJECT || !a.unions.is_empty() || !b.unions.is_empty() {
            return false;
        }
        if a.is_map() && !a.closed {
            return b.is_map();
        }
        let demands = |key: &&str| {
            let declared = b.property(key).is_some() || b.required.contains(*key);
            let differs = || match (self.strings_of(a, key), self.strings_of(b, key)) {
                (Some(a), Some(b)) => a.iter().all(|value| !b.contains(value)),
                _ => false,
            };
            (!declared && !b.is_map()) || (declared && differs())
        };
        a.required.iter().any(demands) || (a.closed && b.required.iter().any(|key| a.property(key).is_none()))
    }

    /// The strings that a property may be, if they are counted.
    fn strings_of(&self, flat: &Flat<'a>, key: &str) -> Option<Vec<&'a str>> {
        Flat::of(&self.input, &self.input.parts(flat.property(key)?).all).strings()
    }
}

fn marked(key: &Key, mark: &str) -> Key {
    let mut key = key.clone();
    key.push(format!("\0{mark}"));
    key
}

/// The required property that is one other string in each alternative.
fn tag_of<'a>(lowerer: &Lowerer<'a>, choices: &[Choice<'a>], discriminator: Option<&'a str>) -> Option<String> {
    let first = choices.first()?;
    let candidates = first.flat.properties.iter().map(|(key, _)| *key);
    let candidates = discriminator.into_iter().chain(candidates);
    candidates.into_iter().find_map(|key| {
        let mut values: Vec<String> = Vec::new();
        for choice in choices {
            let required = choice.flat.required.contains(key) || discriminator == Some(key);
            let value = tag_value(lowerer, choice, key).filter(|value| required && !values.contains(value))?;
            values.push(value);
        }
        Some(key.to_owned())
    })
}

fn tag_value<'a>(lowerer: &Lowerer<'a>, choice: &Choice<'a>, key: &str) -> Option<String> {
    match lowerer.strings_of(&choice.flat, key)?.as_slice() {
        [value] => Some((*value).to_owned()),
        _ => None,
    }
}

fn kind_name(kinds: Kinds) -> &'static str {
    match Scalar::of(kinds) {
        Some(Scalar("string")) => "String",
        Some(Scalar("boolean")) => "Boolean",
        Some(Scalar("integer")) => "Integer",
        Some(_) => "Number",
        None if kinds == Kinds::ARRAY => "Array",
        None => "Object",
    }
}
