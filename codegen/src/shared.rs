//! Types that several documents are made of are written once: those of fragments (files below a folder that begins with
//! `_`), and definitions that more than one document refers to.
//!
//! Two documents mean the same type when they were made of the same schemas of the same files. What an item is made of
//! must be shared as well, so shared types never look back into a contract's own module.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    lower::{Home, Item, Shape, Space, index_of, placeholder},
    names::{Scope, module_name},
};

/// What several documents have in common.
pub(crate) struct Shared {
    /// All shared items, those of bases as well.
    pub(crate) space: Space,
    /// The modules that they are written in, by name.
    pub(crate) modules: BTreeMap<String, Module>,
}

/// The types of one file.
#[derive(Default)]
pub(crate) struct Module {
    /// The file, relative to the folder of schemas.
    pub(crate) file: String,
    /// Items that are types.
    pub(crate) types: Vec<usize>,
    /// Items that are traits: fragments that others are made of.
    pub(crate) traits: Vec<Family>,
}

/// A fragment that several types are made of.
pub(crate) struct Family {
    /// The struct that it would be.
    pub(crate) item: usize,
    /// The families that its members belong to as well.
    pub(crate) parents: Vec<usize>,
}

type Identity = Vec<String>;

/// Where an item of some identity stands: which space, which item.
type Places = BTreeMap<Identity, Vec<(usize, usize)>>;

/// Finds what the documents of all versions share, and has them refer to it. Plain types share nothing.
pub(crate) fn find(versions: &mut [Vec<Space>]) -> Shared {
    let lengths: Vec<usize> = versions.iter().map(Vec::len).collect();
    let mut spaces: Vec<Space> = versions.iter_mut().flat_map(std::mem::take).collect();
    let shared = find_in(&mut spaces);
    let mut spaces = spaces.into_iter();
    for (version, length) in versions.iter_mut().zip(lengths) {
        *version = spaces.by_ref().take(length).collect();
    }
    shared
}

fn find_in(spaces: &mut [Space]) -> Shared {
    let mut types = Places::new();
    let mut bases = Places::new();
    for (space_index, space) in spaces.iter().enumerate().filter(|(_, space)| !space.plain) {
        let base_items: BTreeSet<usize> = space.bases.iter().map(|base| base.item).collect();
        for (index, item) in space.items.iter().enumerate().skip(1) {
            let places = if base_items.contains(&index) { &mut bases } else { &mut types };
            places.entry(item.identity.clone()).or_default().push((space_index, index));
        }
    }
    keep_common(spaces, &mut types);
    let known: BTreeSet<Identity> = types.keys().cloned().collect();
    bases.retain(|_, places| is_one(spaces, places) && is_made_of(spaces, places, &known));
    let shared = join(spaces, &types, &bases);
    for (identity, places) in types.iter().chain(&bases) {
        let home = shared.space.items.iter().find(|item| item.identity == *identity).map(|item| item.home.clone());
        for &(space, index) in places {
            if let (Some(home), Some(item)) =
                (&home, spaces.get_mut(space).and_then(|space| space.items.get_mut(index)))
            {
                item.home = home.clone();
            }
        }
    }
    shared
}

/// Drops what is no common type: what only one document has, what differs, and what is made of something that is none.
fn keep_common(spaces: &[Space], types: &mut Places) {
    types.retain(|identity, places| {
        let documents: BTreeSet<usize> = places.iter().map(|(space, _)| *space).collect();
        let of_files = identity.iter().filter(|entry| entry.contains('#'));
        let is_fragment = of_files.clone().count() > 0 && of_files.clone().all(|entry| entry.starts_with('_'));
        (documents.len() > 1 || is_fragment) && is_one(spaces, places)
    });
    loop {
        let known: BTreeSet<Identity> = types.keys().cloned().collect();
        types.retain(|_, places| is_made_of(spaces, places, &known));
        if types.len() == known.len() {
            return;
        }
    }
}

fn items<'a>(spaces: &'a [Space], places: &'a [(usize, usize)]) -> impl Iterator<Item = (&'a Space, &'a Item)> {
    places.iter().filter_map(|(space, index)| {
        let space = spaces.get(*space)?;
        Some((space, space.items.get(*index)?))
    })
}

/// Whether the items of all places are the same type.
fn is_one(spaces: &[Space], places: &[(usize, usize)]) -> bool {
    let mut texts = items(spaces, places).map(|(space, item)| structure(space, item));
    let first = texts.next();
    texts.all(|text| Some(text) == first)
}

/// Whether everything that a type mentions is known.
fn is_made_of(spaces: &[Space], places: &[(usize, usize)], known: &BTreeSet<Identity>) -> bool {
    items(spaces, places).take(1).all(|(space, item)| {
        let mut all_known = true;
        for ty in item.shape.types() {
            ty.for_each_item(&mut |index| {
                all_known &= space.items.get(index).is_some_and(|item| known.contains(&item.identity));
            });
        }
        all_known
    })
}

/// An item as a text that is equal for equal types.
fn structure(space: &Space, item: &Item) -> String {
    match &item.shape {
        Shape::Record(record) => {
            let fields: Vec<String> = record
                .fields
                .iter()
                .map(|field| {
                    let ty = space.signature(&field.ty);
                    let (required, by_default) = (field.required, field.null_by_default);
                    format!("{:?} {:?} {ty} {required} {:?} {by_default}", field.key, field.doc, field.default)
                })
                .collect();
            let extra = record.extra.as_ref().map(|extra| space.signature(extra));
            format!("{fields:?} {extra:?} {} {}", record.closed, record.open)
        }
        // Which of the words is the default depends on where they are used.
        Shape::Words(words) => format!("{:?} {}", words.values, words.open),
        Shape::Union(union) => {
            let variants = union
                .variants
                .iter()
                .map(|variant| format!("{:?} {:?} {}", variant.name, variant.tag, space.signature(&variant.ty)));
            format!("{:?} {:?}", union.tag, variants.collect::<Vec<_>>())
        }
        Shape::Alias(ty) => space.signature(ty),
    }
}

/// Puts all shared items into one space, and gives each its module and its name.
fn join(spaces: &[Space], types: &Places, bases: &Places) -> Shared {
    let identities: Vec<&Identity> = types.keys().chain(bases.keys()).collect();
    let new_index: BTreeMap<&Identity, usize> =
        identities.iter().enumerate().map(|(index, identity)| (*identity, index)).collect();
    let mut joint: Vec<Item> = Vec::with_capacity(identities.len());
    for places in types.values().chain(bases.values()) {
        let Some((space, item)) = items(spaces, places).next() else { continue };
        let mut item = item.clone();
        if let Shape::Words(words) = &mut item.shape {
            let agreed = items(spaces, places).all(|(_, other)| match &other.shape {
                Shape::Words(other) => other.default == words.default,
                _ => false,
            });
            words.default = words.default.take().filter(|_| agreed);
        }
        for ty in item.shape.types_mut() {
            renumber(&mut ty.core, space, &new_index);
        }
        joint.push(item);
    }
    let mut modules = name(&mut joint, types.len());
    for (identity, places) in bases {
        let Some(index) = new_index.get(identity) else { continue };
        let own = items(spaces, places).next().map(|(space, item)| (space, &item.identity));
        let parents = own.into_iter().flat_map(|(space, identity)| {
            let base = space
                .bases
                .iter()
                .find(|base| space.items.get(base.item).is_some_and(|item| item.identity == *identity));
            base.map(|base| base.bases.clone()).unwrap_or_default()
        });
        let parents = parents.filter_map(|parent| new_index.get(&parent).copied()).collect();
        if let Some(Home::Shared(module, _)) = joint.get(*index).map(|item| item.home.clone()) {
            modules.entry(module).or_default().traits.push(Family { item: *index, parents });
        }
    }
    let names = joint.iter().map(|item| item.name.clone()).collect();
    let plain = false;
    let space = Space { items: joint, names, plain, shared: "super".to_owned(), bases: Vec::new(), joint: true };
    Shared { space, modules }
}

fn renumber(schema: &mut Value, space: &Space, new_index: &BTreeMap<&Identity, usize>) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| renumber(item, space, new_index)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| renumber(member, space, new_index)),
        Value::String(text) => {
            let target = text.strip_prefix("#/definitions/").and_then(index_of).and_then(|old| space.items.get(old));
            if let Some(index) = target.and_then(|item| new_index.get(&item.identity)) {
                *text = format!("#/definitions/{}", placeholder(*index));
            }
        }
        _ => (),
    }
}

/// Names the items, module by module: the first `types` of them are types, the others traits, which come second.
fn name(joint: &mut [Item], types: usize) -> BTreeMap<String, Module> {
    let mut by_file: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, item) in joint.iter().enumerate() {
        by_file.entry(file_of(item)).or_default().push(index);
    }
    let mut scope = Scope::of_fields();
    let mut modules = BTreeMap::new();
    for (file, mut members) in by_file {
        let stem = file.strip_suffix(".json").unwrap_or(&file).trim_start_matches('_');
        let module = scope.take(&module_name(stem));
        let mut names = Scope::of_types();
        let rank = |index: &usize| (*index >= types, joint.get(*index).map(|item| item.rank), *index);
        members.sort_by_key(rank);
        for &index in &members {
            let Some(item) = joint.get_mut(index) else { continue };
            let is_free = |name: &String| !names.has(name);
            let second = item.second_name.take().filter(|_| !is_free(&item.name));
            let wanted = second.unwrap_or_else(|| item.name.clone());
            let wanted = if index >= types && !is_free(&wanted) { format!("{wanted}Fields") } else { wanted };
            item.name = names.take(&wanted);
            item.home = Home::Shared(module.clone(), item.name.clone());
        }
        members.retain(|index| *index < types);
        modules.insert(module, Module { file, types: members, traits: Vec::new() });
    }
    modules
}

/// The file that an item was first of all written in.
fn file_of(item: &Item) -> String {
    let entry = item.identity.iter().find_map(|entry| entry.split_once('#'));
    entry.map(|(file, _)| file.to_owned()).unwrap_or_default()
}
