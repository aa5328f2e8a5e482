//! Rust types by typify: each lowered type becomes the tokens to write it with, `Box` where it holds itself.
//!
//! Every item is shown to typify as a struct of its parts under made-up names, so typify decides what the parts are
//! written as, and nothing about names, attributes and which alternative is which. typify panics on what it doesn't
//! know; that is caught, and the one part that it can't take stays JSON.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use serde_json::{Map, Value, json};
use syn::{
    Item as SynItem, Path, Type as SynType,
    visit_mut::{self, VisitMut},
};

use crate::{
    lower::{Space, Type, index_of, placeholder},
    names::ident,
};

/// Above so many parts, a space that typify refuses as a whole is not searched for the culprit.
const MAX_SEARCH: usize = 500;

/// For each item of a space, the Rust type of each of its parts but for the `Option` around one that may be null, in
/// the order of `Shape::types`.
pub(crate) type Written = Vec<Vec<SynType>>;

/// Writes all types of `space`; parts that typify can't take become JSON in `space` itself, and are returned as
/// sentences about them.
///
/// # Errors
/// What typify said when nothing helps.
pub(crate) fn write(space: &mut Space, prelude: &Prelude) -> Result<(Written, Vec<String>), String> {
    let refusal = match attempt(space) {
        Ok(written) => return Ok((finish(written, space, prelude), Vec::new())),
        Err(refusal) => refusal,
    };
    let slots: Vec<(usize, usize)> = space
        .items
        .iter()
        .enumerate()
        .flat_map(|(item, _)| (0..space.types_of(item).len()).map(move |part| (item, part)))
        .collect();
    if slots.len() > MAX_SEARCH {
        return Err(refusal);
    }
    let mut narrowed = space.clone();
    for &(item, part) in &slots {
        replace(&mut narrowed, item, part, Type::any());
    }
    attempt(&narrowed)?;
    let mut lost = Vec::new();
    for &(item, part) in &slots {
        let Some(ty) = space.types_of(item).get(part).copied().cloned() else {
            continue;
        };
        replace(&mut narrowed, item, part, ty);
        if let Err(refusal) = attempt(&narrowed) {
            replace(&mut narrowed, item, part, Type::any());
            let name = space.items.get(item).map(|item| item.name.as_str()).unwrap_or_default();
            lost.push(format!("part {} of `{name}` has no Rust type and stays JSON: {refusal}", part + 1));
        }
    }
    let written = attempt(&narrowed)?;
    *space = narrowed;
    Ok((finish(written, space, prelude), lost))
}

fn replace(space: &mut Space, item: usize, part: usize, ty: Type) {
    if let Some(slot) = space.items.get_mut(item).and_then(|item| item.shape.types_mut().into_iter().nth(part)) {
        *slot = ty;
    }
}

/// What typify writes for each part, still under made-up names.
fn attempt(space: &Space) -> Result<Written, String> {
    let mut written: Vec<Vec<Option<SynType>>> = Vec::with_capacity(space.items.len());
    // The parts that typify has not written before, with what they are known by from then on.
    let mut asked: BTreeMap<(usize, usize), Option<String>> = BTreeMap::new();
    let mut definitions = Map::new();
    let within = within(space);
    for index in 0..space.items.len() {
        let types = space.types_of(index);
        let mut parts = Vec::with_capacity(types.len());
        let mut properties = Map::new();
        for (part, ty) in types.into_iter().enumerate() {
            // An item that this one is no part of is written by its name, whoever is asked.
            if let Some(known) = ty.as_item().filter(|item| within.get(*item).is_some_and(|all| !all.contains(&index)))
            {
                let name = Ident::new(&placeholder(known), Span::call_site());
                parts.push(Some(syn::parse_quote! { #name }));
                continue;
            }
            let ty = shown(&ty.core, space.plain);
            let text = ty.to_string();
            // What mentions an item may need a `Box` here, and not there.
            let key = (!text.contains(ITEM)).then_some(text);
            let known = key.as_ref().and_then(|key| KNOWN.with_borrow(|known| known.get(key).cloned()));
            if known.is_none() {
                asked.insert((index, part), key);
                properties.insert(format!("p{part}"), ty);
            }
            parts.push(known);
        }
        written.push(parts);
        let names: Vec<String> = properties.keys().cloned().collect();
        let schema = json!({
            "type": "object", "properties": properties, "required": names, "additionalProperties": false,
        });
        definitions.insert(placeholder(index), schema);
    }
    definitions.insert(LARGE.to_owned(), json!({ "type": "object", "properties": {}, "additionalProperties": false }));
    if asked.is_empty() {
        return complete(written);
    }
    let root: schemars::schema::RootSchema =
        serde_json::from_value(json!({ "definitions": definitions })).map_err(|error| error.to_string())?;
    let tokens = quietly(|| {
        let mut settings = typify::TypeSpaceSettings::default();
        settings.with_map_type("::std::collections::BTreeMap");
        let mut types = typify::TypeSpace::new(&settings);
        types.add_ref_types(root.definitions).map_err(|error| error.to_string())?;
        Ok::<TokenStream, String>(types.to_stream())
    })??;
    let file: syn::File = syn::parse2(tokens).map_err(|error| error.to_string())?;
    for item in file.items {
        let SynItem::Struct(item) = item else { continue };
        let Some(index) = index_of(&item.ident.to_string()) else { continue };
        for field in item.fields {
            let part = field.ident.and_then(|name| name.to_string().strip_prefix('p')?.parse().ok());
            let part: usize = part.ok_or("typify renamed a field")?;
            let Some(slot) = written.get_mut(index).and_then(|parts| parts.get_mut(part)) else { continue };
            if let Some(Some(key)) = asked.remove(&(index, part)) {
                KNOWN.with_borrow_mut(|known| known.insert(key, field.ty.clone()));
            }
            *slot = Some(field.ty);
        }
    }
    complete(written)
}

/// For each item, itself and all that it is made of; nothing where that would take long to find out.
fn within(space: &Space) -> Vec<BTreeSet<usize>> {
    /// So many items at most.
    const FEW: usize = 200;
    if space.items.len() > FEW {
        return Vec::new();
    }
    let made_of = |index: usize| {
        let mut direct = BTreeSet::new();
        for ty in space.types_of(index) {
            ty.for_each_item(&mut |item| {
                direct.insert(item);
            });
        }
        direct
    };
    let direct: Vec<BTreeSet<usize>> = (0..space.items.len()).map(made_of).collect();
    let all_of = |index: usize| {
        let (mut all, mut next) = (BTreeSet::from([index]), vec![index]);
        while let Some(item) = next.pop() {
            next.extend(direct.get(item).into_iter().flatten().copied().filter(|item| all.insert(*item)));
        }
        all
    };
    (0..space.items.len()).map(all_of).collect()
}

/// Every part, none of which may be missing.
fn complete(written: Vec<Vec<Option<SynType>>>) -> Result<Written, String> {
    let written: Option<Written> = written.into_iter().map(|parts| parts.into_iter().collect()).collect();
    written.ok_or_else(|| "typify left a part out".to_owned())
}

/// What a reference to an item looks like to typify.
const ITEM: &str = "#/definitions/T";

thread_local! {
    /// What typify wrote for types that mention no item: it is the same everywhere, and asking costs more than all else.
    static KNOWN: RefCell<BTreeMap<String, SynType>> = const { RefCell::new(BTreeMap::new()) };
}

/// What stands for an integer without bounds while typify works.
const LARGE: &str = "LargeInteger";

/// A type as typify is shown it: integers without bounds are none of its own.
fn shown(core: &Value, plain: bool) -> Value {
    match core {
        Value::Array(items) => items.iter().map(|item| shown(item, plain)).collect(),
        Value::Object(members) => {
            let is_integer = members.get("type").and_then(Value::as_str) == Some("integer");
            if is_integer && !plain && !members.contains_key("format") {
                return json!({ "$ref": format!("#/definitions/{LARGE}") });
            }
            Value::Object(members.iter().map(|(key, member)| (key.clone(), shown(member, plain))).collect())
        }
        other => other.clone(),
    }
}

/// Runs what may panic; the panic's message is returned, not printed.
fn quietly<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(action));
    QUIET.set(false);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown construct".to_owned())
    })
}

/// Puts real names for made-up ones, and the consumer's paths for typify's.
fn finish(mut written: Written, space: &Space, prelude: &Prelude) -> Written {
    for (index, types) in written.iter_mut().enumerate() {
        let module = space.module_of(index).filter(|_| space.joint);
        let mut rename = Rename { space, prelude, module };
        for ty in types {
            rename.visit_type_mut(ty);
        }
    }
    written
}

/// A path as tokens, each of its parts an identifier.
pub(crate) fn path_of(text: &str) -> TokenStream {
    let parts = text.split("::").map(|part| match part {
        "super" => Ident::new(part, Span::call_site()),
        part => ident(part),
    });
    quote! { #(#parts)::* }
}

struct Rename<'a> {
    space: &'a Space,
    prelude: &'a Prelude,
    /// The module of shared types that the type is written in.
    module: Option<&'a str>,
}

impl VisitMut for Rename<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(last) = path.segments.last().cloned() else { return };
        let head = match names.as_slice() {
            [LARGE] => quote! { ::celerysalt::Integer },
            [name] => match index_of(name).and_then(|index| self.space.path_to(index, self.module)) {
                Some(name) => path_of(&name),
                None => return,
            },
            ["std", _, name] => match self.prelude.get(name) {
                Some(known) => known,
                None => return,
            },
            ["serde_json", name] => {
                let name = ident(name);
                quote! { ::celerysalt::__private::serde_json::#name }
            }
            _ => return,
        };
        if let Ok(mut replacement) = syn::parse2::<Path>(head) {
            if let Some(segment) = replacement.segments.last_mut() {
                segment.arguments = last.arguments;
            }
            *path = replacement;
        }
    }
}

/// The names of the standard prelude, written in full where a generated type hides them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prelude {
    hidden: BTreeSet<String>,
}

impl Prelude {
    /// The prelude in a module that has `names`.
    pub(crate) fn new(names: BTreeSet<String>) -> Self {
        Self { hidden: names }
    }

    /// A name of the prelude, if it is one.
    fn get(&self, name: &str) -> Option<TokenStream> {
        let full = match name {
            "Option" => quote! { ::core::option::Option },
            "Some" => quote! { ::core::option::Option::Some },
            "None" => quote! { ::core::option::Option::None },
            "Result" => quote! { ::core::result::Result },
            "Ok" => quote! { ::core::result::Result::Ok },
            "Err" => quote! { ::core::result::Result::Err },
            "Into" => quote! { ::core::convert::Into },
            "From" => quote! { ::core::convert::From },
            "Default" => quote! { ::core::default::Default },
            "String" => quote! { ::std::string::String },
            "Vec" => quote! { ::std::vec::Vec },
            "Box" => quote! { ::std::boxed::Box },
            _ => return None,
        };
        if self.hidden.contains(name) {
            return Some(full);
        }
        let name = ident(name);
        Some(quote! { #name })
    }

    /// A name of the prelude.
    pub(crate) fn name(&self, name: &str) -> TokenStream {
        self.get(name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lower::{Field, Home, Item, Rank, Record, Shape};

    fn space(types: Vec<Type>) -> Space {
        let field = |(i, ty)| Field {
            key: format!("f{i}"),
            doc: String::new(),
            ty,
            required: true,
            default: None,
            null_by_default: false,
        };
        let fields = types.into_iter().enumerate().map(field).collect();
        let shape = Shape::Record(Record { fields, extra: None, closed: false, open: true });
        let item = Item {
            name: "Root".to_owned(),
            rank: Rank::Root,
            second_name: None,
            doc: String::new(),
            shape,
            identity: Vec::new(),
            home: Home::Here,
        };
        Space {
            items: vec![item],
            names: BTreeSet::new(),
            plain: false,
            shared: String::new(),
            bases: Vec::new(),
            joint: false,
        }
    }

    fn text(written: &Written) -> Vec<String> {
        written.iter().flatten().map(|ty| quote! { #ty }.to_string().replace(' ', "")).collect()
    }

    #[test]
    fn types_are_written_for_the_consumer() {
        let string = Type::scalar("string");
        let types = vec![
            string.clone(),
            Type::scalar("integer"),
            Type::array(&Type::any().or_null(true)),
            Type::map(&string.clone().or_null(true)),
            Type::map(&Type::any()),
            Type::tuple(&[Type::scalar("number"), Type::scalar("boolean")]),
            Type::item(0).or_null(true),
        ];
        let (written, lost) = write(&mut space(types), &Prelude::default()).unwrap();
        assert!(lost.is_empty());
        let json = "::celerysalt::__private::serde_json::";
        assert_eq!(
            text(&written),
            [
                "String",
                "::celerysalt::Integer",
                &format!("Vec<{json}Value>"),
                "::std::collections::BTreeMap<String,Option<String>>",
                &format!("{json}Map<String,{json}Value>"),
                "(f64,bool)",
                "Box<Root>",
            ]
        );
        let prelude = Prelude::new(["String".to_owned()].into());
        let (written, _) = write(&mut space(vec![string]), &prelude).unwrap();
        assert_eq!(text(&written), ["::std::string::String"]);
    }

    #[test]
    fn what_typify_can_not_take_stays_json_alone() {
        // typify panics on a reference to nothing.
        let mut space = space(vec![Type::scalar("string"), Type::item(7), Type::scalar("boolean")]);
        let (written, lost) = write(&mut space, &Prelude::default()).unwrap();
        assert_eq!(text(&written), ["String", "::celerysalt::__private::serde_json::Value", "bool"]);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].starts_with("part 2 of `Root` has no Rust type and stays JSON: "), "{}", lost[0]);
        assert!(space.items[0].shape.types()[1].is_any());
    }
}
