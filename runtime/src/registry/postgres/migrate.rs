//! The tables: which of them are there, and how they come to be as this program wants them.
//!
//! What was done is recorded in a table of our own, so that the user's migrations, by whatever tool, are left alone.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::errors::{Failure, is_locked, is_undefined};

struct Migration {
    version: i32,
    name: &'static str,
    requires: Option<i32>,
    sql: &'static str,
}

/// Applied in this order, each once. Released migrations never change.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "contracts",
        requires: None,
        sql: include_str!("../../../migrations/postgres/0001_contracts.sql"),
    },
    Migration {
        version: 2,
        name: "lifecycle",
        // A program that knows only the table of contracts goes on reading and syncing; the triggers log it.
        requires: Some(1),
        sql: include_str!("../../../migrations/postgres/0002_lifecycle.sql"),
    },
    Migration {
        version: 3,
        name: "immutable",
        // Such a program reads what was released, and adds to it. New words for a released contract it can't record: it
        // would write over the old ones, and is refused.
        requires: Some(1),
        sql: include_str!("../../../migrations/postgres/0003_immutable.sql"),
    },
];

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
    if let Some(level) = recorded(connection).await? {
        return Ok(level);
    }
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('celerysalt_schemas') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(Level::Absent);
    }
    // Somebody may have migrated between the two looks. A table without a record of ours was made by hand, by the DDL
    // of CelerySalt's design; the first migration adopts it.
    Ok(recorded(connection).await?.unwrap_or(Level::Older(0)))
}

/// What the record says; none where there is no record.
async fn recorded(connection: &mut PgConnection) -> Result<Option<Level>, Failure> {
    let row = sqlx::query_as("SELECT max(version), max(coalesce(requires, version)) FROM celerysalt_migrations")
        .persistent(false)
        .fetch_one(connection)
        .await;
    let (version, required): (Option<i32>, Option<i32>) = match row {
        Ok(row) => row,
        Err(error) if is_undefined(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let version = version.unwrap_or(0);
    match required {
        Some(required) if required > newest() => Err(Failure::Newer { version, known: newest() }),
        _ if version < newest() => Ok(Some(Level::Older(version))),
        _ => Ok(Some(Level::Current)),
    }
}

/// Waits until no other sync or migration is under way in this database's schema, at most `turn`; holds until the
/// transaction ends.
pub(super) async fn lock(connection: &mut PgConnection, turn: Duration) -> Result<(), Failure> {
    // The schema that has the table, or the one that would get it.
    let (schema, _): (Option<String>, String) = sqlx::query_as(
        "SELECT coalesce(
             (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.oid = to_regclass('celerysalt_schemas')),
             current_schema())::text,
             set_config('lock_timeout', $1, true)",
    )
    .bind(format!("{}ms", turn.as_millis().max(1)))
    .persistent(false)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt ' || $1, 0))")
        .bind(schema.ok_or(Failure::NoSchema)?)
        .persistent(false)
        .execute(connection)
        .await
        .map_err(|error| if is_locked(&error) { Failure::Locked { waited: turn } } else { error.into() })?;
    Ok(())
}

/// Applies what is missing, in one transaction; whoever comes second finds it done.
pub(super) async fn migrate(connection: &mut PgConnection, turn: Duration) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, turn).await?;
    sqlx::raw_sql(RECORD).execute(&mut *transaction).await?;
    let done = match level(&mut transaction).await? {
        Level::Current => return Ok(transaction.rollback().await?),
        Level::Older(version) => version,
        Level::Absent => 0,
    };
    for Migration { version, name, requires, sql } in MIGRATIONS.iter().filter(|migration| migration.version > done) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO celerysalt_migrations (version, name, requires) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(name)
            .bind(requires)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        tracing::info!(version, name, "registry migrated");
    }
    Ok(transaction.commit().await?)
}
