//! A builder for an event: one setter a field, and a `build` that gives nothing that the contract refuses.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::{
    docs,
    items::{FieldCode, Presence, Role},
    names::{Scope, ident},
    types::Prelude,
};

/// What is built.
pub(crate) struct Target<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) builder: &'a Ident,
    /// The event whose contract it is checked against, and which part of it.
    pub(crate) event: &'a TokenStream,
    pub(crate) part: &'a TokenStream,
}

/// The function that starts the builder, and the builder.
pub(crate) fn code(target: &Target<'_>, fields: &[FieldCode], prelude: &Prelude) -> (TokenStream, TokenStream) {
    let Target { name, builder, .. } = target;
    let (option, some, into) = (prelude.name("Option"), prelude.name("Some"), prelude.name("Into"));
    let set: Vec<&FieldCode> = fields.iter().filter(|field| field.role != Role::Rest).collect();
    let slots = set.iter().map(|field| {
        let (field_ident, ty) = (&field.ident, value_type(field, prelude));
        quote! { #field_ident: #option<#ty> }
    });
    let mut scope = Scope::of_fields();
    scope.take("build");
    let setters = set.iter().map(|field| {
        let (field_ident, ty) = (&field.ident, value_type(field, prelude));
        // A field that is called `build` too gets `build_2`.
        let setter = ident(&scope.take(&field_ident.to_string()));
        let doc = docs::outer(if field.doc.is_empty() { field.key.as_str() } else { field.doc.as_str() });
        quote! {
            #doc
            pub fn #setter(mut self, value: impl #into<#ty>) -> Self {
                self.#field_ident = #some(value.into());
                self
            }
        }
    });
    let setters: Vec<TokenStream> = setters.collect();
    let build = build(target, fields, prelude);
    let start = quote! {
        /// Starts with nothing but defaults; a field that is not set stays absent.
        #[inline]
        pub fn builder() -> #builder {
            ::core::default::Default::default()
        }
    };
    let doc = docs::outer(&format!("Builds a {}.", docs::code(&name.to_string())));
    let builder = quote! {
        #doc
        #[derive(Default)]
        #[must_use]
        pub struct #builder { #(#slots,)* }
        impl #builder {
            #(#setters)*
            #build
        }
    };
    (start, builder)
}

/// What a setter takes: the value itself, or an `Option` where null must be told from a value.
fn value_type(field: &FieldCode, prelude: &Prelude) -> TokenStream {
    match field.presence {
        Presence::RequiredOrNull | Presence::DefaultedOrNull => field.whole_type(prelude),
        _ => {
            let ty = &field.ty;
            quote! { #ty }
        }
    }
}

fn build(target: &Target<'_>, fields: &[FieldCode], prelude: &Prelude) -> TokenStream {
    let Target { name, event, part, .. } = target;
    let (result, some) = (prelude.name("Result"), prelude.name("Some"));
    let err = prelude.name("Err");
    let must_be_set = |field: &&FieldCode| field.must_be_there() && field.default.is_none() && field.is_declared();
    let required: Vec<&FieldCode> = fields.iter().filter(must_be_set).collect();
    let idents: Vec<&Ident> = required.iter().map(|field| &field.ident).collect();
    let keys = required.iter().map(|field| &field.key);
    let members = fields.iter().map(|field| {
        let field_ident = &field.ident;
        if must_be_set(&field) {
            return quote! { #field_ident };
        }
        if field.role == Role::Rest {
            return quote! { #field_ident: ::core::default::Default::default() };
        }
        match (&field.presence, &field.default_fn, &field.default) {
            (Presence::Optional(_) | Presence::NullByDefault, ..) => quote! { #field_ident: self.#field_ident },
            (_, Some(function), _) => quote! { #field_ident: self.#field_ident.unwrap_or_else(#function) },
            (Presence::RequiredOrNull, None, Some(default)) => {
                quote! { #field_ident: self.#field_ident.unwrap_or_else(|| #some(#default)) }
            }
            (_, None, Some(default)) => quote! { #field_ident: self.#field_ident.unwrap_or_else(|| #default) },
            (_, None, None) => quote! { #field_ident: self.#field_ident.unwrap_or_default() },
        }
    });
    let check = match idents.as_slice() {
        [] => TokenStream::new(),
        [only] => quote! {
            let #some(#only) = self.#only else {
                return #err(__private::missing::<#event>(::celerysalt::Part::#part, &[#((#keys, true)),*]));
            };
        },
        _ => quote! {
            let is_missing = [#((#keys, self.#idents.is_none())),*];
            let (#(#some(#idents)),*) = (#(self.#idents),*) else {
                return #err(__private::missing::<#event>(::celerysalt::Part::#part, &is_missing));
            };
        },
    };
    quote! {
        /// Checks the value against its whole contract.
        ///
        /// # Errors
        /// Every required field that was not set, else everything that the contract refuses.
        #[inline]
        pub fn build(self) -> #result<#name, ::celerysalt::Invalid> {
            #check
            let value = #name { #(#members,)* };
            __private::built::<#event, _>(::celerysalt::Part::#part, value)
        }
    }
}
