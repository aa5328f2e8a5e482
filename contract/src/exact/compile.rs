//! From a schema to a program: every sub-schema that can be reached becomes a node, references become numbers.
//!
//! Where a dynamic reference leads depends on the resources that were entered before. So a sub-schema is compiled once
//! for each way that it is entered which makes a difference, and no reference is left to be resolved at run time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    Explained, Way, keywords, merge,
    node::{ANY, Branches, Id, Node, Program},
    shortcut,
    tagged::{ByKind, Tagged},
};
use crate::{Draft, Formats, Validator, draft::is_position, for_each_subschema, library::Names, uri};

/// The most nodes of one program.
const MAX_NODES: usize = 50_000;
/// The most schemas that look at one value inside each other.
const MAX_CHAIN: usize = 256;

/// Why a schema is handed to the library as a whole.
pub(super) type Why = &'static str;

/// The program of a schema that [`Validator::new`] takes, and how each sub-schema is checked.
pub(super) fn compile(schema: &Value, draft: Draft) -> Result<(Program, Vec<Explained>), Why> {
    let mut compiler = Compiler::new(schema, draft)?;
    compiler.nodes.push(Node::new(""));
    let root = compiler.id(String::new(), &[])?;
    let mut at = 0;
    while let Some((id, place)) = compiler.queue.get(at).cloned() {
        at += 1;
        let node = keywords::node(&mut compiler, &place)?;
        if let Some(slot) = compiler.nodes.get_mut(id as usize) {
            *slot = node;
        }
    }
    let Compiler { nodes, mut explained, .. } = compiler;
    let mut program = Program { nodes, root, draft, schema: schema.clone() };
    shorten(&mut program);
    if longest_chain(&program.nodes) > MAX_CHAIN {
        return Err("more than 256 schemas inside each other look at the same value");
    }
    merge::merge(&mut program.nodes);
    for at in 0..program.nodes.len() {
        let branches = program.nodes.get(at).and_then(|node| node.branches.as_deref());
        let tagged = branches.and_then(|branches| Tagged::of(&program.nodes, branches));
        let by_kind = branches.and_then(|branches| ByKind::of(&program.nodes, branches));
        if let Some(branches) = program.nodes.get_mut(at).and_then(|node| node.branches.as_deref_mut()) {
            branches.tagged = tagged;
            branches.by_kind = by_kind;
        }
    }
    shortcut::add(&mut program.nodes);
    explained.sort_by(|a, b| a.pointer.cmp(&b.pointer).then(b.way.cmp(&a.way)));
    explained.dedup_by(|a, b| a.pointer == b.pointer && (a.why == b.why || a.way == Way::Compiled));
    Ok((program, explained))
}

/// A sub-schema, and the resources with dynamic anchors that were entered to get there, the first one first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) pointer: String,
    scope: Vec<usize>,
}

pub(super) struct Compiler<'a> {
    document: &'a Value,
    pub(super) draft: Draft,
    pub(super) formats: Formats,
    names: Names,
    nodes: Vec<Node>,
    known: HashMap<Place, Id>,
    queue: Vec<(Id, Place)>,
    /// Resources that hold dynamic anchors, by pointer.
    dynamic: Vec<Dynamic>,
    /// Whether any `unevaluated*` is asked for: then each node must be able to say what it evaluated.
    unevaluated: bool,
    explained: Vec<Explained>,
}

struct Dynamic {
    resource: String,
    /// Name and pointer of each `$dynamicAnchor`; nothing for `$recursiveAnchor`.
    anchors: Vec<(String, String)>,
}

impl<'a> Compiler<'a> {
    fn new(document: &'a Value, draft: Draft) -> Result<Self, Why> {
        let mut compiler = Self {
            document,
            draft,
            formats: Formats::of(document),
            names: Names::of(document, draft),
            nodes: Vec::new(),
            known: HashMap::new(),
            queue: Vec::new(),
            dynamic: Vec::new(),
            unevaluated: false,
            explained: Vec::new(),
        };
        let mut ids = HashSet::new();
        let mut anchors = HashSet::new();
        let mut stack = vec![(String::new(), document)];
        while let Some((pointer, schema)) = stack.pop() {
            let (id, resource) = compiler.names.resource(&pointer);
            let (id, resource) = (id.to_owned(), resource.to_owned());
            if resource == pointer && !id.is_empty() && !ids.insert(id.clone()) {
                return Err("two of its schemas have the same `$id`");
            }
            if schema.get("$schema").is_some() && Draft::of(schema) != Some(draft) {
                return Err("a schema inside it names a draft of its own");
            }
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let Some(name) = schema.get(keyword).and_then(Value::as_str)
                    && !anchors.insert((resource.clone(), keyword, name.to_owned()))
                {
                    return Err("two of its schemas have the same anchor");
                }
            }
            if let Some(name) = schema.get("$dynamicAnchor").and_then(Value::as_str)
                && draft == Draft::Draft202012
            {
                compiler.dynamic(&resource).anchors.push((name.to_owned(), pointer.clone()));
            }
            if schema.get("$recursiveAnchor") == Some(&Value::Bool(true))
                && draft == Draft::Draft201909
                && resource == pointer
            {
                compiler.dynamic(&resource);
            }
            compiler.unevaluated |= draft >= Draft::Draft201909
                && (schema.get("unevaluatedProperties").is_some() || schema.get("unevaluatedItems").is_some());
            for_each_subschema(schema, draft, &mut |place, inner| stack.push((place.below(&pointer), inner)));
        }
        Ok(compiler)
    }

    fn dynamic(&mut self, resource: &str) -> &mut Dynamic {
        let at = self.dynamic.iter().position(|known| known.resource == resource).unwrap_or_else(|| {
            self.dynamic.push(Dynamic { resource: resource.to_owned(), anchors: Vec::new() });
            self.dynamic.len() - 1
        });
        &mut self.dynamic[at]
    }

    /// The node of the schema at `pointer`, as it is when entered from `scope`.
    fn id(&mut self, pointer: String, scope: &[usize]) -> Result<Id, Why> {
        let mut scope = scope.to_vec();
        if !self.dynamic.is_empty() {
            let resource = self.names.resource(&pointer).1;
            let entered = self.dynamic.iter().position(|known| known.resource == resource);
            scope.extend(entered.filter(|entered| !scope.contains(entered)));
        }
        let place = Place { pointer, scope };
        if let Some(id) = self.known.get(&place) {
            return Ok(*id);
        }
        let id = Id::try_from(self.nodes.len()).ok().filter(|id| (*id as usize) < MAX_NODES);
        let id = id.ok_or("there are too many ways to enter its schemas")?;
        self.nodes.push(Node::new(&place.pointer));
        self.known.insert(place.clone(), id);
        self.queue.push((id, place));
        Ok(id)
    }

    pub(super) fn schema(&self, place: &Place) -> Option<&'a Value> {
        self.document.pointer(&place.pointer)
    }

    /// The node of the schema that stands at `below`, seen from `place`.
    pub(super) fn inner(&mut self, place: &Place, below: &str) -> Result<Id, Why> {
        self.id(format!("{}{below}", place.pointer), &place.scope)
    }

    /// The same, if there is such a keyword.
    pub(super) fn optional(
        &mut self,
        place: &Place,
        schema: &Map<String, Value>,
        keyword: &str,
    ) -> Result<Option<Id>, Why> {
        match schema.get(keyword) {
            Some(Value::Object(_) | Value::Bool(_)) => Ok(Some(self.inner(place, &format!("/{keyword}"))?)),
            Some(_) => Err("a keyword has a value that it can't have"),
            None => Ok(None),
        }
    }

    /// Notes how the schema at a pointer is checked.
    pub(super) fn explain(&mut self, pointer: String, way: Way, why: &'static str) {
        self.explained.push(Explained { pointer, way, why });
    }

    /// The schemas that `$ref` and its kin lead to.
    pub(super) fn references(
        &mut self,
        place: &Place,
        schema: &Map<String, Value>,
        branches: &mut Branches,
    ) -> Result<(), Why> {
        let text = |keyword: &str| match schema.get(keyword) {
            Some(Value::String(reference)) => Ok(Some(reference.as_str())),
            Some(_) => Err("a reference is no text"),
            None => Ok(None),
        };
        if let Some(reference) = text("$ref")? {
            match self.names.local(&place.pointer, reference) {
                Some(target) => {
                    let id = self.target(target, &place.scope)?;
                    branches.references.push(id);
                }
                None => branches.library.push(self.foreign(place, reference)?),
            }
        }
        if self.draft == Draft::Draft202012
            && let Some(reference) = text("$dynamicRef")?
        {
            let target = self.names.local(&place.pointer, reference).ok_or("a dynamic reference leads out of it")?;
            let name = uri::decode(reference.split_once('#').map_or("", |(_, fragment)| fragment));
            let is_dynamic = self.document.pointer(&target).and_then(|schema| schema.get("$dynamicAnchor"))
                == Some(&Value::from(name.as_str()));
            let outermost = place
                .scope
                .iter()
                .filter_map(|entered| self.dynamic.get(*entered))
                .find_map(|resource| resource.anchors.iter().find(|(anchor, _)| *anchor == name))
                .filter(|_| is_dynamic)
                .map(|(_, pointer)| pointer.clone());
            let id = self.target(outermost.unwrap_or(target), &place.scope)?;
            branches.references.push(id);
        }
        if self.draft == Draft::Draft201909
            && let Some(reference) = text("$recursiveRef")?
        {
            let target = self.names.local(&place.pointer, reference).ok_or("a recursive reference leads out of it")?;
            let is_recursive = self.document.pointer(&target).and_then(|schema| schema.get("$recursiveAnchor"))
                == Some(&Value::Bool(true));
            let outermost = place
                .scope
                .first()
                .and_then(|entered| self.dynamic.get(*entered))
                .filter(|_| is_recursive)
                .map(|resource| resource.resource.clone());
            let id = self.target(outermost.unwrap_or(target), &place.scope)?;
            branches.references.push(id);
        }
        Ok(())
    }

    fn target(&mut self, pointer: String, scope: &[usize]) -> Result<Id, Why> {
        let Some(schema) = self.document.pointer(&pointer) else { return Err("a reference leads to nothing") };
        // What stands where no schema is expected may hold names that nobody collected.
        if !is_position(self.document, self.draft, &pointer) {
            let mut stack = vec![schema];
            while let Some(value) = stack.pop() {
                if value.as_object().is_some_and(|members| {
                    members.keys().any(|key| key.starts_with('$') || key == "id" || key.starts_with("unevaluated"))
                }) {
                    return Err("a reference leads to a place where no schema is expected");
                }
                stack.extend(value.as_array().into_iter().flatten());
                stack.extend(value.as_object().into_iter().flat_map(Map::values));
            }
        }
        self.id(pointer, scope)
    }

    /// A reference to what only the library has: the meta-schemas.
    fn foreign(&mut self, place: &Place, reference: &str) -> Result<Validator, Why> {
        if self.unevaluated {
            return Err("it counts evaluated parts, and refers to a meta-schema");
        }
        let (location, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let location = uri::join(self.names.resource(&place.pointer).0, location);
        let mut wrapper = Map::new();
        wrapper.insert("$schema".to_owned(), Value::from(self.draft.uri()));
        wrapper.insert("$ref".to_owned(), Value::from(format!("{location}#{fragment}")));
        let validator = Validator::new(&Value::Object(wrapper)).map_err(|_| "a reference leads to another document")?;
        self.explain(place.pointer.clone(), Way::Library, "it refers to a meta-schema");
        Ok(validator)
    }
}

/// Takes references that are nothing but that out of the way, and what takes every value.
fn shorten(program: &mut Program) {
    let nodes = &program.nodes;
    let settled: Vec<Id> = (0..nodes.len())
        .map(|start| {
            let mut at = start;
            // There is no circle: a reference that leads to itself is refused before. The count is for safety.
            for _ in 0..nodes.len() {
                match nodes.get(at).and_then(|node| node.alias) {
                    Some(next) => at = next as usize,
                    None => break,
                }
            }
            let any = nodes.get(at).is_some_and(Node::is_any);
            if any { ANY } else { Id::try_from(at).unwrap_or(ANY) }
        })
        .collect();
    let settle = |id: &mut Id| {
        if let Some(target) = settled.get(*id as usize) {
            *id = *target;
        }
    };
    settle(&mut program.root);
    for node in &mut program.nodes {
        if let Some(array) = node.array.as_mut().and_then(Arc::get_mut) {
            array.prefix.iter_mut().chain(&mut array.rest).chain(&mut array.unevaluated).for_each(settle);
            array.contains.iter_mut().for_each(|contains| settle(&mut contains.node));
        }
        if let Some(object) = node.object.as_mut().and_then(Arc::get_mut) {
            object.properties.iter_mut().flatten().for_each(settle);
            object.patterns.iter_mut().for_each(|(_, id)| settle(id));
            object.dependent_schemas.iter_mut().for_each(|(_, id, _)| settle(id));
            object.additional.iter_mut().chain(&mut object.names).chain(&mut object.unevaluated).for_each(settle);
        }
        if let Some(branches) = &mut node.branches {
            let lists = [&mut branches.references, &mut branches.all_of, &mut branches.any_of, &mut branches.one_of];
            lists.into_iter().flatten().chain(&mut branches.not).for_each(settle);
            if let Some(condition) = &mut branches.condition {
                settle(&mut condition.test);
                condition.then.iter_mut().chain(&mut condition.otherwise).for_each(settle);
            }
        }
    }
}

/// The nodes that look at the same value as `node`.
fn same_value(node: &Node) -> Vec<Id> {
    let mut inner = Vec::new();
    if let Some(branches) = &node.branches {
        inner.extend(
            [&branches.references, &branches.all_of, &branches.any_of, &branches.one_of].into_iter().flatten().copied(),
        );
        inner.extend(branches.not);
        if let Some(condition) = &branches.condition {
            inner.push(condition.test);
            inner.extend(condition.then.iter().chain(&condition.otherwise).copied());
        }
    }
    if let Some(object) = &node.object {
        inner.extend(object.dependent_schemas.iter().map(|(_, id, _)| *id));
    }
    inner
}

/// How many nodes at most look at one value inside each other. Without recursion; circles there are none, or there is
/// no end to the chain.
fn longest_chain(nodes: &[Node]) -> usize {
    let mut lengths: Vec<Option<usize>> = vec![None; nodes.len()];
    let mut longest = 0;
    let edges: usize = nodes.iter().map(|node| same_value(node).len()).sum();
    let mut steps = 2 * (edges + nodes.len());
    for start in 0..nodes.len() {
        let mut stack = vec![start];
        while let Some(at) = stack.last().copied() {
            let Some(left) = steps.checked_sub(1) else { return usize::MAX };
            steps = left;
            let inner = nodes.get(at).map(same_value).unwrap_or_default();
            let known = |id: &Id| lengths.get(*id as usize).copied().flatten();
            let open: Vec<usize> = inner.iter().filter(|id| known(id).is_none()).map(|id| *id as usize).collect();
            if open.is_empty() {
                let length = 1 + inner.iter().filter_map(known).max().unwrap_or(0);
                longest = longest.max(length);
                if let Some(slot) = lengths.get_mut(at) {
                    *slot = Some(length);
                }
                stack.pop();
            } else {
                stack.extend(open);
            }
        }
    }
    longest
}
