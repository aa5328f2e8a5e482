//! What a relay takes from the table, and what it writes back, all in one transaction: what it took is locked until then,
//! and free again when the relay, or its connection, dies.
//!
//! Events without a key are taken in order, passing over what others have locked. Of events with a key only the first of a
//! key can be taken, and its lock is the lock of the key: whoever has it may publish the events behind it too.
//! The first of a key is the first for good, because events of a key get their ids in the order in which they commit
//! (see [`super::row::insert`]).
//!
//! Plans are made anew for each statement: the table is empty one moment and has a million rows the next.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use crate::database::DatabaseError;

/// The events without a key that are due.
pub(crate) const DUE: &str = "SELECT id, octet_length(body) AS size FROM celerysalt_outbox
     WHERE ordering_key IS NULL AND next_attempt <= now()
     ORDER BY next_attempt, id LIMIT $1 FOR UPDATE SKIP LOCKED";

/// The first event of each key after a given key, one probe of the index a key.
pub(crate) const HEADS: &str = "WITH RECURSIVE heads AS (
         (SELECT id, ordering_key, next_attempt FROM celerysalt_outbox
          WHERE ordering_key > $1 ORDER BY ordering_key, id LIMIT 1)
         UNION ALL
         SELECT next.id, next.ordering_key, next.next_attempt FROM heads CROSS JOIN LATERAL (
             SELECT id, ordering_key, next_attempt FROM celerysalt_outbox
             WHERE ordering_key > heads.ordering_key ORDER BY ordering_key, id LIMIT 1) AS next)
     SELECT id, ordering_key, next_attempt <= now() AS due FROM heads LIMIT $2";

/// An event that was taken: its id, and the size of its body in bytes.
type Taken = (i64, usize);

/// Takes up to `most` events without a key.
///
/// # Errors
/// [`DatabaseError`].
pub(super) async fn due(connection: &mut PgConnection, most: usize) -> Result<Vec<Taken>, DatabaseError> {
    let rows = sqlx::query(DUE).bind(limit(most)).persistent(false).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, size(row.try_get(1)?)))).collect::<Result<_, sqlx::Error>>()?)
}

/// Keys that were looked at.
#[derive(Debug)]
pub(super) struct Keys {
    /// The last of them; none when there are no more behind these.
    pub(super) next: Option<String>,
    /// The events that were taken: each key's in their order, first one first.
    pub(super) taken: Vec<Taken>,
}

/// Looks at up to `keys` keys after `after`, and takes up to `most` events of those that are due and nobody has.
///
/// # Errors
/// [`DatabaseError`].
pub(super) async fn keys(
    connection: &mut PgConnection,
    after: &str,
    keys: usize,
    most: usize,
) -> Result<Keys, DatabaseError> {
    let rows = sqlx::query(HEADS).bind(after).bind(limit(keys)).persistent(false).fetch_all(&mut *connection).await?;
    let next = match rows.last() {
        Some(last) if rows.len() >= keys => Some(last.try_get("ordering_key")?),
        _ => None,
    };
    let mut due: Vec<i64> = Vec::new();
    for row in &rows {
        if row.try_get("due")? {
            due.push(row.try_get("id")?);
        }
    }
    if due.is_empty() {
        return Ok(Keys { next, taken: Vec::new() });
    }
    let locked: Vec<String> = sqlx::query_scalar(
        "SELECT ordering_key FROM celerysalt_outbox WHERE id = ANY($1) AND next_attempt <= now()
         FOR UPDATE SKIP LOCKED",
    )
    .bind(due)
    .persistent(false)
    .fetch_all(&mut *connection)
    .await?;
    if locked.is_empty() {
        return Ok(Keys { next, taken: Vec::new() });
    }
    let each = (most / locked.len()).clamp(1, LONGEST_RUN);
    let rows = sqlx::query(
        "SELECT event.id, event.size FROM UNNEST($1::text[]) AS locked (key) CROSS JOIN LATERAL (
             SELECT id, octet_length(body) AS size FROM celerysalt_outbox
             WHERE ordering_key = locked.key ORDER BY id LIMIT $2) AS event",
    )
    .bind(locked)
    .bind(limit(each))
    .persistent(false)
    .fetch_all(connection)
    .await?;
    let taken =
        rows.iter().map(|row| Ok((row.try_get(0)?, size(row.try_get(1)?)))).collect::<Result<_, sqlx::Error>>()?;
    Ok(Keys { next, taken })
}

/// How many events of one key go into a batch: they are sent one by one, and the batch ends with the slowest.
const LONGEST_RUN: usize = 50;

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or_default()
}

/// Events that the broker did not take, and why.
pub(super) type Refused = Vec<(i64, String)>;

/// Between the tries of an event: the first pause, doubled after each, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

/// Deletes what was confirmed, and puts off what was refused.
///
/// # Errors
/// [`DatabaseError`].
pub(super) async fn settle(
    connection: &mut PgConnection,
    confirmed: &[i64],
    refused: Refused,
    pauses: Pauses,
) -> Result<(), DatabaseError> {
    if !confirmed.is_empty() {
        sqlx::query("DELETE FROM celerysalt_outbox WHERE id = ANY($1)")
            .bind(confirmed)
            .persistent(false)
            .execute(&mut *connection)
            .await?;
    }
    if !refused.is_empty() {
        let (ids, reasons): (Vec<i64>, Vec<String>) = refused.into_iter().unzip();
        sqlx::query(
            "UPDATE celerysalt_outbox AS event
             SET attempts = event.attempts + 1, last_error = refused.reason,
                 next_attempt = clock_timestamp() + make_interval(secs =>
                     LEAST($4, $3 * power(2::float8, LEAST(event.attempts, 30))) * (0.5 + random() / 2))
             FROM UNNEST($1::bigint[], $2::text[]) AS refused (id, reason)
             WHERE event.id = refused.id",
        )
        .bind(ids)
        .bind(reasons)
        .bind(pauses.first.as_secs_f64())
        .bind(pauses.longest.as_secs_f64())
        .persistent(false)
        .execute(connection)
        .await?;
    }
    Ok(())
}
