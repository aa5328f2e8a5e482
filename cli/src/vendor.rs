//! Contracts of others: where they are read from, and as which files they come.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Catalog, Contract, ContractRecord, Selector, VersionRange};
use clap::Args;
use serde_json::Value;

use crate::{
    contracts::{REGISTRY_URL, connect, from_environment, load, note},
    git::{self, Checkout},
    lock::is_plain,
    output::Stop,
};

/// Where contracts of others are.
#[derive(Debug, Args)]
pub(crate) struct From {
    /// Registry that has the contracts, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: Option<String>,
    /// Schemas folder that has them: a path, or git:PATH@REVISION for a folder as a git revision has it
    #[arg(long, value_name = "DIR|git:PATH@REVISION")]
    from: Option<String>,
}

/// A contract with its files, as paths below a schemas folder.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) record: ContractRecord,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// The contracts of one place.
#[derive(Debug)]
pub(crate) struct Place {
    /// As the lock names it: without credentials.
    pub(crate) name: String,
    /// What deserves to be said about it.
    pub(crate) note: &'static str,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Registry(String),
    Folder {
        catalog: Box<Catalog>,
        /// Kept while its files are read.
        _checkout: Option<Checkout>,
    },
}

impl From {
    /// The place that the arguments name, if they name one.
    pub(crate) fn place(&self) -> Result<Option<Place>, Stop> {
        match (&self.from, &self.registry) {
            (Some(_), Some(url)) if !from_environment(url) => {
                Err(Stop::failed("arguments", "--registry and --from can't both be given"))
            }
            (Some(from), _) => folder(from).map(Some),
            (None, Some(url)) => {
                let contents = Contents::Registry(url.clone());
                Ok(Some(Place { name: without_credentials(url), note: note(url), contents }))
            }
            (None, None) => Ok(None),
        }
    }
}

fn folder(from: &str) -> Result<Place, Stop> {
    let (catalog, checkout) = match from.strip_prefix("git:") {
        Some(place) => {
            let (path, revision) = place.rsplit_once('@').filter(|(path, _)| !path.is_empty()).ok_or_else(|| {
                Stop::failed("arguments", format!("`{from}` names no revision: expected git:PATH@REVISION"))
            })?;
            let checkout = git::checkout(&schemas_of(path), revision)?;
            (load(checkout.path())?, Some(checkout))
        }
        None => (load(&schemas_of(from))?, None),
    };
    let contents = Contents::Folder { catalog: Box::new(catalog), _checkout: checkout };
    Ok(Place { name: from.to_owned(), note: "", contents })
}

/// A repository is named as well as the schemas folder at its top.
fn schemas_of(path: &str) -> PathBuf {
    let path = Path::new(path);
    let inside = path.join("schemas");
    if path.join(".git").exists() && inside.is_dir() { inside } else { path.to_owned() }
}

impl Place {
    /// The contracts that `selectors` mean, sorted: all versions of a range, the newest where no versions are named.
    ///
    /// Each selector has to mean something.
    pub(crate) async fn find(&self, selectors: &[Selector]) -> Result<Vec<Found>, Stop> {
        let mut found: Vec<Found> = Vec::new();
        for selector in selectors {
            let mut selector = selector.clone();
            if selector.versions == VersionRange::Any {
                selector.versions = VersionRange::Latest;
            }
            let meant = match &self.contents {
                Contents::Registry(url) => {
                    let records = connect(url)?.list(Some(&selector)).await?;
                    records.into_iter().map(from_record).collect()
                }
                Contents::Folder { catalog, .. } => catalog
                    .select(std::slice::from_ref(&selector))
                    .into_iter()
                    .map(|contract| from_contract(catalog, contract))
                    .collect::<Result<Vec<_>, _>>()?,
            };
            if meant.is_empty() {
                return Err(Stop::failed("not-found", format!("{} has no contract {selector}", self.name)));
            }
            found.extend(meant);
        }
        found.sort_by(|a, b| (&a.record.topic, &a.record.version).cmp(&(&b.record.topic, &b.record.version)));
        found.dedup_by(|a, b| (&a.record.topic, &a.record.version) == (&b.record.topic, &b.record.version));
        Ok(found)
    }

    /// All that it has.
    pub(crate) async fn records(&self) -> Result<Vec<ContractRecord>, Stop> {
        match &self.contents {
            Contents::Registry(url) => Ok(connect(url)?.list(None).await?),
            Contents::Folder { catalog, .. } => Ok(catalog.contracts.iter().map(Contract::to_record).collect()),
        }
    }
}

/// A registry has bundles: each schema is one file, with what it refers to inside.
fn from_record(record: ContractRecord) -> Found {
    let mut files = BTreeMap::new();
    let parts = [
        ("", Some(&record.schema)),
        (".response", record.response_schema.as_ref()),
        (".error", record.error_schema.as_ref()),
    ];
    for (part, schema) in parts {
        if let Some(schema) = schema {
            files.insert(format!("{}/{}{part}.json", record.topic, record.version), text(schema));
        }
    }
    Found { record, files }
}

fn text(schema: &Value) -> Vec<u8> {
    format!("{schema:#}\n").into_bytes()
}

/// A folder has files as people wrote them, fragments apart.
fn from_contract(catalog: &Catalog, contract: &Contract) -> Result<Found, Stop> {
    let mut files = BTreeMap::new();
    for file in contract.documents().flat_map(|document| &document.files) {
        let refused = |reason: &str| Stop::failed("folder", format!("{}: {reason}", catalog.root.join(file).display()));
        let name = file.to_str().map(|name| name.replace('\\', "/")).filter(|name| is_plain(name));
        let name = name.ok_or_else(|| refused("its name can't be vendored: use plain ASCII names"))?;
        let content = fs::read(catalog.root.join(file)).map_err(|error| refused(&format!("can't be read: {error}")))?;
        files.insert(name, content);
    }
    Ok(Found { record: contract.to_record(), files })
}

/// A URL as it may stand in a file that is committed: neither a user nor a password, nor parameters that may hold one.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme.is_empty() {
        return url.to_owned();
    }
    let place = match rest.rsplit_once('@') {
        // An `@` or a `?` that is not escaped, in a password: nothing tells which part is the place.
        Some((before, _)) if before.contains('?') => return format!("{scheme}:"),
        Some((_, place)) => place,
        None => rest,
    };
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_gets_into_a_lock() {
        for (url, name) in [
            ("postgres://ann:s3@cret@db:5432/app?password=s3cret", "postgres://db:5432/app"),
            ("postgres://ann:s3?cret@db/app", "postgres:"),
            ("postgres://db/app?user=ann&password=s3@cret", "postgres:"),
            ("postgres://db/app", "postgres://db/app"),
            ("sqlite:contracts.db", "sqlite:contracts.db"),
        ] {
            assert_eq!(without_credentials(url), name);
        }
    }
}
