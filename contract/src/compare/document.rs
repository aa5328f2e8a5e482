//! One of the two documents: its draft, and where its references lead.

use std::collections::HashSet;

use serde_json::Value;

use super::digits::Digits;
use crate::{Draft, Formats, for_each_subschema, library::Names};

/// A schema document with its names.
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    pub(super) draft: Draft,
    pub(super) formats: Formats,
    /// Whether its instances have declared properties only.
    pub(super) closed: bool,
    pub(super) digits: &'a Digits,
    names: &'a Names,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value, draft: Draft, names: &'a Names, digits: &'a Digits, closed: bool) -> Self {
        Self { root, draft, formats: Formats::of(root), closed, digits, names }
    }

    pub(super) fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.root.pointer(pointer)
    }

    /// The pointer that the reference at `pointer` leads to, if it is in this document.
    pub(super) fn target(&self, pointer: &str, reference: &str) -> Option<String> {
        let target = self.names.local(pointer, reference)?;
        self.root.pointer(&target).filter(|schema| schema.is_object() || schema.is_boolean())?;
        Some(target)
    }

    /// The pointer that a dynamic reference leads to, where it does not matter from where one comes.
    pub(super) fn dynamic_target(&self, pointer: &str, reference: &str) -> Option<String> {
        let name = reference.split_once('#').map(|(_, name)| name)?;
        let targets: HashSet<&str> = self.names.every_anchor(name).collect();
        (targets.len() <= 1).then(|| self.target(pointer, reference)).flatten()
    }

    /// Where `$recursiveRef` leads, unless schemas of several files are in here.
    pub(super) fn recursive_target(&self) -> Option<String> {
        (!self.names.has_inner_ids()).then(String::new)
    }
}

/// Whether some reference of a schema leads to nothing in it.
pub(super) fn dangles(schema: &Value) -> bool {
    let draft = Draft::of(schema).unwrap_or(Draft::Draft202012);
    let names = Names::of(schema, draft);
    let mut queue = vec![(String::new(), schema)];
    while let Some((pointer, part)) = queue.pop() {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str)
            && names.local(&pointer, reference).is_none_or(|target| schema.pointer(&target).is_none())
        {
            return true;
        }
        for_each_subschema(part, draft, &mut |place, inner| queue.push((place.below(&pointer), inner)));
    }
    false
}
