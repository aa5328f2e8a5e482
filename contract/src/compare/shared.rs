//! What several documents have in common: versions of a contract have most.
//!
//! The same schema at the same place, with all that it refers to, means the same in each of them. It is read as that of
//! the first one, so that it is equal to itself without being looked at: recursive schemas above all.

use std::rc::Rc;

use serde_json::Value;

use super::{
    formula::{Closing, Id, Site},
    solve::Solver,
};
use crate::source::escape;

/// The most schemas that one may refer to, and those to, to be held against another document's.
const MAX_REACHED: usize = 100;

/// A schema that refers to nothing, and so is what it says, whichever document it is in.
pub(super) struct Alike<'a> {
    document: usize,
    value: &'a Value,
    closing: Closing,
    formula: Id,
}

impl<'a> Solver<'a> {
    /// The formula of the same schema at the same place of another document.
    pub(super) fn read_before(&self, site: &Site, value: &Value, closing: Closing) -> Option<Id> {
        let known = self.alike.get(&site.1)?.iter().find(|known| {
            known.closing == closing && self.reads_alike(known.document, site.0) && is_equal(known.value, value)
        })?;
        Some(known.formula)
    }

    /// Keeps the formula of a schema for other documents, if it refers to nothing.
    pub(super) fn keep_read(&mut self, site: Site, value: &'a Value, closing: Closing, formula: Id) {
        if self.reads_alike(site.0, site.0) && !refers(value) {
            self.alike.entry(site.1).or_default().push(Alike { document: site.0, value, closing, formula });
        }
    }

    /// The site in the first document that has the same schema there, and the same wherever that refers to.
    pub(super) fn first_with(&mut self, site: Site) -> Site {
        if let Some(known) = self.first_with.get(&site) {
            return (*known, site.1);
        }
        let first = (0..site.0).find(|first| self.shares(*first, &site)).unwrap_or(site.0);
        self.first_with.insert(site.clone(), first);
        (first, site.1)
    }

    fn shares(&mut self, first: usize, site: &Site) -> bool {
        if !self.reads_alike(first, site.0) {
            return false;
        }
        let mut reached = vec![site.1.clone()];
        let mut next = 0;
        while let Some(pointer) = reached.get(next).cloned() {
            next += 1;
            let Some(targets) = self.targets_of_both(first, (site.0, pointer)) else { return false };
            for target in targets.iter() {
                if !reached.contains(target) {
                    reached.push(target.clone());
                }
            }
            if reached.len() > MAX_REACHED {
                return false;
            }
        }
        true
    }

    /// Whether a schema says the same in both documents, as far as it refers to nothing.
    fn reads_alike(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.documents.get(one), self.documents.get(other)) else { return false };
        // Digits are kept by their place in one document.
        (one.draft, one.formats) == (other.draft, other.formats) && one.digits.is_empty() && other.digits.is_empty()
    }

    /// Where the references of the schema at a site lead, if the other document has the same schema there and they lead to
    /// the same places.
    fn targets_of_both(&mut self, first: usize, site: Site) -> Option<Rc<[String]>> {
        let key = (first, site);
        if let Some(known) = self.targets_of_both.get(&key) {
            return known.clone();
        }
        let targets = self.look_at_both(first, &key.1);
        self.targets_of_both.insert(key, targets.clone());
        targets
    }

    fn look_at_both(&self, first: usize, site: &Site) -> Option<Rc<[String]>> {
        let (one, other) = (self.documents.get(first)?, self.documents.get(site.0)?);
        let schema = other.at(&site.1)?;
        if !is_equal(one.at(&site.1)?, schema) {
            return None;
        }
        let mut references = Vec::new();
        if !collect(schema, &mut site.1.clone(), &mut references) {
            return None;
        }
        let target = |(pointer, reference): (String, &str)| {
            let target = other.target(&pointer, reference)?;
            (one.target(&pointer, reference)? == target).then_some(target)
        };
        references.into_iter().map(target).collect()
    }
}

fn is_equal(one: &Value, other: &Value) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// Whether a schema, or anything in it, is written with a reference. As deep as it nests.
fn refers(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") || refers(value)),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// Whatever looks like a reference in a schema, with the pointer to where it stands; false where it is of a kind that
/// depends on how one came there. As deep as the schema nests.
fn collect<'a>(value: &'a Value, pointer: &mut String, found: &mut Vec<(String, &'a str)>) -> bool {
    let before = pointer.len();
    let mut below = |key: &str, value: &'a Value| {
        pointer.push('/');
        pointer.push_str(&escape(key));
        let is_plain = collect(value, pointer, found);
        pointer.truncate(before);
        is_plain
    };
    match value {
        Value::Object(members) => {
            if members.contains_key("$dynamicRef") || members.contains_key("$recursiveRef") {
                return false;
            }
            if !members.iter().all(|(key, value)| below(key, value)) {
                return false;
            }
            // What is no text is a property of that name.
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push((pointer.clone(), reference));
            }
            true
        }
        Value::Array(items) => items.iter().enumerate().all(|(at, item)| below(&at.to_string(), item)),
        _ => true,
    }
}
