//! Where contracts are known: what was released, readable by services that have nothing of the publisher's code.
//!
//! [`connect`] takes a URL; every [`Registry`] passes one suite, `conformance` (feature `conformance`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Fingerprint, Selector, Status, Topic, Version};
use serde::Serialize;

#[cfg(feature = "conformance")]
pub mod conformance;
mod lifecycle;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored;
mod sync;

pub use lifecycle::{Actor, AuditAction, AuditEntry, Deprecation, Seen, Side, Sighting};

use crate::url::redact_url;

/// Stores contracts. Object-safe: a service holds an `Arc<dyn Registry>`.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Makes `contracts` known, all of them or, where one conflicts, none; with `dry_run` only says what would happen.
    ///
    /// A conflict is no `Err`: the returned plan holds it, and then nothing was written ([`Plan::has_conflicts`]).
    /// A sync does not change the status of a contract that is known: see [`Registry::set_status`].
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`], [`RegistryError::Denied`], [`RegistryError::Unusable`],
    /// [`RegistryError::Unstorable`].
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError>;

    /// As [`Registry::sync`], unless others were faster: none, and nothing was written, when the registry has other
    /// versions of some topic by now than were looked at.
    ///
    /// For whoever decided by what is released, such as that a new version breaks nobody: of two that decide at the same
    /// moment, the second has to decide again.
    ///
    /// # Errors
    /// As [`Registry::sync`]; [`RegistryError::Unusable`] by registries that can't do this.
    async fn sync_after(
        &self,
        contracts: &[ContractRecord],
        looked_at: &LookedAt,
    ) -> Result<Option<Plan>, RegistryError> {
        let _ = (contracts, looked_at);
        Err(RegistryError::Unusable {
            registry: format!("{self:?}"),
            reason: "this kind of registry can't tell whether another release was faster".to_owned(),
        })
    }

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

    /// Marks a contract as [`Status::Deprecated`], or as [`Status::Active`] again; `reason` goes into the audit log. True
    /// when that changed it. A deprecated contract stays valid: who publishes it is warned.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such contract; otherwise as [`Registry::sync`].
    async fn set_status(
        &self,
        topic: &Topic,
        version: &Version,
        status: Status,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let _ = (topic, version, status, reason);
        Err(RegistryError::Unusable {
            registry: format!("{self:?}"),
            reason: "this kind of registry keeps no status of contracts".to_owned(),
        })
    }

    /// Every contract that is deprecated, sorted by topic, then version.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn deprecations(&self) -> Result<Vec<Deprecation>, RegistryError> {
        let deprecated = self.list(None).await?.into_iter().filter(|contract| contract.status == Status::Deprecated);
        Ok(deprecated
            .map(|contract| Deprecation { topic: contract.topic, version: contract.version, reason: String::new() })
            .collect())
    }

    /// The audit log of the contracts that `filter` means, oldest first. `@latest` takes every version here.
    ///
    /// A registry that keeps none has none to show.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn history(&self, filter: Option<&Selector>) -> Result<Vec<AuditEntry>, RegistryError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// Records that these publishers and subscribers are there now.
    ///
    /// A registry that keeps no lineage forgets them at once.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn observe(&self, sightings: &[Sighting]) -> Result<(), RegistryError> {
        let _ = sightings;
        Ok(())
    }

    /// Who was seen publishing `topic`, or handling it by its name or by a pattern.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn lineage(&self, topic: &Topic) -> Result<Vec<Seen>, RegistryError> {
        let _ = topic;
        Ok(Vec::new())
    }

    /// Everybody who was ever seen publishing or handling anything: what [`Registry::lineage`] says of one topic, of all.
    ///
    /// # Errors
    /// As [`Registry::sync`].
    async fn everyone(&self) -> Result<Vec<Seen>, RegistryError> {
        Ok(Vec::new())
    }
}

/// Topics, and the versions that a registry has of them: what a decision was built on.
///
/// ```
/// use celerysalt::registry::{LookedAt, Registry, memory::MemoryRegistry};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (registry, topic) = (MemoryRegistry::new(), "pulse.risk.created".parse()?);
/// let known = registry.list(None).await?;
/// let looked_at = LookedAt::new([&topic], &known);
/// // ... decide whether the new contracts go with those that are known; then:
/// let plan = registry.sync_after(&[], &looked_at).await?;
/// assert!(plan.is_some(), "nobody else released a version of that topic meanwhile");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedAt(BTreeMap<Topic, BTreeSet<Version>>);

impl LookedAt {
    /// Of `topics` what `known` has, which must be all that the registry has of them.
    pub fn new<'a>(topics: impl IntoIterator<Item = &'a Topic>, known: &[ContractRecord]) -> Self {
        let mut versions: BTreeMap<Topic, BTreeSet<Version>> =
            topics.into_iter().map(|topic| (topic.clone(), BTreeSet::new())).collect();
        for contract in known {
            if let Some(versions) = versions.get_mut(&contract.topic) {
                versions.insert(contract.version.clone());
            }
        }
        Self(versions)
    }

    /// Whether it still is what is there.
    fn is_still<'a>(&self, there: impl Iterator<Item = &'a (Topic, Version)>) -> bool {
        let mut now: BTreeMap<&Topic, BTreeSet<&Version>> =
            self.0.keys().map(|topic| (topic, BTreeSet::new())).collect();
        for (topic, version) in there {
            if let Some(versions) = now.get_mut(topic) {
                versions.insert(version);
            }
        }
        self.0.iter().all(|(topic, then)| now.get(topic).is_some_and(|now| now.iter().copied().eq(then)))
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
    /// Who released the registered one, and when, as far as the registry knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<Box<AuditEntry>>,
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
        if let Some(released) = &self.released {
            write!(f, "\n  it was released at {} by {}", released.at, released.who())?;
        }
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
    /// There is no such contract.
    #[error("the registry at {registry} has no contract {topic}@{version}; `celerysalt list-events` lists what it has")]
    NotFound {
        /// Where, without a password.
        registry: String,
        /// The topic.
        topic: Topic,
        /// The version.
        version: Version,
    },
    /// The URL is none of a registry's, or needs a feature that this build does not have.
    #[error("{} is no registry URL that this build can use: {reason}", crate::url::named(.url))]
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

/// The registry that a URL names, as somebody who does not say who it is: [`connect_as`] tells the audit log.
///
/// # Errors
/// As [`connect_as`].
pub fn connect(url: &str) -> Result<Arc<dyn Registry>, RegistryError> {
    connect_as(url, Actor::here(""))
}

/// The registry that a URL names. Opens no connection yet: what is wrong with the place shows at its first use.
///
/// | URL | registry |
/// | --- | --- |
/// | `memory:`, `memory:NAME` | this process's memory, gone with its last handle ([`memory`]) |
/// | `sqlite:PATH` | a file on this machine (feature `sqlite`) |
/// | `postgres://...`, `postgresql://...` | PostgreSQL (feature `postgres`) |
///
/// ```
/// use celerysalt::registry::{Actor, connect_as};
///
/// let registry = connect_as("memory:", Actor::here("pulse"))?;
/// assert!(connect_as("mysql://db", Actor::here("pulse")).is_err());
/// # Ok::<(), celerysalt::registry::RegistryError>(())
/// ```
///
/// # Errors
/// [`RegistryError::Url`] when the URL is none of these, or needs a feature that this build does not have.
pub fn connect_as(url: &str, actor: Actor) -> Result<Arc<dyn Registry>, RegistryError> {
    open(url, actor, None)
}

/// As [`connect_as`], for a command that people wait for, or a release: it waits up to `patience` for a server that is there,
/// and has no connection to give. A service should not: it goes on without its registry. Only PostgreSQL makes a difference.
///
/// # Errors
/// As [`connect_as`].
pub fn connect_patiently(url: &str, actor: Actor, patience: Duration) -> Result<Arc<dyn Registry>, RegistryError> {
    open(url, actor, Some(patience))
}

#[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "only PostgreSQL's registry waits"))]
fn open(url: &str, actor: Actor, patience: Option<Duration>) -> Result<Arc<dyn Registry>, RegistryError> {
    if let Some(name) = url.strip_prefix("memory:") {
        return Ok(Arc::new(memory::MemoryRegistry::named(name).with_actor(actor)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        #[cfg(feature = "postgres")]
        return Ok(Arc::new({
            let registry = postgres::PostgresRegistry::connect(url)?.with_actor(actor);
            match patience {
                Some(patience) => registry.with_patience(patience),
                None => registry,
            }
        }));
        #[cfg(not(feature = "postgres"))]
        return Err(refused_url(url, "enable feature `postgres` of the crate celerysalt"));
    }
    if url.starts_with("sqlite:") {
        #[cfg(feature = "sqlite")]
        return Ok(Arc::new(sqlite::SqliteRegistry::open(url)?.with_actor(actor)));
        #[cfg(not(feature = "sqlite"))]
        return Err(refused_url(url, "enable feature `sqlite` of the crate celerysalt"));
    }
    Err(refused_url(
        url,
        "expected `memory:`, `memory:NAME`, `sqlite:PATH/TO/FILE.db` or `postgres://USER@HOST/DATABASE`",
    ))
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

    #[cfg(not(feature = "sqlite"))]
    #[test]
    fn without_sqlite_the_error_says_which_feature() {
        let error = connect("sqlite:contracts.db").unwrap_err().to_string();
        assert!(error.contains("enable feature `sqlite`"), "{error}");
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn without_the_feature_the_error_says_which_one() {
        let error = connect("postgres://ann:s3cret@db/app").unwrap_err().to_string();
        assert!(error.contains("enable feature `postgres`") && !error.contains("s3cret"), "{error}");
    }
}
