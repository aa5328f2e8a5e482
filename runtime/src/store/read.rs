//! Reading a part of the store that no longer changes.
//!
//! Numbers are given when rows are written, and rows show up when their transactions commit: in another order. A reader that
//! goes on from the highest number that it saw loses what commits later under a lower one. So reading begins with an end in
//! time, now at the latest, and waits until every transaction that was under way then is over (the snapshot's xmin has passed
//! it). What was recorded before that end is complete from then on, and is read in the order of its numbers. A number means
//! something only together with that end.

use std::time::Duration;

use celerysalt_contract::TopicPattern;
use jiff::Timestamp;
use sqlx::{PgPool, Row as _, postgres::PgRow};

use crate::{
    database::{DatabaseError, columns},
    transport::Message,
    wire,
};

/// Rows that are read at once, and about how many bytes as they are stored.
const PAGE: (i64, i64) = (1_000, 4 * 1024 * 1024);
/// How often to look whether earlier transactions are over.
const LOOK: Duration = Duration::from_millis(50);

/// Which events of a store. Without a setting all that were recorded up to now.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Range {
    pattern: Option<TopicPattern>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    after: i64,
}

impl Range {
    /// All events up to now.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only topics that the pattern matches.
    pub fn topics(mut self, pattern: TopicPattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Only what was recorded at this time or later, by the database's clock.
    pub fn from(mut self, time: Timestamp) -> Self {
        self.from = Some(time);
        self
    }

    /// Only what was recorded before this time. What is later than now is now.
    pub fn to(mut self, time: Timestamp) -> Self {
        self.to = Some(time);
        self
    }

    /// Goes on where another replay of the same range stopped: behind this number, up to the end that it had.
    ///
    /// Both belong together: what commits later may have a lower number, and is behind the end. To go on with what came
    /// since, replay [`from`](Self::from) the end of the replay before.
    pub fn resume(mut self, after: i64, to: Timestamp) -> Self {
        (self.after, self.to) = (after, Some(to));
        self
    }
}

/// A part of the store that no longer changes.
#[derive(Debug)]
pub(super) struct Part {
    pool: PgPool,
    topics: Vec<String>,
    from: String,
    pub(super) to: Timestamp,
    /// The number of the last event that was read.
    cursor: i64,
    last: i64,
    /// How many events there are, by topic.
    pub(super) counts: Vec<(String, u64)>,
}

/// An event as it was sent.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) topic: String,
    pub(super) message: Message,
}

impl Part {
    /// Waits until the range no longer changes; `waiting` is told how many transactions are in the way.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(super) async fn open(
        pool: &PgPool,
        range: &Range,
        mut waiting: impl FnMut(u64),
    ) -> Result<Self, DatabaseError> {
        // First the time, then who is under way: whoever recorded something before that time had begun by then.
        let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .persistent(false)
            .fetch_one(pool)
            .await?;
        let now = Timestamp::from_microsecond(now)
            .map_err(|error| DatabaseError::refused(format!("the database's clock: {error}")))?;
        // A number of its own: all that are under way have lower ones. (A snapshot's xmax is no more than the last that ended.)
        let horizon: String =
            sqlx::query_scalar("SELECT pg_current_xact_id()::text").persistent(false).fetch_one(pool).await?;
        loop {
            let in_the_way: i64 = sqlx::query_scalar(
                "SELECT CASE WHEN pg_snapshot_xmin(now.snapshot) >= $1::text::xid8 THEN 0 ELSE
                     greatest(1, (SELECT count(*) FROM pg_snapshot_xip(now.snapshot) AS xact WHERE xact < $1::text::xid8))
                 END FROM (SELECT pg_current_snapshot() AS snapshot) AS now",
            )
            .bind(&horizon)
            .persistent(false)
            .fetch_one(pool)
            .await?;
            if in_the_way == 0 {
                break;
            }
            waiting(u64::try_from(in_the_way).unwrap_or_default());
            tokio::time::sleep(LOOK).await;
        }
        let mut part = Self {
            pool: pool.clone(),
            topics: topics(pool, range.pattern.as_ref()).await?,
            from: range.from.map_or_else(|| "-infinity".to_owned(), |from| from.to_string()),
            to: range.to.map_or(now, |to| to.min(now)),
            cursor: range.after,
            last: 0,
            counts: Vec::new(),
        };
        part.count().await?;
        Ok(part)
    }

    async fn count(&mut self) -> Result<(), DatabaseError> {
        let rows = sqlx::query(
            "SELECT topic, count(*) AS count, max(seq) AS last FROM celerysalt_events
             WHERE topic = ANY($1) AND seq > $2 AND recorded_at >= $3::text::timestamptz
                 AND recorded_at < $4::text::timestamptz
             GROUP BY topic ORDER BY topic",
        )
        .bind(&self.topics)
        .bind(self.cursor)
        .bind(&self.from)
        .bind(self.to.to_string())
        .persistent(false)
        .fetch_all(&self.pool)
        .await?;
        for row in &rows {
            let count: i64 = row.try_get("count")?;
            self.counts.push((row.try_get("topic")?, u64::try_from(count).unwrap_or_default()));
            self.last = self.last.max(row.try_get("last")?);
        }
        Ok(())
    }

    /// The next events, in order; none when there are no more.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(super) async fn page(&mut self) -> Result<Vec<Stored>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT seq, topic, exchange, routing_key, properties::text AS properties, headers::text AS headers,
                    meta::text AS meta, payload::text AS payload
             FROM (SELECT page.*, sum(size) OVER (ORDER BY seq) - size AS before
                   FROM (SELECT *, pg_column_size(payload)::bigint AS size FROM celerysalt_events
                         WHERE seq > $2 AND seq <= $5 AND topic = ANY($1) AND recorded_at >= $3::text::timestamptz
                             AND recorded_at < $4::text::timestamptz
                         ORDER BY seq LIMIT $6) AS page) AS sized
             WHERE before < $7 ORDER BY seq",
        )
        .bind(&self.topics)
        .bind(self.cursor)
        .bind(&self.from)
        .bind(self.to.to_string())
        .bind(self.last)
        .bind(PAGE.0)
        .bind(PAGE.1)
        .persistent(false)
        .fetch_all(&self.pool)
        .await?;
        let events: Vec<Stored> = rows.iter().map(stored).collect::<Result<_, DatabaseError>>()?;
        self.cursor = events.last().map_or(self.last, |event| event.seq);
        Ok(events)
    }
}

/// The topics that there are, one probe of the index each.
async fn topics(pool: &PgPool, pattern: Option<&TopicPattern>) -> Result<Vec<String>, DatabaseError> {
    let mut topics: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE topics AS (
             (SELECT topic FROM celerysalt_events ORDER BY topic LIMIT 1)
             UNION ALL
             SELECT (SELECT topic FROM celerysalt_events WHERE topic > topics.topic ORDER BY topic LIMIT 1)
             FROM topics WHERE topics.topic IS NOT NULL)
         SELECT topic FROM topics WHERE topic IS NOT NULL",
    )
    .persistent(false)
    .fetch_all(pool)
    .await?;
    topics.retain(|topic| pattern.is_none_or(|pattern| pattern.matches(topic)));
    Ok(topics)
}

fn stored(row: &PgRow) -> Result<Stored, DatabaseError> {
    let seq: i64 = row.try_get("seq")?;
    let malformed = |reason: String| DatabaseError::refused(format!("event {seq} of the store: {reason}"));
    let text = |column: &str| row.try_get::<String, _>(column);
    let (topic, payload) = (text("topic")?, text("payload")?);
    let meta = serde_json::from_str(&text("meta")?)
        .map_err(|error| error.to_string())
        .and_then(|meta| wire::Meta::from_json(meta).map_err(|error| error.to_string()))
        .map_err(malformed)?;
    let message = Message {
        exchange: text("exchange")?,
        routing_key: text("routing_key")?,
        properties: columns::properties_from_text(&text("properties")?).map_err(malformed)?,
        headers: columns::headers_from_text(&text("headers")?).map_err(malformed)?,
        body: wire::celery::body(&payload, &meta, &topic).into(),
    };
    Ok(Stored { seq, topic, message })
}
