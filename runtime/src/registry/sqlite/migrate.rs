//! The tables: whether they are there, and how they come to be as this program wants them.

use sqlx::{Connection, SqliteConnection};

use super::errors::Failure;

struct Migration {
    version: i64,
    name: &'static str,
    requires: Option<i64>,
    sql: &'static str,
}

/// Applied in this order, each once. Released migrations never change.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "registry",
        requires: None,
        sql: include_str!("../../../migrations/sqlite/0001_registry.sql"),
    },
    Migration {
        version: 2,
        name: "immutable",
        // A program that knows only the first goes on reading and releasing; new words it can't record.
        requires: Some(1),
        sql: include_str!("../../../migrations/sqlite/0002_immutable.sql"),
    },
];

/// `requires` is the oldest version of this program's tables that a program must know to work with a migration;
/// null means the migration's own version. So one that only adds shuts nobody out.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS celerysalt_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    requires INTEGER,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)";

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// The version of the tables: 0 without any. Reads only.
pub(super) async fn level(connection: &mut SqliteConnection) -> Result<i64, Failure> {
    let recorded: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'celerysalt_migrations'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if recorded == 0 {
        return Ok(0);
    }
    let (version, required): (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT max(version), max(coalesce(requires, version)) FROM celerysalt_migrations")
            .fetch_one(connection)
            .await?;
    let version = version.unwrap_or(0);
    match required {
        Some(required) if required > newest() => Err(Failure::Newer { version, known: newest() }),
        _ => Ok(version),
    }
}

/// Whether nothing is missing at that level.
pub(super) fn is_current(level: i64) -> bool {
    level >= newest()
}

/// Applies what is missing, in one transaction; whoever comes second finds it done.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(RECORD).execute(&mut *transaction).await?;
    let done = level(&mut transaction).await?;
    for Migration { version, name, requires, sql } in MIGRATIONS.iter().filter(|migration| migration.version > done) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO celerysalt_migrations (version, name, requires) VALUES (?, ?, ?)")
            .bind(version)
            .bind(name)
            .bind(requires)
            .execute(&mut *transaction)
            .await?;
        tracing::info!(version, name, "registry migrated");
    }
    Ok(transaction.commit().await?)
}
