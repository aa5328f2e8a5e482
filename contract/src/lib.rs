//! What an event contract is.
//!
//! A folder of JSON Schema files becomes a [`Catalog`] of [`Contract`]s: loaded, references resolved inside the
//! folder, checked against the meta-schema of their draft, fingerprinted. Every problem of every file is reported
//! at once, as [`Diagnostics`] that point into the user's own files. This crate is pure and synchronous: it reads
//! files, and knows no broker, no database and no generator.

pub mod catalog;
mod check;
#[cfg(feature = "compare")]
pub mod compare;
pub mod diagnostic;
mod dialect;
mod difference;
mod draft;
mod dynamic;
#[cfg(feature = "compare")]
pub mod evolution;
pub mod exact;
mod expansion;
mod fingerprint;
mod formats;
mod keyword;
mod layout;
mod library;
#[cfg(feature = "mistakes")]
pub mod lint;
mod plain;
mod record;
mod resolve;
mod scan;
mod settings;
mod source;
mod suggest;
mod topic;
mod uri;
mod validator;
mod version;
mod words;

pub use catalog::{Catalog, Contract, Document, Other};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Span};
pub use difference::differences;
pub use draft::{Draft, Place, for_each_subschema};
pub use exact::{Exact, Explained, Way};
pub use fingerprint::{Fingerprint, fingerprint};
pub use formats::Formats;
pub use layout::layout;
pub use record::{ContractRecord, Mode, Status};
pub use source::Source;
pub use topic::{Topic, TopicError, TopicPattern};
pub use validator::{SchemaError, Validator, Violation, Violations};
pub use version::{Selector, SelectorError, Version, VersionError, VersionRange};
