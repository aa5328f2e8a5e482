//! The tables of each part, and how they come to be. Made once, by whoever may; later versions add to them.

use sqlx::{Connection, PgConnection};

use super::DatabaseError;

/// What has tables of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    name: &'static str,
    /// The tables' versions, from 1. Released ones never change.
    migrations: &'static [&'static str],
}

pub(crate) const OUTBOX: Part =
    Part { name: "outbox", migrations: &[include_str!("../../migrations/postgres/0010_outbox.sql")] };
pub(crate) const EVENTS: Part =
    Part { name: "events", migrations: &[include_str!("../../migrations/postgres/0011_events.sql")] };
pub(crate) const INBOX: Part =
    Part { name: "inbox", migrations: &[include_str!("../../migrations/postgres/0012_inbox.sql")] };

const RECORD: &str = "CREATE TABLE IF NOT EXISTS celerysalt_parts (
    part TEXT NOT NULL,
    version INTEGER NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (part, version)
)";

/// Makes what is missing, in one transaction; whoever comes second finds it done.
///
/// # Errors
/// [`DatabaseError`].
pub(crate) async fn migrate(connection: &mut PgConnection, part: Part) -> Result<(), DatabaseError> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('celerysalt parts ' || current_schema(), 0))")
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(RECORD).execute(&mut *transaction).await?;
    let done: i32 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM celerysalt_parts WHERE part = $1")
        .bind(part.name)
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await?;
    for (version, sql) in (1_i32..).zip(part.migrations).filter(|(version, _)| *version > done) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO celerysalt_parts (part, version) VALUES ($1, $2)")
            .bind(part.name)
            .bind(version)
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        tracing::info!(part = part.name, version, "tables made");
    }
    Ok(transaction.commit().await?)
}

/// The statements that make a part's tables, for those who run migrations by a tool of their own. Each can run again.
pub(crate) fn sql(part: Part) -> String {
    part.migrations.join("\n")
}
