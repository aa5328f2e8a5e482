//! Where commands get contracts from: a schemas folder, or a registry.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use celerysalt::registry::{self, Actor, Registry};
use celerysalt_contract::{Catalog, ContractRecord, Selector, evolution::Release};
use clap::Args;

#[cfg(feature = "postgres")]
use crate::logging;
use crate::output::Stop;

/// Names the registry when no argument does.
pub(crate) const REGISTRY_URL: &str = "CELERYSALT_REGISTRY_URL";

/// The folder when nothing is named.
pub(crate) const SCHEMAS: &str = "schemas";

/// How long to wait for a registry that is there, and has no connection to give.
const PATIENCE: Duration = Duration::from_mins(1);

/// Either a folder or a registry.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Folder of the contracts [default: schemas, when no registry is named]
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
    /// Registry that has the contracts, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: Option<String>,
}

impl Source {
    /// The contracts that `filter` means, sorted by topic, then version.
    pub(crate) async fn contracts(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, Stop> {
        match (&self.schemas, &self.registry) {
            (Some(_), Some(url)) if !from_environment(url) => {
                Err(Stop::failed("arguments", "--schemas and --registry can't both be given"))
            }
            (None, Some(url)) => Ok(connect(url)?.list(filter).await?),
            (folder, _) => {
                let catalog = load(folder.as_deref().unwrap_or(Path::new(SCHEMAS)))?;
                let filter: Vec<Selector> = filter.cloned().into_iter().collect();
                Ok(catalog.select(&filter).into_iter().map(celerysalt_contract::Contract::to_record).collect())
            }
        }
    }

    /// All of them as releases: those of a folder know their files, and every digit in them.
    pub(crate) async fn releases(&self) -> Result<Vec<Release>, Stop> {
        match (&self.schemas, &self.registry) {
            (Some(_), Some(url)) if !from_environment(url) => {
                Err(Stop::failed("arguments", "--schemas and --registry can't both be given"))
            }
            (None, Some(_)) => Ok(self.contracts(None).await?.into_iter().map(Release::from_record).collect()),
            (folder, _) => {
                let catalog = load(folder.as_deref().unwrap_or(Path::new(SCHEMAS)))?;
                Ok(catalog.contracts.into_iter().map(Release::from_contract).collect())
            }
        }
    }

    /// The registry, when the contracts come from one.
    pub(crate) fn registry(&self) -> Result<Option<Arc<dyn Registry>>, Stop> {
        match (&self.schemas, &self.registry) {
            (None, Some(url)) => connect(url).map(Some),
            _ => Ok(None),
        }
    }

    /// What deserves to be said about the source before anyone wonders about what it has.
    pub(crate) fn note(&self) -> &'static str {
        match (&self.schemas, &self.registry) {
            (None, Some(url)) => note(url),
            _ => "",
        }
    }
}

/// An argument goes before the environment.
pub(crate) fn from_environment(url: &str) -> bool {
    env::var(REGISTRY_URL).is_ok_and(|value| value == url)
}

/// What deserves to be said about a registry of that URL.
pub(crate) fn note(url: &str) -> &'static str {
    if url.starts_with("memory:") {
        "note: a memory: registry is empty in a new process and gone with it; name a postgres:// or sqlite: registry to keep \
         contracts\n"
    } else {
        ""
    }
}

/// The registry of that URL. When it keeps people waiting, they are told why.
pub(crate) fn connect(url: &str) -> Result<Arc<dyn Registry>, Stop> {
    #[cfg(feature = "postgres")]
    logging::waits();
    Ok(registry::connect_patiently(url, Actor::here("celerysalt"), PATIENCE)?)
}

/// Loads a folder: one that can't be read is a failure, invalid contracts are findings.
pub(crate) fn load(folder: &Path) -> Result<Catalog, Stop> {
    readable(folder)?;
    Catalog::load(folder).map_err(Stop::Refused)
}

/// Whether there is a folder at all.
pub(crate) fn readable(folder: &Path) -> Result<(), Stop> {
    match fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Stop::failed("folder", format!("can't read the schemas folder {}: {error}", folder.display())))
        }
    }
}

/// The newest of the contracts that `selector` meant; it must mean one topic.
pub(crate) fn newest(selector: &Selector, contracts: Vec<ContractRecord>) -> Result<ContractRecord, Stop> {
    if !selector.pattern.is_exact() {
        return Err(Stop::failed(
            "arguments",
            format!("{selector} is a pattern: name one topic, as TOPIC or TOPIC@VERSION"),
        ));
    }
    contracts.into_iter().max_by(|a, b| a.version.cmp(&b.version)).ok_or_else(|| {
        Stop::failed(
            "not-found",
            format!("there is no contract {selector}; `celerysalt list-events` lists those that are there"),
        )
    })
}
