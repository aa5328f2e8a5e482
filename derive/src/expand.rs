//! The code beside the struct: the same as beside a generated one.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Ident, Result, Type};

use crate::attributes::Attributes;

/// An event.
pub(crate) fn event(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = Attributes::of(input)?;
    let name = &input.ident;
    let json = json(name);
    let contract = contract(name, &attributes);
    let sending = if attributes.is_rpc { calling() } else { publishing() };
    let kind = if attributes.is_rpc {
        let or = |ty: &Option<Type>, other: TokenStream| ty.as_ref().map_or(other, |ty| quote! { #ty });
        let response = or(&attributes.response, quote! { ::celerysalt::serde_json::Value });
        let error = or(&attributes.error, quote! { ::celerysalt::RpcError });
        quote! {
            #[automatically_derived]
            impl ::celerysalt::Rpc for #name {
                type Response = #response;
                type Error = #error;
            }
        }
    } else {
        quote! {
            #[automatically_derived]
            impl ::celerysalt::Broadcast for #name {}
        }
    };
    Ok(quote! {
        #json
        #[allow(dead_code, reason = "a program may send one way only, or only receive")]
        impl #name { #sending }
        #[automatically_derived]
        impl ::celerysalt::Event for #name {
            fn contract() -> &'static ::celerysalt::EventContract {
                static CONTRACT: ::std::sync::LazyLock<::celerysalt::EventContract> =
                    ::std::sync::LazyLock::new(|| ::celerysalt::__private::code_first::contract(&#contract));
                &CONTRACT
            }
        }
        #[automatically_derived]
        impl ::celerysalt::code_first::CodeFirst for #name {}
        #kind
    })
}

/// What a request is answered.
pub(crate) fn response(input: &DeriveInput) -> Result<TokenStream> {
    plain(input, "SaltResponse")?;
    Ok(json(&input.ident))
}

/// What a request is answered when it is declined.
pub(crate) fn error(input: &DeriveInput) -> Result<TokenStream> {
    plain(input, "SaltError")?;
    let name = &input.ident;
    let json = json(name);
    Ok(quote! {
        #json
        #[automatically_derived]
        impl ::celerysalt::DeclaredError for #name {}
    })
}

/// Refuses what an answer has no use for.
fn plain(input: &DeriveInput, derive: &str) -> Result<()> {
    if let Some(attribute) = input.attrs.iter().find(|attribute| attribute.path().is_ident("salt")) {
        let message = format!("{derive} takes no attributes: topic and version are those of the request");
        return Err(Error::new_spanned(attribute, message));
    }
    match input.generics.params.first() {
        Some(parameter) => {
            Err(Error::new_spanned(parameter, "an answer has one schema, so its type has no parameters"))
        }
        None => Ok(()),
    }
}

/// Between JSON texts and the type, by serde.
fn json(name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::celerysalt::Json for #name {
            fn read(
                reader: &mut ::celerysalt::__private::Reader<'_>,
            ) -> ::core::result::Result<Self, ::celerysalt::__private::Mismatch> {
                ::celerysalt::__private::code_first::read(reader)
            }
            fn write(&self, writer: &mut ::celerysalt::__private::Writer) {
                ::celerysalt::__private::write_by_serde(self, writer)
            }
        }
    }
}

fn publishing() -> TokenStream {
    quote! {
        /// Publishes the event once it is awaited.
        pub fn publish<'a>(&'a self, salt: &'a ::celerysalt::Salt) -> ::celerysalt::Publish<'a, Self> {
            ::celerysalt::__private::publish(self, salt)
        }
        /// Publishes many events in one go once it is awaited.
        pub fn publish_batch<'a>(
            events: &'a [Self],
            salt: &'a ::celerysalt::Salt,
        ) -> ::celerysalt::PublishBatch<'a, Self> {
            ::celerysalt::__private::publish_batch(events, salt)
        }
    }
}

fn calling() -> TokenStream {
    quote! {
        /// Asks for the answer once it is awaited.
        pub fn call<'a>(&'a self, salt: &'a ::celerysalt::Salt) -> ::celerysalt::Call<'a, Self> {
            ::celerysalt::__private::call(self, salt)
        }
    }
}

/// What the runtime makes the contract of.
fn contract(name: &Ident, attributes: &Attributes) -> TokenStream {
    let Attributes { topic, version, registry, auto_register, .. } = attributes;
    let some = |value: Option<TokenStream>| {
        let value = value.map(|value| quote! { ::core::option::Option::Some(#value) });
        value.unwrap_or_else(|| quote! { ::core::option::Option::None })
    };
    let text = |text: &Option<String>| some(text.as_ref().map(|text| quote! { #text }));
    let schema =
        |ty: &Option<Type>| some(ty.as_ref().map(|ty| quote! { ::celerysalt::__private::code_first::schema::<#ty> }));
    let (exchange, title, description) =
        (text(&attributes.exchange), text(&attributes.title), text(&attributes.description));
    let (response, error) = (schema(&attributes.response), schema(&attributes.error));
    let mode = if attributes.is_rpc {
        quote! { Rpc }
    } else {
        quote! { Broadcast }
    };
    quote! {
        ::celerysalt::__private::code_first::Written {
            topic: #topic,
            version: #version,
            mode: ::celerysalt::Mode::#mode,
            exchange: #exchange,
            registry: #registry,
            auto_register: #auto_register,
            title: #title,
            description: #description,
            module: ::core::module_path!(),
            name: ::core::stringify!(#name),
            schema: ::celerysalt::__private::code_first::schema::<#name>,
            response: #response,
            error: #error,
        }
    }
}
