//! What the members of a family have in common: a trait of accessors for each fragment that events are made of, so that
//! logic is written once for all of them.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::{
    docs,
    items::{FieldCode, Items, Presence},
    lower::{Shape, Space, Type},
    names::ident,
    shared::{Family, Shared},
    types::{self, Prelude, path_of},
};

/// The modules of shared types, one a file, with the traits of the fragments in them.
///
/// # Errors
/// What typify said when nothing helps.
pub(crate) fn modules(shared: Shared, name: &str) -> Result<TokenStream, String> {
    let Shared { mut space, modules } = shared;
    if modules.is_empty() {
        return Ok(TokenStream::new());
    }
    let prelude = Prelude::new(space.names.clone());
    let (written, _) = types::write(&mut space, &prelude)?;
    let items = Items::new(&space, &written, &prelude);
    let modules = modules.iter().map(|(name, module)| {
        let types = items.code_of(module.types.iter().copied());
        let traits: TokenStream = module.traits.iter().map(|family| declare(family, name, &items)).collect();
        let about = docs::outer(&format!("From {}.", docs::code(&module.file)));
        let name = ident(name);
        quote! {
            #about
            pub mod #name {
                use ::celerysalt::__private;
                #types
                #traits
            }
        }
    });
    let (quiet, name) = (docs::quiet(), ident(name));
    Ok(quote! {
        /// What several contracts have in common, one module a file.
        #quiet
        pub mod #name { #(#modules)* }
    })
}

/// The trait of a fragment, in the module of its file.
fn declare(family: &Family, module: &str, items: &Items<'_>) -> TokenStream {
    let space = items.space;
    let Some(item) = space.items.get(family.item) else { return TokenStream::new() };
    let name = ident(&item.name);
    let parents: Vec<TokenStream> = family
        .parents
        .iter()
        .filter_map(|parent| space.path_to(*parent, Some(module)))
        .map(|name| path_of(&name))
        .collect();
    let parents = (!parents.is_empty()).then(|| quote! { : #(#parents)+* });
    let doc = if item.doc.is_empty() { "What several types have in common.".to_owned() } else { item.doc.clone() };
    let doc = docs::outer(&doc);
    let methods = items.fields(family.item).into_iter().zip(types_of(space, family.item)).map(|(field, ty)| {
        let method = &field.ident;
        let doc = docs::outer(if field.doc.is_empty() { field.key.as_str() } else { field.doc.as_str() });
        let returned = returned(space, ty, &field, items.prelude);
        quote! {
            #doc
            fn #method(&self) -> #returned;
        }
    });
    quote! {
        #doc
        pub trait #name #parents { #(#methods)* }
    }
}

/// The traits that the document's own type implements; nothing for a fragment whose properties it has with other types.
pub(crate) fn implement(name: &Ident, items: &Items<'_>) -> TokenStream {
    let space = items.space;
    let own: Vec<(FieldCode, &Type)> = items.fields(0).into_iter().zip(types_of(space, 0)).collect();
    let members = |base: usize| -> Option<Vec<TokenStream>> {
        let wanted = items.fields(base).into_iter().zip(types_of(space, base));
        wanted
            .map(|(field, ty)| {
                let (mine, my_type) = own.iter().find(|(mine, _)| mine.is_declared() && mine.key == field.key)?;
                let same = space.signature(&Type { nullable: false, ..ty.clone() })
                    == space.signature(&Type { nullable: false, ..(*my_type).clone() });
                let access = access(space, ty, &field, mine, items.prelude).filter(|_| same)?;
                let method = &field.ident;
                let returned = returned(space, ty, &field, items.prelude);
                Some(quote! { #[inline] fn #method(&self) -> #returned { #access } })
            })
            .collect()
    };
    // A trait is implemented where those that it stands on are.
    let fits = |base: &usize| members(*base).is_some() && space.module_of(*base).is_some();
    let complete = space.bases.iter().all(|base| fits(&base.item));
    space
        .bases
        .iter()
        .filter(|base| fits(&base.item) && (complete || base.bases.is_empty()))
        .filter_map(|base| {
            let family = path_of(&space.path_to(base.item, None)?);
            let members = members(base.item)?;
            Some(quote! {
                impl #family for #name { #(#members)* }
            })
        })
        .collect()
}

fn types_of(space: &Space, index: usize) -> Vec<&Type> {
    match space.items.get(index).map(|item| &item.shape) {
        Some(Shape::Record(record)) => record.fields.iter().map(|field| &field.ty).collect(),
        _ => Vec::new(),
    }
}

/// How a value is lent.
enum Lent {
    Text,
    Copy,
    Reference,
}

fn lent(space: &Space, ty: &Type) -> Lent {
    let words = ty.as_item().and_then(|index| space.items.get(index)).map(|item| &item.shape);
    if ty.is_scalar("string") {
        Lent::Text
    } else if ["boolean", "number"].into_iter().any(|scalar| ty.is_scalar(scalar))
        || (ty.is_scalar("integer") && (space.plain || !ty.is_large_integer()))
        || matches!(words, Some(Shape::Words(words)) if !words.open)
    {
        Lent::Copy
    } else {
        Lent::Reference
    }
}

fn is_option(field: &FieldCode) -> bool {
    !matches!(field.presence, Presence::Required | Presence::Defaulted)
}

fn returned(space: &Space, ty: &Type, field: &FieldCode, prelude: &Prelude) -> TokenStream {
    let plain = &field.ty;
    let value = match lent(space, ty) {
        Lent::Text => quote! { &str },
        Lent::Copy => quote! { #plain },
        Lent::Reference => quote! { &#plain },
    };
    let option = prelude.name("Option");
    if is_option(field) {
        quote! { #option<#value> }
    } else {
        value
    }
}

/// The value of `mine` as what `field` is lent as.
fn access(space: &Space, ty: &Type, field: &FieldCode, mine: &FieldCode, prelude: &Prelude) -> Option<TokenStream> {
    let (member, some) = (&mine.ident, prelude.name("Some"));
    let kind = lent(space, ty);
    let value = match kind {
        Lent::Copy => quote! { self.#member },
        Lent::Text | Lent::Reference => quote! { &self.#member },
    };
    match (is_option(field), is_option(mine)) {
        (false, false) => Some(value),
        (true, false) => Some(quote! { #some(#value) }),
        (true, true) => Some(match kind {
            Lent::Text => quote! { self.#member.as_deref() },
            Lent::Copy => quote! { self.#member },
            Lent::Reference => quote! { self.#member.as_ref() },
        }),
        (false, true) => None,
    }
}
