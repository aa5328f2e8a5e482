//! Typed Rust events from a folder of JSON Schema contracts, for `build.rs`.
//!
//! ```no_run
//! // build.rs, in its `main`:
//! celerysalt_codegen::contracts("schemas").only(["pulse.risk.*", "rpc.pulse.risk.get@v1"]).emit();
//! ```
//!
//! The crate then has the events by `celerysalt::include_events!();`, as plain items in `events.rs` of its `OUT_DIR`:
//! a module for each topic, in it one for each version, and the newest version of each event at the top.
//! A build touches neither a network nor a database, and says the same for the same files.
//!
//! # From schemas to types
//! Types say what a value is made of; which values are allowed is checked when an event is published, built or
//! received, against the whole schema. So fields are plain `String`, `f64`, `bool`, structs and enums:
//!
//! | schema | Rust |
//! | --- | --- |
//! | a property that is not required | `Option`, `None` is not written; with a default, the type itself |
//! | a property that may be null | `Option`, `None` written as null where it is required or null is its default |
//! | an integer | `celerysalt::Integer` of any size; `i64` where bounds, an `enum` or a format such as `int64` allow |
//! | `enum` or `const` of strings | an enum, with `Default` where the schema has a default |
//! | `x-extensible-enum` of strings | an enum with a variant `Unknown` for strings that are added later |
//! | `allOf` and `$ref` to a base | the base's fields, then the schema's own, in one struct |
//! | `anyOf`, `oneOf` | an enum where alternatives can be told apart, else one struct with the fields of all |
//! | additional or pattern properties with a schema | a map, beside declared fields as `extra` |
//! | a string with a `format` | `String`; which texts are allowed is a setting of the contract, `x-celerysalt.formats` |
//! | an array of one kind; a fixed number of items | `Vec`; a tuple |
//! | what Rust has no type for | `serde_json::Value`, for that property alone |
//!
//! Every value that a schema allows fits its type, and is the same JSON value when it is written again: structs that have
//! fields for less than that have one more, `rest: celerysalt::Rest`, for undeclared properties and for how declared ones
//! were written. [`Builder::plain`] leaves it out. Two things are taken at their word: a format such as `int64` bounds an
//! integer, and a schema without `type` allows values of every type, so it should have one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking"))]

mod builder;
mod cache;
mod convert;
mod decode;
mod docs;
mod emit;
mod event;
mod family;
mod items;
mod literal;
mod lower;
mod names;
mod plan;
mod render;
mod shared;
#[cfg(feature = "stubs")]
pub mod stubs;
mod types;

/// How names of contracts are spelled in generated code, for whoever writes about it. Where two of them would be the same in
/// one scope, generated code has a number behind the second.
///
/// ```
/// use celerysalt_codegen::naming::{field_name, module_name, type_name};
///
/// assert_eq!(module_name("pulse.risk.created"), "pulse_risk_created");
/// assert_eq!(type_name("risk assessment-created"), "RiskAssessmentCreated");
/// assert_eq!(field_name("riskScore"), "risk_score");
/// ```
pub mod naming {
    pub use crate::names::{field_name, module_name, type_name};
}

use std::path::{Path, PathBuf};

use celerysalt_contract::{Catalog, Contract, Diagnostics, lint};

use crate::cache::Kept;

/// Starts generating from the contracts of a folder.
///
/// In a `build.rs`, a relative folder is taken relative to the crate that is built.
///
/// ```no_run
/// celerysalt_codegen::contracts("schemas").emit();
/// ```
pub fn contracts(folder: impl AsRef<Path>) -> Builder {
    Builder { folder: folder.as_ref().to_owned(), only: Vec::new(), plain: Vec::new() }
}

/// What to generate, and from where; made by [`contracts`].
#[derive(Clone, Debug)]
#[must_use = "nothing is generated until `emit` or `generate` is called"]
pub struct Builder {
    folder: PathBuf,
    only: Vec<String>,
    plain: Vec<String>,
}

/// Generated code, and what it was made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generated {
    /// The code: items, to be included into a module.
    pub code: String,
    /// Every file that was read, below the folder as it was given; sorted.
    pub files: Vec<PathBuf>,
    /// The folder as it was given, and every folder in it that a file was read from; sorted.
    pub directories: Vec<PathBuf>,
    /// What deserves a look and is no error.
    pub warnings: Diagnostics,
}

impl Builder {
    /// Narrows the contracts down to those that at least one selector means: a topic or a pattern (`*` is one word,
    /// `#` any number), and optionally `@` and a version (`v1`, `^v1` for it and its compatible successors, `latest`).
    ///
    /// Each call adds selectors. One that means no contract is an error when the code is generated.
    ///
    /// ```no_run
    /// celerysalt_codegen::contracts("schemas").only(["pulse.risk.*", "auth.user.signup@latest"]).emit();
    /// ```
    pub fn only(mut self, selectors: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.only.extend(selectors.into_iter().map(|selector| selector.as_ref().to_owned()));
        self
    }

    /// Gives the contracts that at least one selector means plain structs: the properties that the schema names, `i64` for
    /// every integer, and nothing else. Selectors are those of [`Builder::only`].
    ///
    /// What a plain struct has no place for is not written again when an event is passed on: undeclared properties,
    /// whether a property was null or absent, digits that a float has no room for. An integer beyond 64 bits, which the
    /// contract allows, is refused when it is read.
    ///
    /// ```no_run
    /// celerysalt_codegen::contracts("schemas").plain(["telemetry.#"]).emit();
    /// ```
    pub fn plain(mut self, selectors: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.plain.extend(selectors.into_iter().map(|selector| selector.as_ref().to_owned()));
        self
    }

    /// Generates the code and gives it back: nothing is written, nothing printed, and the environment isn't asked.
    ///
    /// ```no_run
    /// match celerysalt_codegen::contracts("schemas").generate() {
    ///     Ok(generated) => println!("{}", generated.code),
    ///     Err(findings) => eprint!("{}", findings.render(true)),
    /// }
    /// ```
    ///
    /// # Errors
    /// Every finding in every contract of the folder, warnings included, when at least one of them is an error.
    pub fn generate(&self) -> Result<Generated, Diagnostics> {
        let catalog = Catalog::load(&self.folder)?;
        let read = catalog.files.clone();
        let Made { code, warnings, .. } = self.make(catalog, &Kept::default())?;
        let files: Vec<PathBuf> = read.iter().map(|file| self.folder.join(file)).collect();
        let mut directories = vec![self.folder.clone()];
        for file in &read {
            directories.extend(
                file.ancestors()
                    .skip(1)
                    .filter(|folder| !folder.as_os_str().is_empty())
                    .map(|folder| self.folder.join(folder)),
            );
        }
        directories.sort();
        directories.dedup();
        Ok(Generated { code, files, directories, warnings })
    }

    /// Generates the code of a catalog that has everything but what is known already.
    ///
    /// # Errors
    /// Every finding; where something is known, also when it does not go together with the catalog.
    fn make(&self, catalog: Catalog, kept: &Kept) -> Result<Made, Diagnostics> {
        let mut findings = catalog.warnings.clone();
        let selected = plan::select(&catalog, "only", &self.only, kept);
        let plain = match self.plain.as_slice() {
            [] => Ok(Vec::new()),
            selectors => plan::select(&catalog, "plain", selectors, kept),
        };
        let (selected, plain) = match (selected, plain) {
            (Ok(selected), Ok(plain)) => (selected, plain),
            (selected, plain) => {
                findings.extend(selected.err().into_iter().chain(plain.err()).flatten());
                findings.sort();
                return Err(findings);
            }
        };
        findings.extend(selected.iter().flat_map(|contract| contract.documents()).flat_map(lint::mistakes));
        let (rendered, found) = render::code(&selected, &plain, kept);
        findings.extend(found);
        findings.sort();
        let Some(render::Rendered { code, topics }) = rendered else { return Err(findings) };
        Ok(Made { code, topics, warnings: findings, contracts: catalog.contracts })
    }

    /// Generates the code into `events.rs` in `OUT_DIR`, for `celerysalt::include_events!()`; to be called in a
    /// `build.rs`.
    ///
    /// Cargo runs the script again when anything in the folder is edited, added or removed. Then only the topics whose
    /// files changed are generated again, and those that share something with others: what the script knows of the rest is
    /// kept in `OUT_DIR`, in `events.cache`. Warnings become cargo's warnings. When anything is wrong, every finding is printed with its place in the file, and the process exits
    /// with status 1.
    pub fn emit(self) {
        if let Err(refusal) = emit::emit(&self) {
            refusal.print();
            std::process::exit(1);
        }
    }
}

/// Generated code with all that is to be known of it.
struct Made {
    code: String,
    /// The topics in the code, in its order.
    topics: Vec<render::TopicText>,
    warnings: Diagnostics,
    /// Everything that was loaded for it.
    contracts: Vec<Contract>,
}
