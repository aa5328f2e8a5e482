//! Between the versions of a topic: `From` where every property of one has its place in the other, `TryFrom` where only
//! the payload can tell.

use proc_macro2::TokenStream;
use quote::quote;

use crate::{
    items::{FieldCode, Presence, Role},
    names::ident,
    plan::VersionPlan,
    types::Prelude,
};

/// What a conversion has to know of an event's type.
pub(crate) struct Root {
    /// The fields, none for what is no struct.
    pub(crate) fields: Vec<FieldCode>,
    /// The type of each, as a text that is equal for equal types.
    pub(crate) signatures: Vec<String>,
    /// Whether undeclared properties are kept.
    pub(crate) is_open: bool,
}

/// The conversions between neighbouring versions, both ways.
pub(crate) fn between(versions: &[(&VersionPlan<'_>, &Root)]) -> TokenStream {
    versions
        .windows(2)
        .filter_map(|pair| match pair {
            [old, new] => Some([conversion(*old, *new), conversion(*new, *old)]),
            _ => None,
        })
        .flatten()
        .collect()
}

fn conversion((from, source): (&VersionPlan<'_>, &Root), (to, target): (&VersionPlan<'_>, &Root)) -> TokenStream {
    let path = |plan: &VersionPlan<'_>| {
        let (module, name) = (ident(&plan.module), ident(&plan.event));
        quote! { self::#module::#name }
    };
    let (source_path, target_path) = (path(from), path(to));
    if let Some(members) = moved(source, target) {
        return quote! {
            impl ::core::convert::From<#source_path> for #target_path {
                #[inline]
                fn from(value: #source_path) -> Self { Self { #(#members,)* } }
            }
        };
    }
    if !may_fit(source, target) {
        return TokenStream::new();
    }
    quote! {
        impl ::core::convert::TryFrom<#source_path> for #target_path {
            type Error = ::celerysalt::Invalid;
            #[inline]
            fn try_from(value: #source_path) -> ::core::result::Result<Self, ::celerysalt::Invalid> {
                ::celerysalt::__private::convert(&value)
            }
        }
    }
}

fn find<'a>(root: &'a Root, key: &str) -> Option<(&'a FieldCode, &'a str)> {
    let fields = root.fields.iter().zip(&root.signatures);
    fields.filter(|(field, _)| field.is_declared()).find(|(field, _)| field.key == key).map(|(f, s)| (f, s.as_str()))
}

/// The fields of the target from those of the source, if each has one of its type or can do without, and none is lost.
fn moved(source: &Root, target: &Root) -> Option<Vec<TokenStream>> {
    let by_rest = |root: &Root| root.fields.iter().any(|field| field.role == Role::Rest);
    let has_extra = |root: &Root| root.fields.iter().any(|field| field.role == Role::Extra);
    if source.fields.is_empty() || has_extra(source) || has_extra(target) {
        return None;
    }
    // An undeclared property of the one may be a declared one of the other: only the payload can tell.
    let keeps = source.is_open && by_rest(source);
    let all_known = |a: &Root, b: &Root| {
        a.fields.iter().filter(|field| field.is_declared()).all(|field| find(b, &field.key).is_some())
    };
    if !all_known(source, target) || (keeps && !all_known(target, source)) {
        return None;
    }
    let prelude = Prelude::default();
    target
        .fields
        .iter()
        .zip(&target.signatures)
        .map(|(field, signature)| {
            let member = &field.ident;
            if field.role == Role::Rest {
                let rest = source.fields.iter().find(|field| field.role == Role::Rest).map(|field| &field.ident);
                return Some(if let Some(rest) = rest {
                    quote! { #member: value.#rest.only_members() }
                } else {
                    quote! { #member: ::core::default::Default::default() }
                });
            }
            let whole = |field: &FieldCode| field.whole_type(&prelude).to_string();
            match find(source, &field.key) {
                Some((mine, known)) if known == signature && whole(mine) == whole(field) => {
                    let mine = &mine.ident;
                    Some(quote! { #member: value.#mine })
                }
                Some((mine, known))
                    if known == signature
                        && matches!(field.presence, Presence::Optional(_))
                        && matches!(mine.presence, Presence::Required | Presence::Defaulted) =>
                {
                    let mine = &mine.ident;
                    Some(quote! { #member: ::core::option::Option::Some(value.#mine) })
                }
                None if matches!(field.presence, Presence::Optional(_) | Presence::NullByDefault) => {
                    Some(quote! { #member: ::core::option::Option::None })
                }
                _ => None,
            }
        })
        .collect()
}

/// Whether a payload of the source can be one of the target: it has every property that must be there.
fn may_fit(source: &Root, target: &Root) -> bool {
    !source.fields.is_empty()
        && target
            .fields
            .iter()
            .zip(&target.signatures)
            .filter(|(field, _)| matches!(field.presence, Presence::Required | Presence::RequiredOrNull))
            .filter(|(field, _)| field.is_declared())
            .all(|(field, signature)| find(source, &field.key).is_some_and(|(_, known)| known == signature))
}
