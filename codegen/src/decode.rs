//! One sweep from a JSON text to a value, and back: how each generated type reads and writes itself.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use crate::{
    items::{FieldCode, Presence, Role},
    lower::{Record, Union, Words},
    names::{Scope, ident},
    types::Prelude,
};

/// The implementations around the two that differ. serde's are only marked: see [`with_serde`].
fn json(name: &Ident, read: &TokenStream, write: &TokenStream, prelude: &Prelude) -> TokenStream {
    let result = prelude.name("Result");
    quote! {
        impl ::celerysalt::Json for #name {
            #[inline]
            fn read(
                reader: &mut __private::Reader<'_>,
            ) -> #result<Self, __private::Mismatch> {
                #read
            }
            #[inline]
            fn write(&self, writer: &mut __private::Writer) {
                #write
            }
        }
        impl __Serde<#result> for #name {}
    }
}

/// Puts serde's traits where [`json`] left a mark: they are the same for all types, and parsing them again for each would be
/// a fifth of all work. No text of a schema is a line of its own in the code, so none can be taken for a mark.
pub(crate) fn with_serde(code: &str) -> String {
    let mut out = String::with_capacity(code.len() + code.len() / 4);
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let Some(mark) = line.trim_start().strip_prefix("impl __Serde<") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        // A long name stands on a line of its own.
        let mut mark = mark.to_owned();
        while !mark.ends_with(" {}") {
            let Some(more) = lines.next() else { break };
            mark.extend([" ", more.trim()]);
        }
        let (result, name) = mark.trim_end_matches(" {}").split_once("> for ").unwrap_or_default();
        let indent = line.get(..line.len() - line.trim_start().len()).unwrap_or_default();
        for text in [
            "impl __private::serde::Serialize for NAME {",
            "    fn serialize<S: __private::serde::Serializer>(&self, serializer: S) -> RESULT<S::Ok, S::Error> {",
            "        __private::serialize(self, serializer)",
            "    }",
            "}",
            "impl<'de> __private::serde::Deserialize<'de> for NAME {",
            "    fn deserialize<D: __private::serde::Deserializer<'de>>(deserializer: D) -> RESULT<Self, D::Error> {",
            "        __private::deserialize(deserializer)",
            "    }",
            "}",
        ] {
            out.push_str(indent);
            out.push_str(&text.replacen("RESULT", result, 1).replacen("NAME", name, 1));
            out.push('\n');
        }
    }
    out
}

/// A struct: `names` are those of its properties, in the order in which the fields know their places.
pub(crate) fn record(
    name: &Ident,
    record: &Record,
    fields: &[FieldCode],
    names: &[&str],
    prelude: &Prelude,
) -> TokenStream {
    let (none, ok) = (prelude.name("None"), prelude.name("Ok"));
    let mut scope = Scope::of_fields();
    for taken in ["reader", "rest", "extra"] {
        scope.take(taken);
    }
    // The variables that hold the fields while the object is read.
    let slots: Vec<Ident> = fields
        .iter()
        .map(|field| match field.role {
            Role::Declared(_) => ident(&scope.take(&field.ident.to_string())),
            Role::Extra => ident("extra"),
            Role::Rest => ident("rest"),
        })
        .collect();
    let has = |role: Role| fields.iter().any(|field| field.role == role);
    let (has_rest, has_extra) = (has(Role::Rest), has(Role::Extra));
    let starts = fields.iter().zip(&slots).map(|(field, slot)| match field.role {
        Role::Declared(_) => quote! { let mut #slot = #none; },
        Role::Extra => {
            let ty = &field.ty;
            quote! { let mut #slot = <#ty>::new(); }
        }
        Role::Rest => quote! { let mut #slot = ::celerysalt::Rest::default(); },
    });
    let declared = |field: &FieldCode| if let Role::Declared(index) = field.role { Some(index) } else { None };
    let mut variables: Vec<(usize, &Ident)> =
        fields.iter().zip(&slots).filter_map(|(field, slot)| Some((declared(field)?, slot))).collect();
    variables.sort_unstable_by_key(|(index, _)| *index);
    let variables = variables.iter().map(|(_, slot)| slot);
    let nullable = fields
        .iter()
        .filter(|field| matches!(field.presence, Presence::Optional(true)))
        .filter_map(|field| declared(field).map(Literal::usize_unsuffixed));
    let object = quote! { &[#(#names),*], &mut [#(&mut #variables),*], &[#(#nullable),*] };
    let (keeper, object) =
        if has_rest { (quote! { rest }, quote! { reader, #object }) } else { (quote! { reader }, object) };
    let object = if has_extra {
        quote! { #keeper.record_with(#object, &mut extra) }
    } else if record.closed {
        quote! { #keeper.closed_record(#object) }
    } else if has_rest && record.open {
        quote! { #keeper.open_record(#object) }
    } else {
        quote! { #keeper.known_record(#object) }
    };
    let values = fields.iter().zip(&slots).map(|(field, slot)| {
        let member = &field.ident;
        let place = |index: usize| Literal::usize_unsuffixed(index);
        let value = match (&field.role, &field.presence) {
            (Role::Extra | Role::Rest, _)
            | (_, Presence::Optional(_) | Presence::Required | Presence::RequiredOrNull) => quote! { #slot },
            (Role::Declared(index), Presence::NullByDefault) if has_rest => {
                let index = place(*index);
                quote! { rest.or_absent(#index, #slot, || #none) }
            }
            (Role::Declared(_), Presence::NullByDefault) => quote! { #slot.flatten() },
            (Role::Declared(index), Presence::Defaulted | Presence::DefaultedOrNull) => {
                let default = field.default_fn.as_ref();
                let default =
                    default.map_or_else(|| quote! { ::core::default::Default::default }, |name| quote! { #name });
                let index = place(*index);
                if has_rest {
                    quote! { rest.or_absent(#index, #slot, #default) }
                } else {
                    quote! { #slot.unwrap_or_else(#default) }
                }
            }
        };
        if *member == value.to_string() {
            return value;
        }
        quote! { #member: #value }
    });
    let check = all_there(fields, &slots, prelude);
    let read = quote! {
        #(#starts)*
        #object?;
        #check
        #ok(Self { #(#values,)* })
    };
    let writes = fields.iter().map(|field| write_field(field, fields, prelude));
    let rest = fields.iter().rev().find(|field| field.role == Role::Rest).map(|field| &field.ident);
    let close = match rest {
        Some(rest) if record.open => quote! { writer.close_with(&self.#rest, &[#(#names),*]); },
        _ => quote! { writer.close(); },
    };
    let write = quote! {
        writer.open();
        #(#writes)*
        #close
    };
    json(name, &read, &write, prelude)
}

/// Takes the fields that must be there out of their variables.
fn all_there(fields: &[FieldCode], slots: &[Ident], prelude: &Prelude) -> TokenStream {
    let (some, err) = (prelude.name("Some"), prelude.name("Err"));
    let required: Vec<&Ident> = fields
        .iter()
        .zip(slots)
        .filter(|(field, _)| field.is_declared() && field.must_be_there())
        .map(|(_, slot)| slot)
        .collect();
    match required.as_slice() {
        [] => TokenStream::new(),
        [only] => quote! { let #some(#only) = #only else { return #err(__private::Mismatch) }; },
        all => quote! {
            let (#(#some(#all)),*) = (#(#all),*) else { return #err(__private::Mismatch) };
        },
    }
}

fn write_field(field: &FieldCode, fields: &[FieldCode], prelude: &Prelude) -> TokenStream {
    let rest = fields.iter().rev().find(|field| field.role == Role::Rest).map(|field| &field.ident);
    let (member, key) = (&field.ident, &field.key);
    let Role::Declared(index) = field.role else {
        return match (field.role, rest) {
            (Role::Extra, Some(rest)) => quote! { self.#rest.write_extra(writer, &self.#member); },
            (Role::Extra, None) => quote! { writer.members(&self.#member); },
            _ => TokenStream::new(),
        };
    };
    let none = prelude.name("None");
    let index = Literal::usize_unsuffixed(index);
    match (&field.presence, rest) {
        (Presence::Optional(_), Some(rest)) => {
            quote! { self.#rest.write_optional(writer, #index, #key, &self.#member); }
        }
        (Presence::Optional(_), None) => quote! { writer.optional(#key, &self.#member); },
        (Presence::NullByDefault, Some(rest)) => {
            quote! { self.#rest.write_defaulted(writer, #index, #key, &self.#member, || #none); }
        }
        (Presence::Defaulted | Presence::DefaultedOrNull, Some(rest)) if field.default_fn.is_some() => {
            let default = &field.default_fn;
            quote! { self.#rest.write_defaulted(writer, #index, #key, &self.#member, #default); }
        }
        (_, Some(rest)) => quote! { self.#rest.write_field(writer, #index, #key, &self.#member); },
        (_, None) => quote! { writer.field(#key, &self.#member); },
    }
}

/// An enum of strings.
pub(crate) fn words(name: &Ident, words: &Words, variants: &[(Ident, &str)], prelude: &Prelude) -> TokenStream {
    let (ok, err) = (prelude.name("Ok"), prelude.name("Err"));
    let arms = variants.iter().map(|(variant, value)| quote! { #value => #ok(Self::#variant) });
    let other = if words.open {
        quote! { other => #ok(Self::Unknown(other.to_owned())) }
    } else {
        quote! { _ => #err(__private::Mismatch) }
    };
    let read = quote! {
        match &*reader.string()? {
            #(#arms,)*
            #other,
        }
    };
    json(name, &read, &quote! { writer.string(self.as_str()); }, prelude)
}

/// An enum of types.
pub(crate) fn union(name: &Ident, union: &Union, prelude: &Prelude) -> TokenStream {
    let (ok, err, some) = (prelude.name("Ok"), prelude.name("Err"), prelude.name("Some"));
    let mismatch = quote! { #err(__private::Mismatch) };
    let variants: Vec<Ident> = union.variants.iter().map(|variant| ident(&variant.name)).collect();
    let tags: Vec<&str> = union.variants.iter().filter_map(|variant| variant.tag.as_deref()).collect();
    let (read, write) = match &union.tag {
        Some(tag) => (
            quote! {
                match &*reader.tag(#tag)? {
                    #(#tags => reader.tagged(#tag).map(Self::#variants),)*
                    _ => #mismatch,
                }
            },
            quote! {
                match self {
                    #(Self::#variants(value) => writer.tagged(#tag, #tags, value),)*
                }
            },
        ),
        None => (
            quote! {
                #(if let #some(value) = reader.attempt() {
                    return #ok(Self::#variants(value));
                })*
                #mismatch
            },
            quote! {
                match self {
                    #(Self::#variants(value) => ::celerysalt::Json::write(value, writer),)*
                }
            },
        ),
    };
    json(name, &read, &write, prelude)
}

/// A newtype.
pub(crate) fn alias(name: &Ident, prelude: &Prelude) -> TokenStream {
    let read = quote! { ::celerysalt::Json::read(reader).map(Self) };
    json(name, &read, &quote! { ::celerysalt::Json::write(&self.0, writer); }, prelude)
}
