//! Where contracts are known: what was released, readable by services that have nothing of the publisher's code.
//!
//! [`connect`] takes a URL; every [`Registry`] passes one suite, `conformance` (feature `conformance`).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Fingerprint, Selector, Topic, Version};
use serde::Serialize;

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod sync;

use crate::url::redact_url;

/// Stores contracts. Object-safe: a service holds an `Arc<dyn Registry>`.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Makes `contracts` known, all of them or, where one conflicts, none; with `dry_run` only says what would happen.
    ///
    /// A conflict is no `Err`: the returned plan holds it, and then nothing was written ([`Plan::has_conflicts`]).
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`], [`RegistryError::Denied`], [`RegistryError::Unusable`],
    /// [`RegistryError::Unstorable`].
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError>;

    /// The contract of one topic and version.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError>;

    /// The newest version of a topic.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn latest(&self, topic: &Topic) -> Result<Option<ContractRecord>, RegistryError> {
        let selector = Selector::from(topic.clone());
        Ok(self.list(Some(&selector)).await?.into_iter().max_by(|a, b| a.version.cmp(&b.version)))
    }

    /// Whether one topic and version is known.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn has(&self, topic: &Topic, version: &Version) -> Result<bool, RegistryError> {
        Ok(self.get(topic, version).await?.is_some())
    }

    /// Every contract that `filter` means (all without one), sorted by topic, then version.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError>;

    /// Makes one contract known.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when the same topic and version is known with another meaning; otherwise as
    /// [`Registry::sync`].
    async fn register(&self, contract: &ContractRecord) -> Result<Registered, RegistryError> {
        let plan = self.sync(std::slice::from_ref(contract), false).await?;
        match plan.steps.into_iter().next() {
            Some(Step { action: Action::Create, .. }) => Ok(Registered::Created),
            Some(Step { action: Action::Update, .. }) => Ok(Registered::Updated),
            Some(Step { action: Action::Conflict(conflict), .. }) => Err(RegistryError::Conflict(Box::new(conflict))),
            Some(Step { action: Action::Unchanged, .. }) | None => Ok(Registered::Unchanged),
        }
    }
}

/// What [`Registry::register`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registered {
    /// It was not known.
    Created,
    /// It was known and means the same.
    Unchanged,
    /// It was known and means the same; a title, description, example or comment was brought up to date.
    Updated,
}

/// What a sync does, contract by contract, in the order given.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// One step a contract.
    pub steps: Vec<Step>,
    /// Whether it was written: false for a dry run and when anything conflicts.
    pub applied: bool,
}

/// What becomes of one contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The topic.
    pub topic: Topic,
    /// The version.
    pub version: Version,
    /// What becomes of it.
    #[serde(flatten)]
    pub action: Action,
}

/// What becomes of one contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    /// It was not known.
    Create,
    /// It is known and means the same.
    Unchanged,
    /// It is known and means the same; annotations are brought up to date.
    Update,
    /// It is known and means something else: nothing of this sync is written.
    Conflict(Conflict),
}

/// One topic and version with two meanings. Serialized, it is part of its [`Step`], which names both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conflict {
    /// The topic.
    #[serde(skip_serializing)]
    pub topic: Topic,
    /// The version.
    #[serde(skip_serializing)]
    pub version: Version,
    /// Of the contract in the registry.
    pub registered: Fingerprint,
    /// Of the contract at hand.
    pub offered: Fingerprint,
    /// A line for each place where the two differ: `+` offered only, `-` registered only, with the JSON pointer.
    pub differences: Vec<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{} is registered with another meaning; a released version never changes: \
             publish the change as a new version",
            self.topic, self.version
        )?;
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        Ok(())
    }
}

/// Why a registry did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It can't be reached now; trying again later may help.
    #[error("the registry at {registry} is unavailable: {reason}")]
    Unavailable {
        /// Where, without a password.
        registry: String,
        /// What was tried and what came of it.
        reason: String,
    },
    /// It refused: a wrong password, a missing grant.
    #[error("the registry at {registry} denied access: {reason}")]
    Denied {
        /// Where, without a password.
        registry: String,
        /// What is missing.
        reason: String,
    },
    /// It is there and is not what it should be: half migrated, of another program's making.
    #[error("the registry at {registry} can't be used: {reason}")]
    Unusable {
        /// Where, without a password.
        registry: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// It has no way to keep this contract as it is.
    #[error("the registry at {registry} can't store {topic}@{version}: {reason}")]
    Unstorable {
        /// Where, without a password.
        registry: String,
        /// The topic.
        topic: Topic,
        /// The version.
        version: Version,
        /// What it can't store, where in the contract, and what to do.
        reason: String,
    },
    /// One topic and version with two meanings.
    #[error("{0}")]
    Conflict(Box<Conflict>),
    /// The URL is none of a registry's, or needs a feature that this build does not have.
    #[error("{url} is no registry URL that this build can use: {reason}")]
    Url {
        /// The URL without a password.
        url: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl Plan {
    /// Whether any contract conflicts with what is registered.
    pub fn has_conflicts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Conflict(_)))
    }
}

/// The registry that a URL names. Opens no connection yet: what is wrong with the place shows at its first use.
///
/// | URL | registry |
/// | --- | --- |
/// | `memory:`, `memory:NAME` | this process's memory, gone with its last handle ([`memory`]) |
/// | `postgres://...`, `postgresql://...` | PostgreSQL (feature `postgres`) |
///
/// ```
/// let registry = celerysalt::registry::connect("memory:")?;
/// assert!(celerysalt::registry::connect("mysql://db").is_err());
/// # Ok::<(), celerysalt::registry::RegistryError>(())
/// ```
///
/// # Errors
/// [`RegistryError::Url`] when the URL is none of these, or needs a feature that this build does not have.
pub fn connect(url: &str) -> Result<Arc<dyn Registry>, RegistryError> {
    if let Some(name) = url.strip_prefix("memory:") {
        return Ok(Arc::new(memory::MemoryRegistry::named(name)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        #[cfg(feature = "postgres")]
        return Ok(Arc::new(postgres::PostgresRegistry::connect(url)?));
        #[cfg(not(feature = "postgres"))]
        return Err(refused_url(url, "enable feature `postgres` of the crate celerysalt"));
    }
    Err(refused_url(url, "expected `memory:`, `memory:NAME` or `postgres://USER@HOST/DATABASE`"))
}

fn refused_url(url: &str, reason: impl Into<String>) -> RegistryError {
    RegistryError::Url { url: redact_url(url), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_names_a_registry_and_never_shows_its_password() {
        assert!(connect("memory:").unwrap().list(None).await.unwrap().is_empty());
        for url in ["mysql://ann:s3cret@db/app", "", "ann:s3cret@db", "postgres:s3cret@db"] {
            let error = connect(url).unwrap_err();
            assert!(matches!(error, RegistryError::Url { .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn without_the_feature_the_error_says_which_one() {
        let error = connect("postgres://ann:s3cret@db/app").unwrap_err().to_string();
        assert!(error.contains("enable feature `postgres`") && !error.contains("s3cret"), "{error}");
    }
}
