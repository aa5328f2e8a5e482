//! The registry that services share: one table in PostgreSQL, readable by anything that speaks SQL.
//!
//! `celerysalt_schemas` has a row for each topic and version: `schema`, `response_schema` and `error_schema` as JSONB,
//! beside `mode`, `description`, `fingerprint`, `status` and the publisher. `celerysalt_audit` has a line for each change,
//! `celerysalt_publishers` and `celerysalt_subscribers` say who is there. They stand in the schema that the connection's
//! `search_path` names, and are made by the first [`Registry::sync`]. [`roles_sql`] has roles with just the grants that
//! each kind of user needs:
//!
//! | to | needs |
//! | --- | --- |
//! | read | `SELECT` on the tables |
//! | run as a service | also `INSERT, UPDATE ON celerysalt_publishers, celerysalt_subscribers` |
//! | register at start-up | also `INSERT ON celerysalt_schemas`, and `UPDATE` of what a sync sets: see [`roles_sql`] |
//! | sync and deprecate | also `INSERT, UPDATE ON celerysalt_schemas` |
//! | make or upgrade the tables | `CREATE` on the schema; the tables' owner for an upgrade |
//!
//! What was released is immutable by triggers, for the tables' owner too: new words for it stand in the column `annotated`.

mod connect;
mod errors;
mod inspect;
mod lifecycle;
mod migrate;
mod roles;
mod rows;

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Selector, Status, Topic, Version};
use sqlx::{
    ConnectOptions, Connection, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use self::{
    connect::Connections,
    errors::{Failure, Needs},
    migrate::Level,
};
pub use self::{
    inspect::{Inspection, Rights, Tables},
    roles::{RoleNameError, roles_sql},
};
use super::{
    Actor, AuditEntry, Deprecation, LookedAt, Plan, Registry, RegistryError, Seen, Sighting, lifecycle as told,
    refused_url,
    stored::{self, Heads},
    sync,
};
use crate::url::redact_url;

/// Contracts in PostgreSQL. Connects at first use, and again whenever that is needed.
pub struct PostgresRegistry {
    connections: Connections,
    /// The URL without its password.
    location: String,
    actor: Actor,
    /// Whether the tables were seen to be as this program wants them.
    migrated: AtomicBool,
}

impl PostgresRegistry {
    /// The registry in the database that `url` names, such as `postgres://user:password@host:5432/database`.
    ///
    /// Understood parameters are those of sqlx, among them `sslmode` (with feature `tls`), `application_name` and
    /// `options=-csearch_path%3DNAME`. Opens no connection yet.
    ///
    /// # Errors
    /// [`RegistryError::Url`] when `url` can't be read, or asks for TLS in a build without feature `tls`.
    pub fn connect(url: &str) -> Result<Self, RegistryError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| {
                refused_url(
                    url,
                    format!("{error}; expected `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, percent-encoded"),
                )
            })?
            .disable_statement_logging();
        let wants_tls = !matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
        if wants_tls && !cfg!(feature = "tls") {
            return Err(refused_url(url, "its sslmode needs feature `tls` of the crate celerysalt"));
        }
        Ok(Self {
            connections: Connections::new(options),
            location: redact_url(url),
            actor: Actor::default(),
            migrated: AtomicBool::new(false),
        })
    }

    /// The same registry, whose audit log names `actor` for what is done through this handle.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// The same registry, which waits that long for a server that has no connection to give, or is slow to: 5 s unless told
    /// otherwise. While others sync it waits four times as long, a minute at most. A server that is away is not waited for.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.connections.patience = patience;
        self
    }

    /// Gives `operation` its time, and its failure the words that a user needs.
    async fn run<T>(
        &self,
        needs: Needs,
        operation: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, RegistryError> {
        let limit = self.connections.operation();
        match tokio::time::timeout(limit, operation).await {
            Ok(outcome) => outcome.map_err(|failure| failure.explain(&self.location, needs)),
            Err(_) => Err(RegistryError::Unavailable {
                registry: self.location.clone(),
                reason: format!("no answer within {} s", limit.as_secs()),
            }),
        }
    }

    async fn level(&self, connection: &mut PgConnection) -> Result<Level, Failure> {
        if self.migrated.load(Ordering::Relaxed) {
            return Ok(Level::Current);
        }
        let level = migrate::level(connection).await?;
        self.migrated.store(level == Level::Current, Ordering::Relaxed);
        Ok(level)
    }

    /// A connection for reading: only what was migrated can be read.
    async fn reader(&self) -> Result<PoolConnection<Postgres>, Failure> {
        let mut connection = self.connections.acquire().await?;
        match self.level(&mut connection).await? {
            Level::Current => Ok(connection),
            Level::Absent | Level::Older(_) => Err(Failure::NotMigrated),
        }
    }

    /// Also whether others were faster, so that what was looked at is no longer what is there.
    async fn sync_now(
        &self,
        contracts: &[ContractRecord],
        dry_run: bool,
        looked_at: &LookedAt,
    ) -> Result<(Plan, bool), Failure> {
        let mut connection = self.connections.acquire().await?;
        match self.level(&mut connection).await? {
            Level::Current => {}
            Level::Absent if dry_run => return Ok((sync::plan(contracts, BTreeMap::new(), |_| false).plan, false)),
            Level::Older(_) if dry_run => return Err(Failure::NotMigrated),
            Level::Absent | Level::Older(_) => {
                migrate::migrate(&mut connection, self.connections.turn()).await.map_err(Failure::migrating)?;
            }
        }
        // Mostly nothing has changed since the last release: then this is the only query, and it takes no lock.
        let (changes, _) = plan(&mut connection, contracts).await?;
        let mut plan = changes.plan;
        plan.applied = !dry_run && plan.steps.iter().all(|step| step.action == super::Action::Unchanged);
        if dry_run || plan.applied {
            return Ok((plan, false));
        }
        let mut transaction = connection.begin().await?;
        migrate::lock(&mut transaction, self.connections.turn()).await?;
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
        let plan = self.run(Needs::Write, async {
            match self.sync_now(contracts, dry_run, looked_at).await {
                // A program that takes no lock was faster: now its row is seen.
                Err(failure) if failure.is_race() => self.sync_now(contracts, dry_run, looked_at).await,
                outcome => outcome,
            }
        });
        let (plan, overtaken) = plan.await?;
        let releases = async |topics: Vec<String>| {
            self.run(Needs::Read, async { lifecycle::releases(&mut *self.connections.acquire().await?, &topics).await })
                .await
        };
        Ok((sync::told(plan, dry_run, releases).await, overtaken))
    }
}

/// One query when nothing changed, two otherwise. Also what there is of these topics.
async fn plan(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<(sync::Changes, Heads), Failure> {
    let heads = rows::heads(connection, contracts).await?;
    let compared = stored::Compared::new(contracts, &heads);
    let stale = compared.stale();
    let known = if stale.is_empty() { Vec::new() } else { rows::fetch(connection, &stale).await? };
    Ok((compared.plan(known), heads))
}

impl fmt::Debug for PostgresRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRegistry").field("location", &self.location).finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for PostgresRegistry {
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
        self.run(Needs::Read, async { rows::get(&mut *self.reader().await?, topic, version).await }).await
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        let contracts = self.run(Needs::Read, async { rows::list(&mut *self.reader().await?, filter).await }).await?;
        Ok(sync::select(contracts, filter))
    }

    async fn set_status(
        &self,
        topic: &Topic,
        version: &Version,
        status: Status,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let changed = self.run(Needs::Status, async {
            let mut connection = self.reader().await?;
            let mut transaction = connection.begin().await?;
            lifecycle::sign(&mut transaction, &self.actor, reason).await?;
            let changed = lifecycle::set_status(&mut transaction, topic, version, status).await?;
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
        let mut found =
            self.run(Needs::Read, async { lifecycle::deprecations(&mut *self.reader().await?).await }).await?;
        found.sort_by(|a, b| (&a.topic, &a.version).cmp(&(&b.topic, &b.version)));
        Ok(found)
    }

    async fn history(&self, filter: Option<&Selector>) -> Result<Vec<AuditEntry>, RegistryError> {
        let read = self.run(Needs::Read, async { lifecycle::history(&mut *self.reader().await?, filter).await });
        let mut entries = read.await?;
        entries.retain(|entry| sync::is_meant(filter, entry));
        Ok(entries)
    }

    async fn observe(&self, sightings: &[Sighting]) -> Result<(), RegistryError> {
        self.run(Needs::Lineage, async { lifecycle::observe(&mut *self.reader().await?, sightings).await }).await
    }

    async fn lineage(&self, topic: &Topic) -> Result<Vec<Seen>, RegistryError> {
        let read = self.run(Needs::Read, async { lifecycle::lineage(&mut *self.reader().await?, Some(topic)).await });
        let mut seen = read.await?;
        seen.retain(|seen| seen.sighting.is_about(topic));
        told::sort(&mut seen);
        Ok(seen)
    }

    async fn everyone(&self) -> Result<Vec<Seen>, RegistryError> {
        let read = self.run(Needs::Read, async { lifecycle::lineage(&mut *self.reader().await?, None).await });
        let mut seen = read.await?;
        told::sort(&mut seen);
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_refused_for_what_is_wrong_with_it() {
        for (url, said) in [
            ("postgres://ann:s3cret@db:port/app", "invalid port number"),
            ("postgres://ann:s3cret@db/app?sslmode=maybe", "unknown value"),
            #[cfg(not(feature = "tls"))]
            ("postgres://ann:s3cret@db/app?sslmode=require", "needs feature `tls`"),
        ] {
            let error = PostgresRegistry::connect(url).unwrap_err();
            assert!(matches!(error, RegistryError::Url { .. }) && error.to_string().contains(said), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let registry = PostgresRegistry::connect("postgres://ann:s3cret@db/app").unwrap();
        assert!(!format!("{registry:?}").contains("s3cret"), "{registry:?}");
    }
}
