//! `unevaluatedProperties` and `unevaluatedItems`, and the objects of a writer that writes what is declared only.
//!
//! Which names are declared depends on which branches hold. Each way in which they may hold is written out, with the
//! names that are declared then: the rule holds in one of these ways or not at all.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    compile::Schema,
    compile_array::tuple_of,
    formula::{FALSE, Id, Rule, TRUE},
    solve::Solver,
};
use crate::{Draft, source::escape};

/// The most ways in which branches may hold.
const MAX_WAYS: usize = 256;
/// The deepest that schemas of one value are looked into.
const MAX_DEPTH: usize = 40;

/// What is looked at when some branches hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    condition: Id,
    /// Names of properties.
    names: Id,
    /// So many items from the start; none for all of them.
    items: Option<u64>,
    /// Items that are such.
    such: Id,
}

const NOTHING: Way = Way { condition: TRUE, names: FALSE, items: Some(0), such: FALSE };

impl<'a> Solver<'a> {
    /// `unevaluatedProperties` with that schema.
    pub(super) fn unevaluated_members(&mut self, schema: &Schema<'a>, value: Id) -> Id {
        let Some(ways) = self.ways(schema, false, 0) else { return self.odd(schema, "unevaluatedProperties") };
        self.members_in(&ways, value)
    }

    fn members_in(&mut self, ways: &[Way], value: Id) -> Id {
        let mut cases = Vec::new();
        for way in ways {
            let names = self.arena.not(way.names);
            let rest = self.arena.rule(Rule::EachMember { names, value });
            cases.push(self.arena.all([way.condition, rest]));
        }
        self.arena.any(cases)
    }

    /// `unevaluatedItems` with that schema.
    pub(super) fn unevaluated_items(&mut self, schema: &Schema<'a>, value: Id) -> Id {
        let Some(ways) = self.ways(schema, false, 0) else { return self.odd(schema, "unevaluatedItems") };
        let mut cases = Vec::new();
        for way in ways {
            let rest = match way.items {
                None => TRUE,
                Some(from) => {
                    let value = self.arena.any([value, way.such]);
                    self.arena.rule(Rule::EachItem { from, to: None, value })
                }
            };
            cases.push(self.arena.all([way.condition, rest]));
        }
        self.arena.any(cases)
    }

    /// The objects have declared properties only, where any are declared.
    pub(super) fn close(&mut self, schema: &Schema<'a>) -> Id {
        let Some(mut ways) = self.ways(schema, true, 0) else {
            return self.unknown(&format!("closed {}:{}", schema.document, schema.pointer));
        };
        if ways.iter().all(|way| way.names == FALSE) {
            return TRUE;
        }
        // A branch that declares nothing is a free-form object, unless declarations stand beside the branches.
        let beside = ways.iter().any(|way| way.condition == TRUE && way.names != FALSE);
        if !beside {
            ways.retain(|way| way.condition != TRUE);
            for way in ways.iter_mut().filter(|way| way.names == FALSE) {
                way.names = TRUE;
            }
        }
        self.members_in(&ways, FALSE)
    }

    /// Whether two schemas that hold together declare the same property: closing its value for each would leave nothing.
    pub(super) fn overlaps(&self, schema: &Schema<'a>) -> bool {
        let mut names = BTreeSet::new();
        self.declares_again(schema, &mut names, 0)
    }

    fn declares_again(&self, schema: &Schema<'a>, names: &mut BTreeSet<&'a str>, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return true;
        }
        if !schema.is_hidden()
            && let Some(Value::Object(properties)) = schema.get("properties")
            && !properties.keys().all(|name| names.insert(name))
        {
            return true;
        }
        let mut inner = self.targets(schema).into_iter().filter_map(|(.., target)| target).collect::<Vec<_>>();
        if let Some(Value::Array(branches)) = schema.get("allOf").filter(|_| !schema.is_hidden()) {
            let at = |at: usize| (schema.document, format!("{}/allOf/{at}", schema.pointer));
            inner.extend((0..branches.len()).map(at));
        }
        inner
            .into_iter()
            .filter_map(|site| self.schema(&site, schema.depth))
            .any(|inner| self.declares_again(&inner, names, depth + 1))
    }

    /// Every way in which the branches of a schema may hold; `inner` where the schema is part of another.
    fn ways(&mut self, schema: &Schema<'a>, inner: bool, depth: usize) -> Option<Vec<Way>> {
        if depth > MAX_DEPTH || !self.step(1) {
            return None;
        }
        let mut ways = vec![NOTHING];
        for (.., target) in self.targets(schema) {
            let more = self.ways_at(&target?, schema.depth, depth)?;
            ways = self.product(&ways, &more)?;
        }
        if schema.is_hidden() {
            return Some(ways);
        }
        let own = self.own(schema, inner);
        ways = self.product(&ways, &[own])?;
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(branches)) = schema.get(keyword) else { continue };
            // Of `oneOf` one holds: its branches are ways beside each other.
            let mut beside = vec![NOTHING];
            for at in 0..branches.len() {
                let rest = format!("/{keyword}/{at}");
                let more =
                    self.ways_at(&(schema.document, format!("{}{rest}", schema.pointer)), schema.depth, depth)?;
                if keyword == "allOf" {
                    ways = self.product(&ways, &more)?;
                    continue;
                }
                let condition = self.as_written(schema, &rest);
                let more = self.under(condition, more);
                if keyword == "anyOf" {
                    let either = [vec![NOTHING], more].concat();
                    ways = self.product(&ways, &either)?;
                } else {
                    beside.extend(more);
                }
            }
            ways = self.product(&ways, &beside)?;
        }
        if schema.since(Draft::Draft7, "if").is_some() {
            let condition = self.as_written(schema, "/if");
            let site = |keyword: &str| (schema.document, format!("{}/{keyword}", schema.pointer));
            let mut yes = self.ways_at(&site("if"), schema.depth, depth)?;
            if schema.get("then").is_some() {
                let then = self.ways_at(&site("then"), schema.depth, depth)?;
                yes = self.product(&yes, &then)?;
            }
            let mut beside = self.under(condition, yes);
            beside.push(NOTHING);
            if schema.get("else").is_some() {
                let not = self.arena.not(condition);
                let no = self.ways_at(&site("else"), schema.depth, depth)?;
                beside.extend(self.under(not, no));
            }
            ways = self.product(&ways, &beside)?;
        }
        for keyword in ["dependencies", "dependentSchemas"] {
            let Some(Value::Object(dependencies)) = schema.get(keyword) else { continue };
            if keyword == "dependentSchemas" && schema.draft < Draft::Draft201909 {
                continue;
            }
            for (name, _) in dependencies.iter().filter(|(_, value)| value.is_object()) {
                let condition = self.object_with(name);
                let pointer = format!("{}/{keyword}/{}", schema.pointer, escape(name));
                let more = self.ways_at(&(schema.document, pointer), schema.depth, depth)?;
                let mut beside = self.under(condition, more);
                beside.push(NOTHING);
                ways = self.product(&ways, &beside)?;
            }
        }
        Some(ways)
    }

    fn ways_at(&mut self, site: &(usize, String), level: usize, depth: usize) -> Option<Vec<Way>> {
        match self.schema(site, level) {
            Some(schema) => self.ways(&schema, true, depth + 1),
            None => Some(vec![NOTHING]),
        }
    }

    /// What the keywords beside the branches look at.
    fn own(&mut self, schema: &Schema<'a>, inner: bool) -> Way {
        let modern = schema.draft >= Draft::Draft201909;
        let all_names = schema.get("additionalProperties").is_some()
            || inner && modern && schema.get("unevaluatedProperties").is_some();
        let names = if all_names { TRUE } else { self.declared(schema) };
        let (tuple, rest) = tuple_of(schema);
        let all_items = rest.is_some() || inner && modern && schema.get("unevaluatedItems").is_some();
        let items = if all_items { None } else { Some(tuple.map_or(0, |(_, count)| count as u64)) };
        // From 2020-12 on by the specification, and one draft earlier by the validator.
        let such = if schema.since(Draft::Draft201909, "contains").is_some() {
            self.as_written(schema, "/contains")
        } else {
            FALSE
        };
        Way { condition: TRUE, names, items, such }
    }

    fn under(&mut self, condition: Id, ways: Vec<Way>) -> Vec<Way> {
        ways.into_iter().map(|way| Way { condition: self.arena.all([condition, way.condition]), ..way }).collect()
    }

    /// One way of each.
    fn product(&mut self, ways: &[Way], more: &[Way]) -> Option<Vec<Way>> {
        let mut product = BTreeSet::new();
        for a in ways {
            for b in more {
                let way = Way {
                    condition: self.arena.all([a.condition, b.condition]),
                    names: self.arena.any([a.names, b.names]),
                    items: a.items.zip(b.items).map(|(a, b)| a.max(b)),
                    such: self.arena.any([a.such, b.such]),
                };
                product.insert(way);
            }
            if product.len() > MAX_WAYS {
                return None;
            }
        }
        Some(product.into_iter().collect())
    }
}
