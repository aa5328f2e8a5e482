//! One version of a contract becomes a module: its types, what makes the first of them an event, and its builder.

use celerysalt_contract::{Contract, Diagnostic, Document, Mode};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use serde_json::Value;

use crate::{
    builder,
    convert::Root,
    docs, family,
    items::{FieldCode, Items, Presence},
    lower::{self, Shape, Space, Type, canonical},
    names::{Scope, ident},
    plan::VersionPlan,
    types::{self, Prelude},
};

/// The module of a version, and what is not quite as its schema says.
///
/// # Errors
/// Every document that has no Rust types.
pub(crate) fn module(plan: &VersionPlan<'_>, spaces: &mut [Space]) -> Result<Written, Vec<Diagnostic>> {
    let contract = plan.contract;
    let mut findings = Vec::new();
    let mut spaces = spaces.iter_mut();
    let mut reserved = Scope::of_types();
    for name in plan.roots().skip(1).chain([&plan.builder]) {
        reserved.take(name);
    }
    let mut root = None;
    let request = document(&contract.request, spaces.next(), reserved, &mut findings, |items, space| {
        let types = items.code();
        let event = event(plan, items, space);
        root = Some(root_of(items, space));
        quote! { #types #event }
    });
    let response = match (&contract.response, &plan.response) {
        (Some(schema), Some(name)) => {
            let (scope, builder) = answer_scope(name);
            let code = document(schema, spaces.next(), scope, &mut findings, |items, space| {
                let types = items.code();
                let built = built_alone(plan, name, &builder, &quote! { Response }, items, space);
                quote! { #types #built }
            });
            Some(answer("response", "What the request is answered.", name, code))
        }
        _ => None,
    };
    let error = match (&contract.error, &plan.error) {
        (Some(schema), Some(name)) => {
            let (scope, builder) = answer_scope(name);
            let code = document(schema, spaces.next(), scope, &mut findings, |items, space| {
                let types = items.code();
                let error = declared_error(items, space);
                let built = built_alone(plan, name, &builder, &quote! { Error }, items, space);
                quote! { #types #error #built }
            });
            Some(answer("error", "What the request is answered when it can't be fulfilled.", name, code))
        }
        _ => None,
    };
    if findings.iter().any(|finding| finding.severity == celerysalt_contract::Severity::Error) {
        return Err(findings);
    }
    let module = ident(&plan.module);
    let about = docs::inner(&about(contract));
    let summary = docs::outer(&format!("Version {}.", docs::code(contract.version.as_str())));
    let code = quote! {
        #summary
        pub mod #module {
            #about
            use ::celerysalt::__private;
            #request
            #response
            #error
        }
    };
    let root = root.unwrap_or_else(|| Root { fields: Vec::new(), signatures: Vec::new(), is_open: false });
    Ok(Written { code, root, findings })
}

/// A version's module.
pub(crate) struct Written {
    pub(crate) code: TokenStream,
    pub(crate) root: Root,
    pub(crate) findings: Vec<Diagnostic>,
}

/// The types of a version's documents: the payload, then the response and the error where it has them.
pub(crate) fn lower(plan: &VersionPlan<'_>, shared: &str) -> Vec<Space> {
    let contract = plan.contract;
    let documents = [(&plan.response, &contract.response), (&plan.error, &contract.error)];
    let answers = documents.into_iter().filter_map(|(name, document)| Some((name.as_ref()?, document.as_ref()?, 3)));
    std::iter::once((&plan.event, &contract.request, 2))
        .chain(answers)
        .map(|(name, document, depth)| {
            let shared = format!("{}{shared}", "super::".repeat(depth));
            Space { shared, ..lower::lower(document, name, plan.plain) }
        })
        .collect()
}

/// What conversions have to know of the first type.
fn root_of(items: &Items<'_>, space: &Space) -> Root {
    let record = match space.items.first().map(|item| &item.shape) {
        Some(Shape::Record(record)) => Some(record),
        _ => None,
    };
    let fields = items.fields(0);
    let signatures: Vec<String> = record
        .into_iter()
        .flat_map(|record| &record.fields)
        .map(|field| space.signature(&Type { nullable: false, ..field.ty.clone() }))
        .chain(std::iter::repeat_n(String::new(), fields.len()))
        .take(fields.len())
        .collect();
    Root { fields, signatures, is_open: record.is_some_and(|record| record.open) }
}

/// The topic, version, source and fingerprint of a contract.
fn about(contract: &Contract) -> String {
    let source = contract.request.source.path().to_string_lossy().replace('\\', "/");
    format!(
        "Topic {}, version {}, from {}.\n\nFingerprint {}.",
        docs::code(contract.topic.as_str()),
        docs::code(contract.version.as_str()),
        docs::code(&source),
        docs::code(contract.fingerprint.as_str()),
    )
}

/// Names the types of one document, has them written, and makes code of them.
fn document(
    document: &Document,
    space: Option<&mut Space>,
    reserved: Scope,
    findings: &mut Vec<Diagnostic>,
    code: impl FnOnce(&Items<'_>, &Space) -> TokenStream,
) -> TokenStream {
    let source = &document.source;
    let Some(space) = space else { return TokenStream::new() };
    space.name_items(reserved);
    if let Some(Shape::Union(union)) = space.items.first().map(|item| &item.shape)
        && union.variants.iter().any(|variant| variant.name == "Other" && variant.ty.is_any())
    {
        let message = "the schema has no `type`: every JSON value that is no object is allowed too";
        let help = "add `\"type\": \"object\"`, and the Rust type becomes a struct";
        findings.push(source.warning("codegen-no-type", source.span_of(""), message).with_help(help));
    }
    let prelude = Prelude::new(space.names.clone());
    match types::write(space, &prelude) {
        Ok((written, lost)) => {
            let span = source.span_of("");
            findings.extend(lost.into_iter().map(|message| source.warning("codegen-unsupported", span, message)));
            code(&Items::new(space, &written, &prelude), space)
        }
        Err(refusal) => {
            let message = format!("no Rust types can be made of this schema: {refusal}");
            let help = "this is a limit of the generator; please report the schema";
            findings.push(source.error("codegen-unsupported", source.span_of(""), message).with_help(help));
            TokenStream::new()
        }
    }
}

/// The module of a response or an error.
fn answer(module: &str, doc: &str, name: &str, code: TokenStream) -> TokenStream {
    let (module, name, doc) = (ident(module), ident(name), docs::outer(doc));
    quote! {
        #doc
        pub mod #module {
            use ::celerysalt::__private;
            #code
        }
        pub use self::#module::#name;
    }
}

/// The names of an answer's module: its own type and its builder.
fn answer_scope(name: &str) -> (Scope, String) {
    let mut scope = Scope::of_types();
    let builder = format!("{name}Builder");
    scope.take(&builder);
    (scope, builder)
}

/// The function that starts a builder, and the builder, where the first type is a struct.
fn built(
    plan: &VersionPlan<'_>,
    name: &str,
    builder: &str,
    part: &TokenStream,
    items: &Items<'_>,
    space: &Space,
) -> (TokenStream, TokenStream) {
    if !space.items.first().is_some_and(|item| matches!(item.shape, Shape::Record(_))) {
        return (TokenStream::new(), TokenStream::new());
    }
    let event = ident(&plan.event);
    let event = if part.to_string() == "Payload" {
        quote! { #event }
    } else {
        quote! { super::#event }
    };
    let (name, builder) = (ident(name), ident(builder));
    let target = builder::Target { name: &name, builder: &builder, event: &event, part };
    builder::code(&target, &items.fields(0), items.prelude)
}

/// The builder of an answer, and an impl of its own for the function that starts it.
fn built_alone(
    plan: &VersionPlan<'_>,
    name: &str,
    builder: &str,
    part: &TokenStream,
    items: &Items<'_>,
    space: &Space,
) -> TokenStream {
    let (start, builder) = built(plan, name, builder, part, items, space);
    if start.is_empty() {
        return builder;
    }
    let name = ident(name);
    quote! {
        impl #name { #start }
        #builder
    }
}

/// The inherent methods and trait implementations that make the first type an event.
fn event(plan: &VersionPlan<'_>, items: &Items<'_>, space: &Space) -> TokenStream {
    let name = ident(&plan.event);
    let (start, builder) = built(plan, &plan.event, &plan.builder, &quote! { Payload }, items, space);
    let contract = contract(plan, items.prelude);
    let families = family::implement(&name, items);
    let sending = match plan.contract.mode {
        Mode::Broadcast => quote! {
            /// Publishes the event once it is awaited.
            #[inline]
            pub fn publish<'a>(&'a self, salt: &'a ::celerysalt::Salt) -> ::celerysalt::Publish<'a, Self> {
                __private::publish(self, salt)
            }
            /// Publishes many events in one go once it is awaited.
            #[inline]
            pub fn publish_batch<'a>(
                events: &'a [Self],
                salt: &'a ::celerysalt::Salt,
            ) -> ::celerysalt::PublishBatch<'a, Self> {
                __private::publish_batch(events, salt)
            }
        },
        Mode::Rpc => quote! {
            /// Asks for the answer once it is awaited.
            #[inline]
            pub fn call<'a>(&'a self, salt: &'a ::celerysalt::Salt) -> ::celerysalt::Call<'a, Self> {
                __private::call(self, salt)
            }
        },
    };
    let kind = match plan.contract.mode {
        Mode::Broadcast => quote! { impl ::celerysalt::Broadcast for #name {} },
        Mode::Rpc => {
            let response = plan.response.as_deref().map(ident).map(|name| quote! { self::response::#name });
            let response = response.unwrap_or_else(|| quote! { __private::serde_json::Value });
            let error = plan.error.as_deref().map(ident).map(|name| quote! { self::error::#name });
            let error = error.unwrap_or_else(|| quote! { ::celerysalt::RpcError });
            quote! {
                impl ::celerysalt::Rpc for #name {
                    type Response = #response;
                    type Error = #error;
                }
            }
        }
    };
    quote! {
        impl #name {
            #start
            #sending
        }
        impl ::celerysalt::Event for #name {
            fn contract() -> &'static ::celerysalt::EventContract {
                static CONTRACT: ::celerysalt::EventContract = ::celerysalt::EventContract::new(#contract);
                &CONTRACT
            }
        }
        #kind
        #families
        #builder
    }
}

/// The contract as the runtime knows it.
fn contract(plan: &VersionPlan<'_>, prelude: &Prelude) -> TokenStream {
    let contract = plan.contract;
    let (some, none) = (prelude.name("Some"), prelude.name("None"));
    let option = |text: Option<TokenStream>| {
        let some = text.map(|text| quote! { #some(#text) });
        some.unwrap_or_else(|| none.clone())
    };
    let schema_of = |document: &Option<Document>| option(document.as_ref().map(|document| json(&document.schema)));
    let (topic, version) = (contract.topic.as_str(), contract.version.as_str());
    let mode = match contract.mode {
        Mode::Broadcast => quote! { ::celerysalt::Mode::Broadcast },
        Mode::Rpc => quote! { ::celerysalt::Mode::Rpc },
    };
    let exchange = option(contract.exchange.as_ref().map(|exchange| quote! { #exchange }));
    let description = &contract.description;
    let schema = json(&contract.request.schema);
    let (response, error) = (schema_of(&contract.response), schema_of(&contract.error));
    let fingerprint = contract.fingerprint.as_str();
    let (class, registry, auto_register) = (&plan.event, contract.registry, contract.auto_register);
    quote! {
        __private::Parts {
            topic: #topic,
            version: #version,
            mode: #mode,
            exchange: #exchange,
            description: #description,
            schema: #schema,
            response_schema: #response,
            error_schema: #error,
            fingerprint: #fingerprint,
            publisher_module: ::core::module_path!(),
            publisher_class: #class,
            registry: #registry,
            auto_register: #auto_register,
        }
    }
}

/// A schema as a string literal, raw where that reads better.
fn json(schema: &Value) -> TokenStream {
    let text = canonical(schema);
    let mut fence = String::from("#");
    while text.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    let raw = format!("r{fence}\"{text}\"{fence}").parse::<Literal>().ok().filter(|_| text.chars().all(docs::harmless));
    let literal = raw.unwrap_or_else(|| Literal::string(&text));
    quote! { #literal }
}

/// What makes the first type of a document an error.
fn declared_error(items: &Items<'_>, space: &Space) -> TokenStream {
    let Some(root) = space.items.first() else { return TokenStream::new() };
    let name = ident(&root.name);
    let fields = items.fields(0);
    let text = |key: &str| {
        let fits =
            |field: &&FieldCode| field.key == key && field.is_text && matches!(field.presence, Presence::Required);
        fields.iter().find(fits).map(|field| &field.ident)
    };
    let display = if let (Some(code), Some(message)) = (text("error_code"), text("error_message")) {
        quote! { ::core::write!(f, "{}: {}", self.#code, self.#message) }
    } else {
        let text = &root.name;
        quote! { f.write_str(#text) }
    };
    quote! {
        impl ::celerysalt::DeclaredError for #name {}
        impl ::core::fmt::Display for #name {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #display
            }
        }
        impl ::core::error::Error for #name {}
    }
}
