//! What reviewers look for in contracts, as rules with names.
//!
//! Loading a folder refuses what can't be used; this room looks at what can be and should not be: typos that loosen a
//! schema without a word, values that contradict it, choices that stand in the way of the next version.
//!
//! The walk: the folder is loaded, every file and every bundled document becomes a `subject`, each family of rules
//! (one file each) looks at it, and `settings` says how bad what it found is. `handbook` prints the rules.
//!
//! Builds warn by a few of the rules too, whatever the settings: [`mistakes`].

#![cfg_attr(
    not(feature = "lint"),
    allow(dead_code, reason = "builds ask for a few rules, and their files have more of them")
)]

mod bounds;
#[cfg(feature = "lint")]
mod documentation;
#[cfg(feature = "lint")]
mod evolution;
#[cfg(feature = "lint")]
mod handbook;
mod keywords;
#[cfg(feature = "lint")]
mod naming;
#[cfg(feature = "lint")]
mod patterns;
#[cfg(feature = "lint")]
mod references;
#[cfg(feature = "lint")]
mod rule;
#[cfg(feature = "lint")]
mod settings;
mod subject;
#[cfg(feature = "lint")]
mod types;
mod values;

#[cfg(feature = "lint")]
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "lint")]
use self::subject::Subject;
use self::subject::{File, Found};
#[cfg(feature = "lint")]
pub use self::{
    handbook::handbook,
    rule::{Example, Level, Rule, rules},
    settings::{Ignore, Settings},
};
#[cfg(feature = "lint")]
use crate::{Catalog, Diagnostics, Severity};
use crate::{Diagnostic, Document};

/// What nobody can have meant in the document's own file: a keyword that is misspelt, so that every reader skips it; bounds
/// that nothing fits; a constant that the type beside it refuses. As warnings, with what to do.
pub fn mistakes(document: &Document) -> Vec<Diagnostic> {
    const CERTAIN: [&str; 3] = ["impossible-bounds", "misspelt-keyword", "value-outside-type"];
    let file = File { source: Arc::clone(&document.source), draft: document.draft, is_contract: true };
    let mut found = Found::default();
    bounds::check(&file, &mut found);
    keywords::check(&file, &mut found);
    values::check_file(&file, &mut found);
    found.diagnostics.retain(|finding| CERTAIN.contains(&finding.code));
    found.diagnostics
}

/// What linting a folder came to.
#[cfg(feature = "lint")]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Linted {
    /// What was found, by path and place. Those of the settings among them.
    pub findings: Diagnostics,
    /// How many findings were left out by an `ignore` of the settings.
    pub ignored: usize,
    /// How many contracts were looked at.
    pub contracts: usize,
}

/// Loads the folder `root`, its `celerysalt.toml` included, and holds every rule against it.
///
/// ```no_run
/// let linted = celerysalt_contract::lint::lint("schemas").unwrap();
/// print!("{}", linted.findings.render(true));
/// ```
///
/// # Errors
/// What [`Catalog::load`] refuses, and what is wrong with `celerysalt.toml`.
#[cfg(feature = "lint")]
pub fn lint(root: impl AsRef<Path>) -> Result<Linted, Diagnostics> {
    let root = root.as_ref();
    let settings = Settings::load(root)?;
    let catalog = Catalog::load(root)?;
    Ok(lint_catalog(&catalog, &settings))
}

/// Holds every rule against contracts that were loaded.
#[cfg(feature = "lint")]
pub fn lint_catalog(catalog: &Catalog, settings: &Settings) -> Linted {
    let subject = Subject::of(catalog);
    let mut found = Found::default();
    // What loading warns of are rules as well: they are asked to be quiet in the same way.
    for warning in &catalog.warnings.items {
        found.diagnostics.push(warning.clone());
    }
    for file in &subject.files {
        types::check(file, &mut found);
        documentation::check(file, &mut found);
        evolution::check_file(file, &mut found);
        naming::check_file(file, &mut found);
        bounds::check(file, &mut found);
        patterns::check(file, &mut found);
        keywords::check(file, &mut found);
        values::check_file(file, &mut found);
        references::check_siblings(file, &mut found);
    }
    references::check_unused(&subject, &mut found);
    evolution::check_versions(catalog, &mut found);
    naming::check_topics(catalog, &mut found);
    for contract in &catalog.contracts {
        for document in contract.documents() {
            values::check_document(document, &mut found);
        }
    }
    let mut linted = Linted { contracts: catalog.contracts.len(), ..Linted::default() };
    let mut used = vec![false; settings.ignores().len()];
    for mut finding in found.diagnostics {
        let level = settings.level(finding.code);
        let relative = finding.path.strip_prefix(&catalog.root).unwrap_or(&finding.path);
        if let Some(at) = settings.ignored(finding.code, relative) {
            linted.ignored += usize::from(level != Level::Off);
            if let Some(used) = used.get_mut(at) {
                *used = true;
            }
            continue;
        }
        finding.severity = match level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Off => continue,
        };
        linted.findings.push(finding);
    }
    linted.findings.extend(settings.unused(&used));
    linted.findings.sort();
    linted
}
