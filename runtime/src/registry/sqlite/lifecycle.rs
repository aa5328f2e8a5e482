//! The audit log, deprecations and lineage: the statements.

use celerysalt_contract::{Fingerprint, Selector, Status, Topic, TopicPattern, Version};
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::errors::Failure;
use crate::registry::{
    Actor, AuditAction, AuditEntry, Seen, Side, Sighting,
    stored::{self, selector, versions_text},
};

/// Says to the triggers who acts and why; [`unsign`] takes it back before the transaction ends.
pub(super) async fn sign(connection: &mut SqliteConnection, actor: &Actor, reason: &str) -> Result<(), Failure> {
    unsign(&mut *connection).await?;
    sqlx::query("INSERT INTO celerysalt_actor (service, host, os_user, reason) VALUES (?, ?, ?, ?)")
        .bind(stored::storable_text(&actor.service))
        .bind(stored::storable_text(&actor.host))
        .bind(stored::storable_text(&actor.user))
        .bind(stored::storable_text(reason))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn unsign(connection: &mut SqliteConnection) -> Result<(), Failure> {
    sqlx::query("DELETE FROM celerysalt_actor").execute(connection).await?;
    Ok(())
}

/// Whether the row was changed; `None` when there is no such contract.
pub(super) async fn set_status(
    connection: &mut SqliteConnection,
    topic: &Topic,
    version: &Version,
    status: Status,
) -> Result<Option<bool>, Failure> {
    let spellings: Vec<String> = sqlx::query_scalar("SELECT version FROM celerysalt_schemas WHERE topic = ?")
        .bind(topic.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let spelled = spellings.iter().find(|text| Version::parse_lenient(text).is_ok_and(|found| found == *version));
    let Some(spelled) = spelled else { return Ok(None) };
    let changed = sqlx::query(
        "UPDATE celerysalt_schemas SET status = ?3, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
         WHERE topic = ?1 AND version = ?2 AND status <> ?3",
    )
    .bind(topic.as_str())
    .bind(spelled)
    .bind(stored::status_text(status))
    .execute(connection)
    .await?;
    Ok(Some(changed.rows_affected() > 0))
}

/// At least the entries that `filter` means, oldest first.
pub(super) async fn history(
    connection: &mut SqliteConnection,
    filter: Option<&Selector>,
) -> Result<Vec<AuditEntry>, Failure> {
    let topic = filter.map(|selector| &selector.pattern).filter(|pattern| pattern.is_exact());
    let rows = sqlx::query("SELECT * FROM celerysalt_audit WHERE ?1 IS NULL OR topic = ?1 ORDER BY id")
        .bind(topic.map(TopicPattern::as_str))
        .fetch_all(connection)
        .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, Failure> {
    let (topic, version) = stored::key(row.try_get("topic")?, row.try_get("version")?).map_err(Failure::Row)?;
    let action: &str = row.try_get("action")?;
    let action = AuditAction::from_name(action).ok_or_else(|| {
        Failure::Row(format!("its audit log has the action {action:?}, which is none of celerysalt's"))
    })?;
    Ok(AuditEntry {
        at: time(row, "at")?,
        action,
        topic,
        version,
        fingerprint: row.try_get::<Option<String>, _>("fingerprint")?.map(Fingerprint::from),
        actor: Actor { service: row.try_get("service")?, host: row.try_get("host")?, user: row.try_get("os_user")? },
        role: None,
        reason: row.try_get("reason")?,
    })
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Failure> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| Failure::Row(format!("its column {column} has {text:?}, which is no time")))
}

fn side_text(side: Side) -> &'static str {
    match side {
        Side::Publisher => "publisher",
        Side::Subscriber => "subscriber",
    }
}

pub(super) async fn observe(connection: &mut SqliteConnection, sightings: &[Sighting]) -> Result<(), Failure> {
    for sighting in sightings {
        sqlx::query(
            "INSERT INTO celerysalt_lineage (side, topic, version, service, handler, host) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (side, topic, version, service, handler)
             DO UPDATE SET host = excluded.host, last_seen = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        )
        .bind(side_text(sighting.side))
        .bind(sighting.contracts.pattern.as_str())
        .bind(versions_text(&sighting.contracts.versions))
        .bind(stored::storable_text(&sighting.service))
        .bind(stored::storable_text(&sighting.handler))
        .bind(stored::storable_text(&sighting.host))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Everybody; the caller picks.
pub(super) async fn lineage(connection: &mut SqliteConnection) -> Result<Vec<Seen>, Failure> {
    let rows = sqlx::query("SELECT * FROM celerysalt_lineage").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let (pattern, versions): (&str, &str) = (row.try_get("topic")?, row.try_get("version")?);
            let contracts = selector(pattern, versions)
                .map_err(|error| Failure::Row(format!("its lineage has {pattern:?} {versions:?}: {error}")))?;
            let side = match row.try_get("side")? {
                "publisher" => Side::Publisher,
                _ => Side::Subscriber,
            };
            Ok(Seen {
                sighting: Sighting {
                    side,
                    contracts,
                    service: row.try_get("service")?,
                    handler: row.try_get("handler")?,
                    host: row.try_get("host")?,
                },
                first_seen: time(row, "first_seen")?,
                last_seen: time(row, "last_seen")?,
            })
        })
        .collect()
}
