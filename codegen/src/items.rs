//! The items of a document: structs, enums and newtypes as a person would have written them.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Type as SynType;

use crate::{
    decode, docs,
    literal::{literal, only_value, variants_of, words_of},
    lower::{Item, Record, Shape, Space, Type, Union, Words},
    names::{Scope, field_name, ident},
    types::{Prelude, Written},
};

/// A document ready to be written.
pub(crate) struct Items<'a> {
    pub(crate) space: &'a Space,
    written: &'a Written,
    pub(crate) prelude: &'a Prelude,
    /// What the functions that give defaults are called, by item and field.
    default_fns: BTreeMap<(usize, usize), Ident>,
}

/// What happens to a field that is left out or null.
#[derive(Clone, Debug)]
pub(crate) enum Presence {
    /// `T`: it must be there.
    Required,
    /// `Option<T>`: it must be there and may be null.
    RequiredOrNull,
    /// `Option<T>`: it may be left out, and where the first says so, be null.
    Optional(bool),
    /// `Option<T>`: left out, it is null, which is written.
    NullByDefault,
    /// `T`: left out, it is the default.
    Defaulted,
    /// `Option<T>`: left out, it is the default; it may be null.
    DefaultedOrNull,
}

/// A field of a struct, ready to be written.
pub(crate) struct FieldCode {
    pub(crate) ident: Ident,
    pub(crate) key: String,
    pub(crate) doc: String,
    pub(crate) presence: Presence,
    /// The type without the `Option` around it.
    pub(crate) ty: SynType,
    /// What it is without being set.
    pub(crate) default: Option<TokenStream>,
    /// The function that gives the default.
    pub(crate) default_fn: Option<Ident>,
    /// Whether it prints as text: a string, or one of some strings.
    pub(crate) is_text: bool,
    pub(crate) role: Role,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A property of the schema, by its place in the list of names.
    Declared(usize),
    /// The map of properties that the schema describes and does not name.
    Extra,
    /// What the payload holds besides.
    Rest,
}

impl FieldCode {
    /// The type as the struct has it.
    pub(crate) fn whole_type(&self, prelude: &Prelude) -> TokenStream {
        let ty = &self.ty;
        match self.presence {
            Presence::Required | Presence::Defaulted => quote! { #ty },
            _ => {
                let option = prelude.name("Option");
                quote! { #option<#ty> }
            }
        }
    }

    /// Whether a payload without the property is none.
    pub(crate) fn must_be_there(&self) -> bool {
        matches!(self.presence, Presence::Required | Presence::RequiredOrNull)
    }

    pub(crate) fn is_declared(&self) -> bool {
        matches!(self.role, Role::Declared(_))
    }
}

/// Longer lists of names are sorted, as the reader expects them.
const MOST_UNSORTED: usize = 16;

/// The place of a property's name; long lists are sorted.
fn place_of(names: &[&str], name: &str) -> Option<usize> {
    if names.get(..=MOST_UNSORTED).is_some() {
        names.binary_search(&name).ok()
    } else {
        names.iter().position(|known| *known == name)
    }
}

fn derives(more: &[&str]) -> TokenStream {
    let mut names = vec!["Clone", "Debug", "PartialEq"];
    names.extend(more);
    names.sort_unstable();
    let names = names.into_iter().map(ident);
    quote! {
        #[derive(#(#names),*)]
    }
}

impl<'a> Items<'a> {
    pub(crate) fn new(space: &'a Space, written: &'a Written, prelude: &'a Prelude) -> Self {
        let mut scope = Scope::of_fields();
        let mut default_fns = BTreeMap::new();
        for (index, item) in space.items.iter().enumerate() {
            let Shape::Record(record) = &item.shape else { continue };
            if !space.is_written(index) {
                continue;
            }
            for (i, field) in record.fields.iter().enumerate().filter(|(_, field)| field.default.is_some()) {
                let name = scope.take(&field_name(&format!("default_{}_{}", item.name, field.key)));
                default_fns.insert((index, i), ident(&name));
            }
        }
        Self { space, written, prelude, default_fns }
    }

    /// All items of the document, its own first.
    pub(crate) fn code(&self) -> TokenStream {
        self.code_of(0..self.space.items.len())
    }

    /// Some of the items; of those that are written elsewhere, nothing.
    pub(crate) fn code_of(&self, items: impl IntoIterator<Item = usize>) -> TokenStream {
        items.into_iter().filter(|index| self.space.is_written(*index)).map(|index| self.item(index)).collect()
    }

    fn item(&self, index: usize) -> TokenStream {
        let Some(item) = self.space.items.get(index) else { return TokenStream::new() };
        let doc = docs::outer(&item.doc);
        let code = match &item.shape {
            Shape::Record(record) => self.record(index, item, record),
            Shape::Words(words) => self.words(item, words),
            Shape::Union(union) => self.union(index, item, union),
            Shape::Alias(ty) => self.alias(index, item, ty),
        };
        quote! { #doc #code }
    }

    fn written(&self, index: usize) -> &[SynType] {
        self.written.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    /// The fields of the struct at `index`, none if it is no struct.
    pub(crate) fn fields(&self, index: usize) -> Vec<FieldCode> {
        let Some(Item { shape: Shape::Record(record), .. }) = self.space.items.get(index) else {
            return Vec::new();
        };
        let mut scope = Scope::of_fields();
        let names = self.names(index);
        let module = self.space.module_of(index).filter(|_| self.space.joint);
        let mut fields: Vec<FieldCode> = record
            .fields
            .iter()
            .zip(self.written(index))
            .enumerate()
            .map(|(i, (field, ty))| {
                let field_ident = scope.take(&field_name(&field.key));
                let default = field
                    .default
                    .as_ref()
                    .and_then(|value| literal(self.space, self.prelude, module, &field.ty, value));
                let nullable = field.ty.nullable;
                let presence = match (field.required, nullable, &default) {
                    (true, false, _) => Presence::Required,
                    (true, true, _) => Presence::RequiredOrNull,
                    (false, true, None) if field.null_by_default => Presence::NullByDefault,
                    (false, _, None) => Presence::Optional(nullable),
                    (false, false, Some(_)) => Presence::Defaulted,
                    (false, true, Some(_)) => Presence::DefaultedOrNull,
                };
                let default_fn =
                    self.default_fns.get(&(index, i)).filter(|_| !field.required && default.is_some()).cloned();
                let default = default
                    .or_else(|| only_value(self.space, self.prelude, module, &field.ty).filter(|_| field.required));
                FieldCode {
                    ident: ident(&field_ident),
                    key: field.key.clone(),
                    doc: field.doc.clone(),
                    presence,
                    ty: ty.clone(),
                    default,
                    default_fn,
                    is_text: field.ty.is_scalar("string") || words_of(self.space, &field.ty).is_some(),
                    role: Role::Declared(place_of(&names, &field.key).unwrap_or(i)),
                }
            })
            .collect();
        if let Some(ty) = record.extra.as_ref().and_then(|_| self.written(index).last()) {
            fields.push(FieldCode {
                ident: ident(&scope.take("extra")),
                key: String::new(),
                doc: "What the schema does not name.".to_owned(),
                presence: Presence::Required,
                ty: ty.clone(),
                default: None,
                default_fn: None,
                is_text: false,
                role: Role::Extra,
            });
        }
        if self.space.keeps_rest(record) {
            fields.push(FieldCode {
                ident: ident(&scope.take("rest")),
                key: String::new(),
                doc: "What the payload holds besides, so that nothing of it is lost.".to_owned(),
                presence: Presence::Required,
                ty: syn::parse_quote! { ::celerysalt::Rest },
                default: None,
                default_fn: None,
                is_text: false,
                role: Role::Rest,
            });
        }
        fields
    }

    /// The names of a struct's properties in the order in which they are looked for: long lists are sorted.
    pub(crate) fn names(&self, index: usize) -> Vec<&'a str> {
        let Some(Item { shape: Shape::Record(record), .. }) = self.space.items.get(index) else {
            return Vec::new();
        };
        let mut names: Vec<&str> = record.fields.iter().map(|field| field.key.as_str()).collect();
        if names.len() > MOST_UNSORTED {
            names.sort_unstable();
        }
        names
    }

    fn record(&self, index: usize, item: &Item, record: &Record) -> TokenStream {
        let name = ident(&item.name);
        let fields = self.fields(index);
        let starts_empty = fields.iter().all(|field| {
            matches!(field.presence, Presence::Optional(_) | Presence::NullByDefault) || !field.is_declared()
        });
        let derives = derives(if starts_empty { &["Default"] } else { &[] });
        let members = fields.iter().map(|field| {
            let doc = docs::outer(&field.doc);
            let (field_ident, ty) = (&field.ident, field.whole_type(self.prelude));
            quote! { #doc pub #field_ident: #ty }
        });
        let defaults = fields.iter().filter_map(|field| {
            let (function, default) = (field.default_fn.as_ref()?, field.default.as_ref()?);
            let (ty, some) = (field.whole_type(self.prelude), self.prelude.name("Some"));
            let value = if matches!(field.presence, Presence::Defaulted) {
                quote! { #default }
            } else {
                quote! { #some(#default) }
            };
            Some(quote! { #[inline] fn #function() -> #ty { #value } })
        });
        let json = decode::record(&name, record, &fields, &self.names(index), self.prelude);
        quote! {
            #derives
            pub struct #name { #(#members,)* }
            #(#defaults)*
            #json
        }
    }

    fn words(&self, item: &Item, words: &Words) -> TokenStream {
        let name = ident(&item.name);
        let variants = variants_of(words);
        let mut more = if words.open {
            vec!["Eq", "Hash", "Ord", "PartialOrd"]
        } else {
            vec!["Copy", "Eq", "Hash", "Ord", "PartialOrd"]
        };
        if words.default.is_some() {
            more.push("Default");
        }
        let derives = derives(&more);
        let declared = variants.iter().map(|(variant, value)| {
            let default = (words.default.as_deref() == Some(value)).then(|| quote! { #[default] });
            quote! { #default #variant }
        });
        let string = self.prelude.name("String");
        let unknown = words.open.then(|| {
            let doc = docs::outer("A value that was added later than this code was generated.");
            quote! { #doc Unknown(#string) }
        });
        let arms = variants.iter().map(|(variant, value)| quote! { Self::#variant => #value });
        let as_str = if words.open {
            quote! {
                #[inline]
                pub fn as_str(&self) -> &str {
                    match self { #(#arms,)* Self::Unknown(value) => value }
                }
            }
        } else {
            quote! {
                #[inline]
                pub const fn as_str(self) -> &'static str {
                    match self { #(#arms,)* }
                }
            }
        };
        let json = decode::words(&name, words, &variants, self.prelude);
        quote! {
            #derives
            pub enum #name { #(#declared,)* #unknown }
            impl #name {
                /// The value as the wire has it.
                #as_str
            }
            impl ::core::fmt::Display for #name {
                #[inline]
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(self.as_str())
                }
            }
            #json
        }
    }

    fn union(&self, index: usize, item: &Item, union: &Union) -> TokenStream {
        let name = ident(&item.name);
        let derives = derives(&[]);
        let written = self.written(index);
        let variants = union.variants.iter().zip(written).map(|(variant, ty)| {
            let variant_ident = ident(&variant.name);
            let doc =
                variant.ty.as_item().and_then(|index| self.space.items.get(index)).map(|item| docs::outer(&item.doc));
            quote! { #doc #variant_ident(#ty) }
        });
        let json = decode::union(&name, union, self.prelude);
        let texts: Vec<String> = written.iter().map(|ty| quote! { #ty }.to_string()).collect();
        let from = self.prelude.name("From");
        let conversions = union.variants.iter().zip(written).enumerate().filter_map(|(i, (variant, ty))| {
            let once = texts.iter().filter(|text| *text == texts.get(i).unwrap_or(text)).count() == 1;
            let variant_ident = ident(&variant.name);
            once.then(|| {
                quote! {
                    impl #from<#ty> for #name {
                        #[inline]
                        fn from(value: #ty) -> Self { Self::#variant_ident(value) }
                    }
                }
            })
        });
        quote! {
            #derives
            pub enum #name { #(#variants,)* }
            #(#conversions)*
            #json
        }
    }

    fn alias(&self, index: usize, item: &Item, ty: &Type) -> TokenStream {
        let name = ident(&item.name);
        let may_be_empty = (ty.is_scalar("object") || ty.is_scalar("array")) && ty.core.get("minItems").is_none();
        let derives = derives(if may_be_empty { &["Default"] } else { &[] });
        let from = self.prelude.name("From");
        let Some(core) = self.written(index).first() else { return TokenStream::new() };
        let option = self.prelude.name("Option");
        let inner = if ty.nullable {
            quote! { #option<#core> }
        } else {
            quote! { #core }
        };
        let json = decode::alias(&name, self.prelude);
        quote! {
            #derives
            pub struct #name(pub #inner);
            impl #from<#inner> for #name {
                #[inline]
                fn from(value: #inner) -> Self { Self(value) }
            }
            #json
        }
    }
}
