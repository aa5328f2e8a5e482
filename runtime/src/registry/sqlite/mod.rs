//! The registry of one machine: a file, for development, for tests, and for services that share a disk.
//!
//! It has the tables of the PostgreSQL registry, made by the first [`Registry::sync`], with the same triggers: what was
//! released is immutable for everybody who opens the file, and the audit log is append-only. Writers take turns; a file
//! on a network share is not for this, since locks are seldom what they should be there.

mod errors;
mod lifecycle;
mod migrate;
mod rows;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Selector, Status, Topic, Version};
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use self::errors::Failure;
use super::{
    Action, Actor, AuditEntry, Deprecation, LookedAt, Plan, Registry, RegistryError, Seen, Sighting, lifecycle as told,
    refused_url,
    stored::{self, Heads},
    sync,
};

/// How long to wait for other writers.
const BUSY: Duration = Duration::from_secs(20);
/// How long to wait for a whole operation.
const OPERATION: Duration = Duration::from_secs(30);

/// Contracts in a file of SQLite, opened at first use.
pub struct SqliteRegistry {
    path: PathBuf,
    /// The URL.
    location: String,
    actor: Actor,
    /// Made at first use, because it needs the async runtime that it is used in.
    pool: OnceLock<SqlitePool>,
    /// Whether the tables were seen to be as this program wants them.
    migrated: AtomicBool,
}

impl SqliteRegistry {
    /// The registry in the file that `url` names: `sqlite:contracts.db`, `sqlite:/var/lib/celerysalt/contracts.db`. The
    /// path is taken as it is written, and has no parameters. Opens nothing yet; the first sync makes the file.
    ///
    /// ```
    /// use celerysalt::registry::{Registry, sqlite::SqliteRegistry};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("celerysalt-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let url = format!("sqlite:{}/contracts.db", folder.display());
    /// let registry = SqliteRegistry::open(&url)?;
    /// registry.sync(&[], false).await?;
    /// assert!(registry.list(None).await?.is_empty());
    /// # drop(registry);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), celerysalt::registry::RegistryError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`RegistryError::Url`] when `url` names no file.
    pub fn open(url: &str) -> Result<Self, RegistryError> {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.ends_with('/') {
            return Err(refused_url(url, "it names no file: expected `sqlite:PATH/TO/FILE.db`"));
        }
        if path.contains('?') || path.contains('\0') {
            return Err(refused_url(
                url,
                "a path of SQLite takes no parameters here: expected `sqlite:PATH/TO/FILE.db`",
            ));
        }
        if path.contains(":memory:") {
            return Err(refused_url(url, "a registry in memory is `memory:`"));
        }
        Ok(Self {
            path: PathBuf::from(path),
            location: format!("sqlite:{path}"),
            actor: Actor::default(),
            pool: OnceLock::new(),
            migrated: AtomicBool::new(false),
        })
    }

    /// The same registry, whose audit log names `actor` for what is done through this handle.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// The one connection of this handle: who writes is alone anyway.
    async fn acquire(&self) -> Result<PoolConnection<Sqlite>, Failure> {
        let pool = self.pool.get_or_init(|| {
            let options = SqliteConnectOptions::new()
                .filename(&self.path)
                .create_if_missing(true)
                .busy_timeout(BUSY)
                .disable_statement_logging();
            SqlitePoolOptions::new().max_connections(1).acquire_timeout(OPERATION).connect_lazy_with(options)
        });
        Ok(pool.acquire().await?)
    }

    /// Gives `operation` its time, and its failure the words that a user needs.
    async fn run<T>(&self, operation: impl Future<Output = Result<T, Failure>> + Send) -> Result<T, RegistryError> {
        match tokio::time::timeout(OPERATION, operation).await {
            Ok(outcome) => outcome.map_err(|failure| failure.explain(&self.location)),
            Err(_) => Err(RegistryError::Unavailable {
                registry: self.location.clone(),
                reason: format!("no answer within {} s", OPERATION.as_secs()),
            }),
        }
    }

    async fn is_migrated(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        if self.migrated.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let current = migrate::is_current(migrate::level(connection).await?);
        self.migrated.store(current, Ordering::Relaxed);
        Ok(current)
    }

    /// For all but a sync: a file that is not there is not made.
    async fn existing(&self) -> Result<PoolConnection<Sqlite>, Failure> {
        if !self.path.exists() {
            return Err(Failure::NotMigrated);
        }
        let mut connection = self.acquire().await?;
        if self.is_migrated(&mut connection).await? { Ok(connection) } else { Err(Failure::NotMigrated) }
    }

    /// Also whether others were faster, so that what was looked at is no longer what is there.
    async fn sync_now(
        &self,
        contracts: &[ContractRecord],
        dry_run: bool,
        looked_at: &LookedAt,
    ) -> Result<(Plan, bool), Failure> {
        if dry_run && !self.path.exists() {
            return Ok((sync::plan(contracts, BTreeMap::new(), |_| false).plan, false));
        }
        let mut connection = self.acquire().await?;
        if !self.is_migrated(&mut connection).await? {
            if dry_run {
                return Err(Failure::NotMigrated);
            }
            migrate::migrate(&mut connection).await?;
        }
        // Mostly nothing has changed since the last release: then nobody has to wait for a writer.
        let (changes, _) = plan(&mut connection, contracts).await?;
        let mut plan = changes.plan;
        plan.applied = !dry_run && plan.steps.iter().all(|step| step.action == Action::Unchanged);
        if dry_run || plan.applied {
            return Ok((plan, false));
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let (changes, heads) = self::plan(&mut transaction, contracts).await?;
        let sync::Changes { mut plan, inserts, updates } = changes;
        let overtaken = !looked_at.is_still(heads.keys());
        if plan.has_conflicts() || overtaken {
            transaction.rollback().await?;
            return Ok((plan, overtaken));
        }
        lifecycle::sign(&mut transaction, &self.actor, "").await?;
        rows::insert(&mut transaction, &inserts).await?;
        rows::update(&mut transaction, &updates).await?;
        lifecycle::unsign(&mut transaction).await?;
        transaction.commit().await?;
        plan.applied = true;
        Ok((plan, false))
    }

    async fn sync_and_tell(
        &self,
        contracts: &[ContractRecord],
        dry_run: bool,
        looked_at: &LookedAt,
    ) -> Result<(Plan, bool), RegistryError> {
        stored::check_storable(contracts, &self.location)?;
        let (plan, overtaken) = self.run(self.sync_now(contracts, dry_run, looked_at)).await?;
        Ok((sync::told(plan, dry_run, async |_| self.history(None).await).await, overtaken))
    }
}

/// Also what there is.
async fn plan(
    connection: &mut SqliteConnection,
    contracts: &[ContractRecord],
) -> Result<(sync::Changes, Heads), Failure> {
    let heads = rows::heads(connection).await?;
    let compared = stored::Compared::new(contracts, &heads);
    let known = rows::fetch(connection, &compared.stale()).await?;
    Ok((compared.plan(known), heads))
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry").field("location", &self.location).finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError> {
        Ok(self.sync_and_tell(contracts, dry_run, &LookedAt::default()).await?.0)
    }

    async fn sync_after(
        &self,
        contracts: &[ContractRecord],
        looked_at: &LookedAt,
    ) -> Result<Option<Plan>, RegistryError> {
        let (plan, overtaken) = self.sync_and_tell(contracts, false, looked_at).await?;
        Ok((!overtaken).then_some(plan))
    }

    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError> {
        let contracts = self.list(Some(&Selector::from(topic.clone()))).await?;
        Ok(contracts.into_iter().find(|contract| contract.version == *version))
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        let contracts = self.run(async { rows::list(&mut *self.existing().await?, filter).await }).await?;
        Ok(sync::select(contracts, filter))
    }

    async fn set_status(
        &self,
        topic: &Topic,
        version: &Version,
        status: Status,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let changed = self.run(async {
            let mut connection = self.existing().await?;
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            lifecycle::sign(&mut transaction, &self.actor, reason).await?;
            let changed = lifecycle::set_status(&mut transaction, topic, version, status).await?;
            lifecycle::unsign(&mut transaction).await?;
            transaction.commit().await?;
            Ok(changed)
        });
        changed.await?.ok_or_else(|| RegistryError::NotFound {
            registry: self.location.clone(),
            topic: topic.clone(),
            version: version.clone(),
        })
    }

    async fn deprecations(&self) -> Result<Vec<Deprecation>, RegistryError> {
        let entries = self.history(None).await?;
        let deprecated = self.list(None).await?.into_iter().filter(|contract| contract.status == Status::Deprecated);
        Ok(deprecated.map(|contract| sync::deprecation(&contract, &entries)).collect())
    }

    async fn history(&self, filter: Option<&Selector>) -> Result<Vec<AuditEntry>, RegistryError> {
        let mut entries = self.run(async { lifecycle::history(&mut *self.existing().await?, filter).await }).await?;
        entries.retain(|entry| sync::is_meant(filter, entry));
        Ok(entries)
    }

    async fn observe(&self, sightings: &[Sighting]) -> Result<(), RegistryError> {
        let observed = self.run(async {
            let mut connection = self.existing().await?;
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            lifecycle::observe(&mut transaction, sightings).await?;
            Ok(transaction.commit().await?)
        });
        observed.await
    }

    async fn lineage(&self, topic: &Topic) -> Result<Vec<Seen>, RegistryError> {
        let mut seen = self.run(async { lifecycle::lineage(&mut *self.existing().await?).await }).await?;
        seen.retain(|seen| seen.sighting.is_about(topic));
        told::sort(&mut seen);
        Ok(seen)
    }

    async fn everyone(&self) -> Result<Vec<Seen>, RegistryError> {
        let mut seen = self.run(async { lifecycle::lineage(&mut *self.existing().await?).await }).await?;
        told::sort(&mut seen);
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        for (url, path) in [
            ("sqlite:contracts.db", "contracts.db"),
            ("sqlite:/var/lib/a b.db", "/var/lib/a b.db"),
            ("sqlite:///var/lib/a.db", "/var/lib/a.db"),
            ("sqlite://../a.db", "../a.db"),
        ] {
            assert_eq!(SqliteRegistry::open(url).unwrap().path, PathBuf::from(path), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a.db?mode=ro", "sqlite:folder/"] {
            assert!(matches!(SqliteRegistry::open(url), Err(RegistryError::Url { .. })), "{url}");
        }
    }
}
