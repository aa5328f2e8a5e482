//! Events that are written in Rust: the struct is the source, and its schema file is made of it.
//!
//! [`SaltEvent`](crate::SaltEvent) makes a struct an event like any generated one: published, called, handled,
//! registered and checked in the same way, against the schema that [`schemars`] reads off the struct.
//! Other services need that schema as a file, and it must not drift from the struct. So a test compares the two, and
//! `celerysalt export` runs the same test and has it write the files:
//!
//! ```
//! use celerysalt::{Salt, SaltEvent, schemars::JsonSchema};
//! use serde::{Deserialize, Serialize};
//!
//! /// An order has been placed.
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SaltEvent)]
//! #[schemars(crate = "celerysalt::schemars")]
//! #[salt(topic = "orders.placed", version = "v1")]
//! struct OrderPlaced {
//!     /// Identifies the order.
//!     order_id: String,
//!     /// In cents.
//!     #[schemars(range(min = 1))]
//!     amount: i64,
//! }
//!
//! // The test that holds struct and file together, and that `celerysalt export` runs.
//! celerysalt::code_first_test!("schemas", OrderPlaced);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let salt = Salt::builder("shop").contracts(celerysalt::code_first::contracts::<OrderPlaced>()).connect().await?;
//! # async fn pack(_: OrderPlaced) -> Result<(), celerysalt::HandlerError> { Ok(()) }
//! # let packing = salt.service().on(pack).start().await?;
//! OrderPlaced { order_id: "A-1".to_owned(), amount: 4200 }.publish(&salt).await?;
//!
//! let free = OrderPlaced { order_id: "A-2".to_owned(), amount: 0 }.publish(&salt).await;
//! assert!(free.unwrap_err().to_string().contains("/amount"));
//! # packing.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What the schema says
//! The draft is 2020-12, and the schema is what the type *reads*: a field with `#[serde(default)]` is not required.
//! Doc comments become `description`s; those of an enum's values go to `x-enum-descriptions`, so that they change no
//! meaning. `i64` says `"format": "int64"`; a plain `"integer"` is [`Integer`](crate::Integer), a plain `"number"`
//! `f64`.
//!
//! What comes in is checked against the schema first, then read by serde. Two things are the type's own affair: it may
//! be narrower than its schema (an `i32` field refuses more than `"format": "int32"` does), and undeclared properties
//! are dropped unless the struct keeps them: `#[serde(flatten)] rest: BTreeMap<String, serde_json::Value>`.
//!
//! # What a file may add
//! The struct says what a payload is. A file may say more, and keeps it when it is exported again: `owner` and
//! `compatibility` in `x-celerysalt`, other `x-*` keywords, `examples`, `$comment`, and texts where the struct has no
//! doc comment. A file that says the same in other words, with fragments of `_common` for example, is left alone.

pub(crate) mod contract;
mod events;
pub(crate) mod files;
mod merge;
pub(crate) mod read;
mod render;
pub(crate) mod schema;

pub use self::{
    events::{CodeFirst, Events, contracts},
    files::{EXPORT_VARIABLE, Exported, SchemaFilesError, StaleFile, check, export, test},
};

/// A test that holds code-first events and their schema files together; `celerysalt export` has it write the files.
///
/// The folder is relative to the package's. The test's name is `celerysalt_code_first`; a module has one of them, for
/// all of its events.
///
/// ```
/// # use celerysalt::{SaltEvent, schemars::JsonSchema};
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, JsonSchema, SaltEvent)]
/// # #[schemars(crate = "celerysalt::schemars")]
/// # #[salt(topic = "orders.placed", version = "v1")]
/// # struct OrderPlaced {}
/// celerysalt::code_first_test!("schemas", OrderPlaced);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! code_first_test {
    ($folder:literal, $($event:ty),+ $(,)?) => {
        #[cfg(test)]
        #[test]
        fn celerysalt_code_first() -> ::core::result::Result<(), $crate::code_first::SchemaFilesError> {
            let schemas = ::std::path::Path::new(::core::env!("CARGO_MANIFEST_DIR")).join($folder);
            let events = [$($crate::code_first::contracts::<$event>()),+].concat();
            $crate::__private::code_first::test_all(&schemas, &events)
        }
    };
}
