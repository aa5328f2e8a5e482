//! The audit log, deprecations and lineage: the statements.

use celerysalt_contract::{Fingerprint, Selector, Status, Topic, Version};
use jiff::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{errors::Failure, rows::like};
use crate::registry::{
    Actor, AuditAction, AuditEntry, Deprecation, Seen, Side, Sighting,
    stored::{self, selector, versions_text},
};

/// Says to the triggers who acts and why, until the transaction ends.
pub(super) async fn sign(connection: &mut PgConnection, actor: &Actor, reason: &str) -> Result<(), Failure> {
    let Actor { service, host, user } = actor;
    let signature = sqlx::query(
        "SELECT set_config('celerysalt.service', $1, true), set_config('celerysalt.host', $2, true),
                set_config('celerysalt.os_user', $3, true), set_config('celerysalt.reason', $4, true)",
    );
    signature
        .bind(stored::storable_text(service))
        .bind(stored::storable_text(host))
        .bind(stored::storable_text(user))
        .bind(stored::storable_text(reason))
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether the row was changed; `None` when there is no such contract.
pub(super) async fn set_status(
    connection: &mut PgConnection,
    topic: &Topic,
    version: &Version,
    status: Status,
) -> Result<Option<bool>, Failure> {
    let spellings: Vec<String> = sqlx::query_scalar("SELECT version FROM celerysalt_schemas WHERE topic = $1")
        .bind(topic.as_str())
        .persistent(false)
        .fetch_all(&mut *connection)
        .await?;
    let spelled = spellings.iter().find(|text| Version::parse_lenient(text).is_ok_and(|found| found == *version));
    let Some(spelled) = spelled else { return Ok(None) };
    let changed = sqlx::query(
        "UPDATE celerysalt_schemas SET status = $3, updated_at = now()
         WHERE topic = $1 AND version = $2 AND status <> $3",
    )
    .bind(topic.as_str())
    .bind(spelled)
    .bind(stored::status_text(status))
    .persistent(false)
    .execute(connection)
    .await?;
    Ok(Some(changed.rows_affected() > 0))
}

pub(super) async fn deprecations(connection: &mut PgConnection) -> Result<Vec<Deprecation>, Failure> {
    let rows = sqlx::query(
        "SELECT s.topic, s.version, coalesce(
             (SELECT a.reason FROM celerysalt_audit a
              WHERE a.topic = s.topic AND a.version = s.version AND a.action = 'deprecate'
              ORDER BY a.id DESC LIMIT 1), '') AS reason
         FROM celerysalt_schemas s WHERE s.status = 'deprecated'",
    )
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let (topic, version) = stored::key(row.try_get("topic")?, row.try_get("version")?).map_err(Failure::Row)?;
            Ok(Deprecation { topic, version, reason: row.try_get("reason")? })
        })
        .collect()
}

/// At least the entries that `filter` means, oldest first.
pub(super) async fn history(
    connection: &mut PgConnection,
    filter: Option<&Selector>,
) -> Result<Vec<AuditEntry>, Failure> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM at) * 1000000)::bigint AS at, action, topic, version, fingerprint,
                service, host, os_user, role, reason
         FROM celerysalt_audit WHERE topic LIKE $1 ORDER BY id",
    )
    .bind(filter.map_or_else(|| "%".to_owned(), |selector| like(selector.pattern.as_str())))
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter().map(entry).collect()
}

/// Who released any version of these topics.
pub(super) async fn releases(connection: &mut PgConnection, topics: &[String]) -> Result<Vec<AuditEntry>, Failure> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM at) * 1000000)::bigint AS at, action, topic, version, fingerprint,
                service, host, os_user, role, reason
         FROM celerysalt_audit WHERE topic = ANY($1) AND action = 'create' ORDER BY id",
    )
    .bind(topics)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &PgRow) -> Result<AuditEntry, Failure> {
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
        role: Some(row.try_get("role")?),
        reason: row.try_get("reason")?,
    })
}

fn time(row: &PgRow, column: &str) -> Result<Timestamp, Failure> {
    Timestamp::from_microsecond(row.try_get(column)?)
        .map_err(|error| Failure::Row(format!("its column {column} has a time out of range: {error}")))
}

pub(super) async fn observe(connection: &mut PgConnection, sightings: &[Sighting]) -> Result<(), Failure> {
    for (side, upsert) in [
        (
            Side::Publisher,
            "INSERT INTO celerysalt_publishers AS t (topic, version, service, handler, host)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
             ON CONFLICT (topic, version, service, handler)
             DO UPDATE SET host = excluded.host, last_seen = now()",
        ),
        (
            Side::Subscriber,
            "INSERT INTO celerysalt_subscribers AS t (topic, version, service, handler, host)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
             ON CONFLICT (topic, version, service, handler)
             DO UPDATE SET host = excluded.host, last_seen = now()",
        ),
    ] {
        let mut mine: Vec<&Sighting> = sightings.iter().filter(|sighting| sighting.side == side).collect();
        // Always in the same order, so that instances that start at once wait for each other and never in a circle.
        mine.sort_by_cached_key(|sighting| sighting.key());
        mine.dedup_by_key(|sighting| sighting.key());
        if mine.is_empty() {
            continue;
        }
        sqlx::query(upsert)
            .bind(mine.iter().map(|s| s.contracts.pattern.as_str()).collect::<Vec<_>>())
            .bind(mine.iter().map(|s| versions_text(&s.contracts.versions)).collect::<Vec<_>>())
            .bind(mine.iter().map(|s| stored::storable_text(&s.service)).collect::<Vec<_>>())
            .bind(mine.iter().map(|s| stored::storable_text(&s.handler)).collect::<Vec<_>>())
            .bind(mine.iter().map(|s| stored::storable_text(&s.host)).collect::<Vec<_>>())
            .persistent(false)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// At least those who have to do with `topic`; without one, everybody.
pub(super) async fn lineage(connection: &mut PgConnection, topic: Option<&Topic>) -> Result<Vec<Seen>, Failure> {
    let rows = sqlx::query(
        "SELECT publishes, topic, version, service, handler, host,
                (extract(epoch FROM first_seen) * 1000000)::bigint AS first_seen,
                (extract(epoch FROM last_seen) * 1000000)::bigint AS last_seen
         FROM (SELECT true AS publishes, * FROM celerysalt_publishers WHERE $1::text IS NULL OR topic = $1
               UNION ALL
               SELECT false AS publishes, * FROM celerysalt_subscribers
               WHERE $1::text IS NULL OR topic = $1 OR topic LIKE '%*%' OR topic LIKE '%#%') AS seen",
    )
    .bind(topic.map(Topic::as_str))
    .persistent(false)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let (pattern, versions): (&str, &str) = (row.try_get("topic")?, row.try_get("version")?);
            let contracts = selector(pattern, versions)
                .map_err(|error| Failure::Row(format!("its lineage has {pattern:?} {versions:?}: {error}")))?;
            let side = if row.try_get("publishes")? { Side::Publisher } else { Side::Subscriber };
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
