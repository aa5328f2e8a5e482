//! The registry that services share: one table in PostgreSQL, readable by anything that speaks SQL.
//!
//! `celerysalt_schemas` has a row for each topic and version: `schema`, `response_schema` and `error_schema` as JSONB,
//! beside `mode`, `description`, `fingerprint`, `status` and the publisher. It stands in the schema that the
//! connection's `search_path` names, is made by the first [`Registry::sync`], and needs these grants:
//!
//! | to | needs |
//! | --- | --- |
//! | read | `SELECT ON celerysalt_schemas, celerysalt_migrations` |
//! | sync | also `INSERT, UPDATE ON celerysalt_schemas` |
//! | make or upgrade the tables | `CREATE` on the schema; the tables' owner for an upgrade |

mod errors;
mod migrate;
mod rows;

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use celerysalt_contract::{ContractRecord, Selector, Topic, Version};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use self::{
    errors::{Failure, Needs},
    migrate::Level,
};
use super::{Plan, Registry, RegistryError, refused_url, sync};
use crate::url::redact_url;

/// A service asks its registry little: at its start, and when it publishes something for the first time.
const CONNECTIONS: u32 = 2;
/// How long to wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long to wait for a whole operation, so that a network that swallows packets hangs nobody.
const OPERATION: Duration = Duration::from_secs(30);
/// An unused connection is given back to the server after this time.
const IDLE: Duration = Duration::from_mins(1);

/// Contracts in PostgreSQL. Connects at first use, and again whenever that is needed.
pub struct PostgresRegistry {
    options: PgConnectOptions,
    /// The URL without its password.
    location: String,
    /// Made at first use, because it needs the async runtime that it is used in.
    pool: OnceLock<PgPool>,
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
        Ok(Self { options, location: redact_url(url), pool: OnceLock::new(), migrated: AtomicBool::new(false) })
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Failure> {
        let pool = self.pool.get_or_init(|| {
            PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(ACQUIRE)
                .idle_timeout(IDLE)
                .connect_lazy_with(self.options.clone())
        });
        Ok(pool.acquire().await?)
    }

    /// Gives `operation` its time, and its failure the words that a user needs.
    async fn run<T>(
        &self,
        needs: Needs,
        operation: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, RegistryError> {
        match tokio::time::timeout(OPERATION, operation).await {
            Ok(outcome) => outcome.map_err(|failure| failure.explain(&self.location, needs)),
            Err(_) => Err(RegistryError::Unavailable {
                registry: self.location.clone(),
                reason: format!("no answer within {} s", OPERATION.as_secs()),
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
        let mut connection = self.acquire().await?;
        match self.level(&mut connection).await? {
            Level::Current => Ok(connection),
            Level::Absent | Level::Older(_) => Err(Failure::NotMigrated),
        }
    }

    async fn sync_now(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, Failure> {
        let mut connection = self.acquire().await?;
        match self.level(&mut connection).await? {
            Level::Current => {}
            Level::Absent if dry_run => return Ok(sync::plan(contracts, BTreeMap::new(), |_| false).plan),
            Level::Older(_) if dry_run => return Err(Failure::NotMigrated),
            Level::Absent | Level::Older(_) => migrate::migrate(&mut connection).await.map_err(Failure::migrating)?,
        }
        // Mostly nothing has changed since the last release: then this is the only query, and it takes no lock.
        let mut plan = plan(&mut connection, contracts).await?.plan;
        plan.applied = !dry_run && plan.steps.iter().all(|step| step.action == super::Action::Unchanged);
        if dry_run || plan.applied {
            return Ok(plan);
        }
        let mut transaction = connection.begin().await?;
        migrate::lock(&mut transaction).await?;
        let sync::Changes { mut plan, inserts, updates } = self::plan(&mut transaction, contracts).await?;
        if !plan.has_conflicts() {
            rows::insert(&mut transaction, &inserts).await?;
            rows::update(&mut transaction, &updates).await?;
            transaction.commit().await?;
            plan.applied = true;
        }
        Ok(plan)
    }
}

/// One query when nothing changed, two otherwise.
async fn plan(connection: &mut PgConnection, contracts: &[ContractRecord]) -> Result<sync::Changes, Failure> {
    let heads = rows::heads(connection, contracts).await?;
    let is_current =
        |contract: &ContractRecord| heads.get(&sync::key(contract)).is_some_and(|head| head.is_current(contract));
    let stale: Vec<_> = contracts
        .iter()
        .filter(|contract| !is_current(contract))
        .filter_map(|contract| {
            heads.get(&sync::key(contract)).map(|head| (contract.topic.as_str(), head.version.as_str()))
        })
        .collect();
    let known = if stale.is_empty() { Vec::new() } else { rows::fetch(connection, &stale).await? };
    let known = known.into_iter().map(|record| (sync::key(&record), record)).collect();
    Ok(sync::plan(contracts, known, is_current))
}

impl fmt::Debug for PostgresRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRegistry").field("location", &self.location).finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for PostgresRegistry {
    async fn sync(&self, contracts: &[ContractRecord], dry_run: bool) -> Result<Plan, RegistryError> {
        rows::check_storable(contracts, &self.location)?;
        let plan = self.run(Needs::Write, async {
            match self.sync_now(contracts, dry_run).await {
                // A program that takes no lock was faster: now its row is seen.
                Err(failure) if failure.is_race() => self.sync_now(contracts, dry_run).await,
                outcome => outcome,
            }
        });
        let plan = plan.await?;
        if !dry_run {
            sync::log(&plan);
        }
        Ok(plan)
    }

    async fn get(&self, topic: &Topic, version: &Version) -> Result<Option<ContractRecord>, RegistryError> {
        self.run(Needs::Read, async { rows::get(&mut *self.reader().await?, topic, version).await }).await
    }

    async fn list(&self, filter: Option<&Selector>) -> Result<Vec<ContractRecord>, RegistryError> {
        let contracts = self.run(Needs::Read, async { rows::list(&mut *self.reader().await?, filter).await }).await?;
        Ok(sync::select(contracts, filter))
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
