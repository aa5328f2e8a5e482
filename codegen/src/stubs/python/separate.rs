//! What can be told of a schema without a value: which kinds it takes, and whether two of them share any.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    document::{Document, MAX_DEPTH},
    objects::is_taken,
};
use crate::stubs::{
    names::is_field,
    schema::{Found, Kind, Node},
};

/// The most alternatives that are compared with each other.
const MAX_ALTERNATIVES: usize = 64;

impl<'a> Document<'a, '_> {
    /// Whether every value of the schema is of one of these kinds, as far as can be told.
    pub(super) fn is_within(&mut self, pointer: &str, kinds: &[Kind]) -> bool {
        self.kinds_of(pointer, 0).is_some_and(|of| {
            of.iter().all(|kind| kinds.contains(kind) || (*kind == Kind::Integer && kinds.contains(&Kind::Number)))
        })
    }

    /// Whether `value` is of a kind that the schema takes, or one of its values.
    pub(super) fn may_be(&mut self, pointer: &str, value: &Value, depth: usize) -> bool {
        let kind = Kind::of(value);
        let Some(parts) = self.parts(&[pointer.to_owned()]) else { return false };
        let is_value = parts.nodes.iter().all(|node| node.values().is_none_or(|values| values.contains(&value)));
        let inner: Vec<String> = parts
            .nodes
            .iter()
            .flat_map(|node| ["anyOf", "oneOf"].map(|keyword| node.items_of(keyword)))
            .flatten()
            .collect();
        let fits_inner = inner.is_empty() || depth > MAX_DEPTH || {
            inner.iter().any(|pointer| self.may_be(pointer, value, depth + 1))
        };
        is_value
            && fits_inner
            && self
                .kinds_of(pointer, 0)
                .is_none_or(|kinds| kinds.contains(&kind) || (kind == Kind::Integer && kinds.contains(&Kind::Number)))
    }

    /// The kinds of values that the schema takes; none when that can't be told.
    fn kinds_of(&mut self, pointer: &str, depth: usize) -> Option<Vec<Kind>> {
        if depth > MAX_ALTERNATIVES {
            return None;
        }
        let Some(parts) = self.parts(&[pointer.to_owned()]) else { return Some(Vec::new()) };
        let mut known: Option<Vec<Kind>> = None;
        for node in &parts.nodes {
            let by_values = || Some(node.values()?.into_iter().map(Kind::of).collect::<Vec<_>>());
            let Some(kinds) = by_values().or_else(|| node.kinds()) else { continue };
            known = Some(match known {
                Some(before) if before.len() <= kinds.len() => before,
                _ => kinds,
            });
        }
        if known.is_some() {
            return known;
        }
        let unions: Vec<String> = parts.nodes.iter().find_map(|node| {
            [node.items_of("anyOf"), node.items_of("oneOf")].into_iter().find(|items| !items.is_empty())
        })?;
        let mut all = Vec::new();
        for pointer in unions {
            all.extend(self.kinds_of(&pointer, depth + 8)?);
        }
        Some(all)
    }

    /// Whether no value is valid under two of the schemas.
    pub(super) fn are_separate(&mut self, pointers: &[String]) -> bool {
        if pointers.len() > MAX_ALTERNATIVES {
            return false;
        }
        pointers.iter().enumerate().all(|(i, one)| pointers.iter().skip(i + 1).all(|other| self.is_apart(one, other)))
    }

    fn is_apart(&mut self, one: &str, other: &str) -> bool {
        if let (Some(one), Some(other)) = (self.kinds_of(one, 0), self.kinds_of(other, 0)) {
            let meet = |a: &Kind, b: &Kind| {
                let number = |kind: &Kind| matches!(kind, Kind::Integer | Kind::Number);
                a == b || (number(a) && number(b))
            };
            if !one.iter().any(|a| other.iter().any(|b| meet(a, b))) {
                return true;
            }
        }
        let (Some(left), Some(right)) = (self.texts(one), self.texts(other)) else {
            let (left, right) = (self.tags(one), self.tags(other));
            return left
                .iter()
                .any(|(name, texts)| right.iter().any(|(known, others)| known == name && texts.is_disjoint(others)));
        };
        left.is_disjoint(&right)
    }

    /// The texts that the schema takes, when it takes nothing else.
    fn texts(&mut self, pointer: &str) -> Option<BTreeSet<&'a str>> {
        let parts = self.parts(&[pointer.to_owned()])?;
        let values = parts.nodes.iter().find_map(Node::values)?;
        values.into_iter().map(Value::as_str).collect()
    }

    /// The properties of objects that must hold one of certain texts.
    fn tags(&mut self, pointer: &str) -> Vec<(&'a str, BTreeSet<&'a str>)> {
        let Some(parts) = self.parts(&[pointer.to_owned()]) else { return Vec::new() };
        let is_object = parts.nodes.iter().any(|node| node.kinds().is_some_and(|kinds| kinds == [Kind::Object]));
        if !is_object {
            return Vec::new();
        }
        let required: BTreeSet<&str> = parts.nodes.iter().flat_map(|node| node.strings("required")).collect();
        let members: Vec<(&'a str, String)> =
            parts.nodes.iter().flat_map(|node| node.members_of("properties")).collect();
        let members = members.into_iter().filter(|(name, _)| required.contains(name));
        members.filter_map(|(name, pointer)| Some((name, self.texts(&pointer)?))).collect()
    }

    /// The property whose text tells all of the schemas apart, where pydantic can be told so.
    pub(super) fn tag(&mut self, pointers: &[String]) -> Option<String> {
        let first = pointers.first()?;
        let candidates: Vec<&str> = self.tags(first).into_iter().map(|(name, _)| name).collect();
        let mut found = candidates.into_iter().filter(|name| {
            let mut seen = BTreeSet::new();
            // What starts with a small letter is the name of no type, and so stays the name of its field.
            is_field(name)
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && !is_taken(name)
                && pointers.iter().all(|pointer| {
                    let tags = self.tags(pointer);
                    let mut own = tags.iter().filter(|(known, _)| known == name);
                    let (Some((_, texts)), None) = (own.next(), own.next()) else { return false };
                    texts.iter().all(|text| seen.insert(*text)) && self.is_plain_literal(pointer, name)
                })
        });
        found.next().map(str::to_owned)
    }

    /// Whether a property's schema is an `enum` or `const` and nothing else, so that its type is a `Literal`.
    fn is_plain_literal(&mut self, pointer: &str, name: &str) -> bool {
        let Some(parts) = self.parts(&[pointer.to_owned()]) else { return false };
        let pointers: Vec<String> = parts
            .nodes
            .iter()
            .flat_map(|node| node.members_of("properties"))
            .filter(|(known, _)| *known == name)
            .map(|(_, pointer)| pointer)
            .collect();
        let [pointer] = pointers.as_slice() else { return false };
        match self.reader.find(pointer) {
            Found::Schema(node) => node.assertions().all(|keyword| matches!(keyword, "enum" | "const" | "type")),
            _ => false,
        }
    }
}
