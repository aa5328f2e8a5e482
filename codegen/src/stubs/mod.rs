//! Stubs: what other languages need to work with contracts, as files for their repositories (feature `stubs`).
//!
//! A pure function of the contracts: the same ones give the same bytes, and nothing is read or written here. Contracts
//! may come from a folder or from a registry, where nobody has checked them, so any JSON is taken for a schema.

mod names;
mod python;
mod schema;
mod typescript;

use std::collections::BTreeMap;

use celerysalt_contract::ContractRecord;

/// What stubs are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// Models of pydantic 2.11 or newer, for Python 3.10 or newer. They take and refuse what the schemas do; what they
    /// can't say is listed at the top of each file, with its keyword and JSON pointer.
    Python,
    /// Types, and nothing that runs.
    TypeScript,
}

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StubFile {
    /// Its name, such as `pulse_risk_created.py`; unique among the files made with it.
    pub name: String,
    /// The topic whose contracts are in it.
    pub topic: String,
    /// Its text.
    pub text: String,
}

/// The stubs of contracts: one file for each topic, with all its versions; sorted by topic.
///
/// ```
/// use celerysalt_codegen::stubs::{Language, stubs};
/// use celerysalt_contract::Catalog;
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas");
/// let contracts: Vec<_> = Catalog::load(folder)?.contracts.iter().map(|contract| contract.to_record()).collect();
/// let files = stubs(Language::Python, &contracts);
/// let file = files.iter().find(|file| file.topic == "pulse.risk.created").unwrap();
/// assert_eq!(file.name, "pulse_risk_created.py");
/// assert!(file.text.contains("class RiskAssessmentCreated("));
/// # Ok::<(), celerysalt_contract::Diagnostics>(())
/// ```
pub fn stubs(language: Language, contracts: &[ContractRecord]) -> Vec<StubFile> {
    let mut topics: BTreeMap<&str, Vec<&ContractRecord>> = BTreeMap::new();
    for contract in contracts {
        topics.entry(contract.topic.as_str()).or_default().push(contract);
    }
    // Topics that differ in nothing that a file's name can show.
    let mut taken = names::Scope::default();
    let mut files = Vec::with_capacity(topics.len());
    for (topic, mut versions) in topics {
        versions.sort_by(|a, b| a.version.cmp(&b.version));
        let module = taken.take(&names::module_name(topic), "_");
        let (name, text) = match language {
            Language::Python => (format!("{module}.py"), python::file(topic, &versions)),
            Language::TypeScript => (format!("{module}.ts"), typescript::file(topic, &versions)),
        };
        files.push(StubFile { name, topic: topic.to_owned(), text });
    }
    files
}
