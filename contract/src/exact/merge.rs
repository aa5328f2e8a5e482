//! Schemas that all must hold, as one: `allOf` and references beside other keywords, read in a single sweep.
//!
//! Only where nothing is lost by it. A run that tells, or that counts evaluated parts, goes by the schemas as they are.

use std::{collections::HashMap, sync::Arc};

use super::{
    node::{ANY, Branches, Id, Node, ObjectRules},
    table::Table,
};

/// Gives each node of which all parts can be read at once a second one that does so.
pub(super) fn merge(nodes: &mut Vec<Node>) {
    // Parts of parts may go on meeting in ever new sets: a few more nodes than there are is enough for real schemas.
    let most = nodes.len() * 2 + 64;
    let mut known: HashMap<Vec<Id>, Id> = HashMap::new();
    let mut at = 0;
    while at < nodes.len() && nodes.len() < most {
        if let Some(parts) = parts(nodes, at)
            && parts.len() > 1
        {
            match known.get(&parts) {
                Some(merged) => set(nodes, at, *merged),
                None => {
                    if let Some(node) = together(nodes, &parts)
                        && let Ok(id) = Id::try_from(nodes.len())
                    {
                        nodes.push(node);
                        set(nodes, at, id);
                        known.insert(parts, id);
                    }
                }
            }
        }
        at += 1;
    }
}

fn set(nodes: &mut [Node], at: usize, merged: Id) {
    if let Some(node) = nodes.get_mut(at).filter(|_| at != merged as usize) {
        node.merged = Some(merged);
    }
}

/// The node and all that it demands besides, by number, each once. None where there is too much of it.
fn parts(nodes: &[Node], at: usize) -> Option<Vec<Id>> {
    const MOST: usize = 64;
    let mut parts = vec![Id::try_from(at).ok()?];
    let mut next = 0;
    while let Some(id) = parts.get(next) {
        next += 1;
        let Some(branches) = nodes.get(*id as usize)?.branches.as_deref() else { continue };
        for id in branches.references.iter().chain(&branches.all_of) {
            if *id != ANY && !parts.contains(id) {
                parts.push(*id);
            }
        }
        if parts.len() > MOST {
            return None;
        }
    }
    Some(parts)
}

/// More than one of the parts has a rule of a kind.
struct Several;

/// What only one of the parts has, if any has it.
fn only<'n, T>(all: &[&'n Node], get: impl Fn(&'n Node) -> Option<&'n T>) -> Result<Option<&'n T>, Several> {
    let mut found = all.iter().filter_map(|node| get(node));
    let first = found.next();
    if found.next().is_some() { Err(Several) } else { Ok(first) }
}

fn together(nodes: &mut Vec<Node>, ids: &[Id]) -> Option<Node> {
    let all: Vec<&Node> = ids.iter().map(|id| nodes.get(*id as usize)).collect::<Option<_>>()?;
    let counts_evaluated = |node: &&Node| {
        node.array.as_deref().is_some_and(|rules| rules.unevaluated.is_some())
            || node.object.as_deref().is_some_and(|rules| rules.unevaluated.is_some())
    };
    if all.iter().any(counts_evaluated) {
        return None;
    }
    let mut merged = Node::new(all.first().map_or("", |node| &node.pointer));
    merged.kinds = all.iter().fold(merged.kinds, |kinds, node| kinds & node.kinds);
    merged.values = only(&all, |node| node.values.as_ref()).ok()?.map(Arc::clone);
    merged.text = only(&all, |node| node.text.as_ref()).ok()?.map(Arc::clone);
    merged.number = only(&all, |node| node.number.as_ref()).ok()?.map(Arc::clone);
    merged.array = only(&all, |node| node.array.as_ref()).ok()?.map(Arc::clone);
    let branches: Vec<&Branches> = all.iter().filter_map(|node| node.branches.as_deref()).collect();
    let mut further = Branches::default();
    for part in branches {
        let twice = !further.any_of.is_empty() && !part.any_of.is_empty()
            || !further.one_of.is_empty() && !part.one_of.is_empty()
            || further.not.is_some() && part.not.is_some()
            || further.condition.is_some() && part.condition.is_some();
        if twice || !part.library.is_empty() {
            return None;
        }
        further.any_of.extend(&part.any_of);
        further.one_of.extend(&part.one_of);
        further.not = further.not.or(part.not);
        further.condition = further.condition.or(part.condition);
    }
    merged.branches = (!further.is_empty()).then(|| Box::new(further));
    if let Ok(one) = only(&all, |node| node.object.as_ref()) {
        merged.object = one.map(Arc::clone);
        return Some(merged);
    }
    let objects: Vec<Arc<ObjectRules>> = all.iter().filter_map(|node| node.object.clone()).collect();
    merged.object = Some(Arc::new(object(nodes, &objects)?));
    Some(merged)
}

/// One table of all names. Rules for names that are in no table stand against that.
fn object(nodes: &mut Vec<Node>, all: &[Arc<ObjectRules>]) -> Option<ObjectRules> {
    let open = |rules: &Arc<ObjectRules>| rules.patterns.is_empty() && rules.additional.is_none_or(|id| id == ANY);
    if !all.iter().all(open) || all.iter().filter(|rules| rules.names.is_some()).count() > 1 {
        return None;
    }
    let mut names: Vec<Box<str>> = Vec::new();
    let mut slots: HashMap<Box<str>, usize> = HashMap::new();
    let mut merged = ObjectRules::default();
    let mut properties: Vec<Vec<Id>> = Vec::new();
    for rules in all {
        let mut moved = Vec::new();
        for slot in 0..rules.table.len() {
            let name = rules.table.name(slot)?;
            let to = *slots.entry(name.into()).or_insert_with(|| {
                names.push(name.into());
                properties.push(Vec::new());
                names.len() - 1
            });
            moved.push(to);
            let id = rules.properties.get(slot).copied().flatten();
            let wanted = properties.get_mut(to)?;
            wanted.extend(id.filter(|id| *id != ANY && !wanted.contains(id)));
            if rules.required.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1) {
                merged.required.resize(merged.required.len().max(to / 64 + 1), 0);
                *merged.required.get_mut(to / 64)? |= 1 << (to % 64);
            }
        }
        let moved = |slot: &usize| moved.get(*slot).copied();
        for (slot, wanted) in &rules.dependent_names {
            merged.dependent_names.push((moved(slot)?, wanted.iter().map(moved).collect::<Option<_>>()?));
        }
        for (slot, id, evaluates) in &rules.dependent_schemas {
            merged.dependent_schemas.push((moved(slot)?, *id, *evaluates));
        }
        merged.least = merged.least.max(rules.least);
        merged.most = merged.most.into_iter().chain(rules.most).min();
        merged.names = merged.names.or(rules.names);
    }
    for wanted in properties {
        merged.properties.push(match wanted.as_slice() {
            [] => None,
            [only] => Some(*only),
            _ => {
                let mut both = Node::new("");
                both.branches = Some(Box::new(Branches { all_of: wanted, ..Branches::default() }));
                nodes.push(both);
                Some(Id::try_from(nodes.len() - 1).ok()?)
            }
        });
    }
    merged.table = Table::new(names);
    Some(merged)
}
