//! The tables: which of them are there, and how they come to be as this program wants them.
//!
//! What was done is recorded in a table of our own, so that the user's migrations, by whatever tool, are left alone.

use sqlx::{Connection, PgConnection};

use super::errors::{Failure, is_undefined};

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

/// Applied in this order, each once. Released migrations never change.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "contracts",
    sql: include_str!("../../../migrations/postgres/0001_contracts.sql"),
}];

/// `requires` is the oldest version of this program's tables that a program must know to work with a migration;
/// null means the migration's own version. So one that only adds shuts nobody out.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS celerysalt_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    requires INTEGER,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// How the database stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// There is no table.
    Absent,
    /// Migrations are missing.
    Older(i32),
    /// All is there; perhaps also what a newer program added.
    Current,
}

fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Reads only.
pub(super) async fn level(connection: &mut PgConnection) -> Result<Level, Failure> {
    let recorded = sqlx::query_as("SELECT max(version), max(coalesce(requires, version)) FROM celerysalt_migrations")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await;
    let (version, required): (Option<i32>, Option<i32>) = match recorded {
        Ok(row) => row,
        Err(error) if is_undefined(&error) => return unrecorded(connection).await,
        Err(error) => return Err(error.into()),
    };
    let version = version.unwrap_or(0);
    match required {
        Some(required) if required > newest() => Err(Failure::Newer { version, known: newest() }),
        _ if version < newest() => Ok(Level::Older(version)),
        _ => Ok(Level::Current),
    }
}

/// A table without a record of ours was made by hand, by the DDL of CelerySalt's design; the first migration adopts it.
async fn unrecorded(connection: &mut PgConnection) -> Result<Level, Failure> {
    let exists = sqlx::query_scalar("SELECT to_regclass('celerysalt_schemas') IS NOT NULL")
        .persistent(false)
        .fetch_one(connection)
        .await?;
    Ok(if exists { Level::Older(0) } else { Level::Absent })
}

/// Waits until no other sync or migration is under way in this database's schema; holds until the transaction ends.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), Failure> {
    // The schema that has the table, or the one that would get it.
    let schema: Option<String> = sqlx::query_scalar(
        "SELECT coalesce(
             (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.oid = to_regclass('celerysalt_schemas')),
             current_schema())::text",
    )
    .persistent(false)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt ' || $1, 0))")
        .bind(schema.ok_or(Failure::NoSchema)?)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

/// Applies what is missing, in one transaction; whoever comes second finds it done.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    sqlx::raw_sql(RECORD).execute(&mut *transaction).await?;
    let done = match level(&mut transaction).await? {
        Level::Current => return Ok(transaction.rollback().await?),
        Level::Older(version) => version,
        Level::Absent => 0,
    };
    for Migration { version, name, sql } in MIGRATIONS.iter().filter(|migration| migration.version > done) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO celerysalt_migrations (version, name) VALUES ($1, $2)")
            .bind(version)
            .bind(name)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        tracing::info!(version, name, "registry migrated");
    }
    Ok(transaction.commit().await?)
}
