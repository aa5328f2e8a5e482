//! A folder becomes contracts. (stub)
use std::{path::{Path, PathBuf}, sync::Arc};
use serde_json::Value;
use crate::{ContractRecord, Diagnostics, Draft, Fingerprint, Mode, Source, Topic, Version};

/// One schema file of a contract, references bundled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document { /// the file with its text
 pub source: Arc<Source>, /// its draft
 pub draft: Draft, /// self-contained: every reference is `#`, `#/...` or `#anchor`
 pub schema: Value, /// every file that it was made of, relative to the folder, itself included
 pub files: Vec<PathBuf> }

/// One topic and version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contract { /// topic
 pub topic: Topic, /// version
 pub version: Version, /// mode
 pub mode: Mode, /// the schema's `title`, else the topic in PascalCase; always usable as a Rust type name after sanitising
 pub title: String, /// the schema's `description`
 pub description: String, /// `x-celerysalt.exchange`
 pub exchange: Option<String>, /// `x-celerysalt.registry`, default true
 pub registry: bool, /// `x-celerysalt.auto_register`, default true
 pub auto_register: bool, /// `x-celerysalt.compatibility` as written
 pub compatibility: Option<String>, /// `x-celerysalt.owner`
 pub owner: Option<String>, /// payload, or request
 pub request: Document, /// response
 pub response: Option<Document>, /// declared error
 pub error: Option<Document>, /// fingerprint
 pub fingerprint: Fingerprint }
impl Contract { /// For the registry.
 pub fn to_record(&self) -> ContractRecord { unimplemented!() } }

/// All contracts of a folder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Catalog { /// the folder as given
 pub root: PathBuf, /// sorted by topic, then version
 pub contracts: Vec<Contract>, /// what is no error
 pub warnings: Diagnostics }
impl Catalog {
    /// Loads and checks everything.
    pub fn load(_root: impl AsRef<Path>) -> Result<Self, Diagnostics> { unimplemented!() }
}
