//! The derive macros of code-first events: `celerysalt` with its feature `derive` re-exports them, and documents them.
//!
//! They write what the generator writes around a type that it made from a schema file; here the type is the user's, and
//! the schema is made of it when the program first asks for it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod attributes;
mod expand;
mod names;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct an event: its contract is what `schemars` says of the struct.
///
/// The struct also derives `Debug`, `Serialize`, `Deserialize` and `JsonSchema`, and has no type parameters.
///
/// ```ignore
/// use celerysalt::{SaltEvent, schemars::JsonSchema};
/// use serde::{Deserialize, Serialize};
///
/// /// An order has been placed.
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
/// #[schemars(crate = "celerysalt::schemars")]
/// #[salt(topic = "orders.placed", version = "v1")]
/// struct OrderPlaced {
///     /// Identifies the order.
///     order_id: String,
///     /// In cents.
///     #[schemars(range(min = 0))]
///     amount: i64,
/// }
/// ```
///
/// # Attributes
/// | `#[salt(...)]` | |
/// | --- | --- |
/// | `topic = "orders.placed"` | required |
/// | `version = "v1"` | required |
/// | `rpc` | a request that is called and served, not published; also as `mode = "rpc"` |
/// | `response = Order` | what the request is answered, a type with `SaltResponse` or a generated one; means `rpc` |
/// | `error = Declined` | what it is answered instead, a type with `SaltError`; needs `response` |
/// | `exchange = "name"` | when it is not the service's default |
/// | `registry = false` | the contract does not belong into the registry |
/// | `auto_register = false` | a publishing service does not register it by itself |
/// | `title = "..."` | instead of the type's name |
/// | `description = "..."` | instead of the doc comment |
#[proc_macro_derive(SaltEvent, attributes(salt))]
pub fn event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::event(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type with `Serialize` and `Deserialize` what an RPC answers: `#[salt(response = ...)]` of its request.
#[proc_macro_derive(SaltResponse, attributes(salt))]
pub fn response(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::response(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type with `Debug`, `Serialize` and `Deserialize` what an RPC answers when it declines: `#[salt(error = ...)]`
/// of its request.
#[proc_macro_derive(SaltError, attributes(salt))]
pub fn error(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::error(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
