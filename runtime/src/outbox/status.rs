//! How an outbox stands, for operators.

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgConnection, Row as _};

use crate::database::DatabaseError;

/// How many kinds of failures are told.
const MOST_KINDS: i64 = 100;

/// What waits in an outbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// All events that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited; none when nothing waits. In seconds when serialized.
    #[serde(rename = "oldest_seconds", serialize_with = "seconds")]
    pub oldest: Option<Duration>,
    /// How many of them the broker has refused at least once.
    pub refused: u64,
    /// How many wait behind a refused event of their key.
    pub held_up: u64,
    /// Those that were refused, by topic and reason, the most frequent first; the first hundred.
    pub failed: Vec<Failed>,
}

/// Events that the broker did not take, of one topic and for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Failed {
    /// The topic.
    pub topic: String,
    /// What the broker said the last time.
    pub reason: String,
    /// How many events.
    pub count: u64,
    /// How often the most tried of them was tried.
    pub attempts: u64,
    /// Until the next of them is tried. In seconds when serialized.
    #[serde(rename = "next_seconds", serialize_with = "seconds_of")]
    pub next: Duration,
}

#[expect(clippy::ref_option, reason = "serde calls it with one")]
fn seconds<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

fn seconds_of<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_secs_f64().serialize(serializer)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Of a clock that was turned back, nothing is left.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// # Errors
/// [`DatabaseError`].
pub(super) async fn read(connection: &mut PgConnection) -> Result<Status, DatabaseError> {
    let (waiting, oldest, refused): (i64, Option<f64>, i64) = sqlx::query_as(
        "SELECT count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8,
                count(*) FILTER (WHERE attempts > 0)
         FROM celerysalt_outbox",
    )
    .persistent(false)
    .fetch_one(&mut *connection)
    .await?;
    if refused == 0 {
        return Ok(Status { waiting: count(waiting), oldest: oldest.map(duration), ..Status::default() });
    }
    let held_up: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM celerysalt_outbox AS head JOIN celerysalt_outbox AS behind
             ON behind.ordering_key = head.ordering_key AND behind.id > head.id
         WHERE head.attempts > 0",
    )
    .persistent(false)
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT topic, coalesce(last_error, '') AS reason, count(*) AS count, max(attempts)::bigint AS attempts,
                extract(epoch FROM min(next_attempt) - clock_timestamp())::float8 AS next
         FROM celerysalt_outbox WHERE attempts > 0 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $1",
    )
    .bind(MOST_KINDS)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    let failed = rows.iter().map(|row| {
        Ok(Failed {
            topic: row.try_get("topic")?,
            reason: row.try_get("reason")?,
            count: count(row.try_get("count")?),
            attempts: count(row.try_get("attempts")?),
            next: duration(row.try_get("next")?),
        })
    });
    Ok(Status {
        waiting: count(waiting),
        oldest: oldest.map(duration),
        refused: count(refused),
        held_up: count(held_up),
        failed: failed.collect::<Result<_, sqlx::Error>>()?,
    })
}

/// # Errors
/// [`DatabaseError`].
pub(super) async fn retry_now(connection: &mut PgConnection) -> Result<u64, DatabaseError> {
    let done = sqlx::query(
        "WITH due AS (UPDATE celerysalt_outbox SET next_attempt = '-infinity' WHERE attempts > 0 RETURNING id),
              told AS (SELECT pg_notify('celerysalt_outbox', 'celerysalt_outbox'::regclass::oid::text))
         SELECT (SELECT count(*) FROM due) FROM told",
    )
    .persistent(false)
    .fetch_one(connection)
    .await?;
    Ok(count(done.try_get(0)?))
}
