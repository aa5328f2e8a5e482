//! A message as a row of the outbox, both ways.

use std::time::Duration;

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    database::{DatabaseError, columns},
    publish::Ready,
    transport::Message,
};

/// Rows that one statement writes, and about how many bytes of bodies.
const CHUNK: (usize, usize) = (1_000, 8 * 1024 * 1024);

/// Writes messages, in their order. Those of one key wait for each other here, until the transaction ends: so ids are given
/// in the order of commits, and a relay that goes by ids can't overtake one that is not committed yet.
///
/// # Errors
/// [`DatabaseError`].
pub(super) async fn insert(
    connection: &mut PgConnection,
    ready: &[Ready],
    key: Option<&str>,
) -> Result<(), DatabaseError> {
    let all: Vec<(&Ready, &Message)> =
        ready.iter().flat_map(|ready| ready.messages().map(move |message| (ready, message))).collect();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(_, message): &&(&Ready, &Message)| {
            bytes += message.body.len();
            bytes <= CHUNK.1
        };
        let count = rest.iter().take(CHUNK.0).take_while(fits).count().max(1);
        let (chunk, later) = rest.split_at(count);
        rest = later;
        let of = |text: fn(&Message) -> String| chunk.iter().map(|(_, message)| text(message)).collect::<Vec<String>>();
        sqlx::query(
            "WITH ordered AS MATERIALIZED (
                 SELECT CASE WHEN $1::text IS NOT NULL THEN
                     pg_advisory_xact_lock(hashtextextended('celerysalt outbox ' || $1, 'celerysalt_outbox'::regclass::oid::bigint))::text
                 END AS lock)
             INSERT INTO celerysalt_outbox
                 (ordering_key, message_id, topic, exchange, routing_key, properties, headers, body, allow_unrouted)
             SELECT $1, m.message_id, m.topic, m.exchange, m.routing_key, m.properties::json, m.headers::json, m.body,
                    m.allow_unrouted
             FROM ordered, UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                                  $9::boolean[])
                 WITH ORDINALITY AS m (message_id, topic, exchange, routing_key, properties, headers, body, allow_unrouted,
                                       place)
             ORDER BY m.place",
        )
        .bind(key)
        .bind(of(|message| message.properties.message_id.clone().unwrap_or_default()))
        .bind(chunk.iter().map(|(ready, _)| ready.topic.clone()).collect::<Vec<String>>())
        .bind(of(|message| message.exchange.clone()))
        .bind(of(|message| message.routing_key.clone()))
        .bind(of(|message| columns::properties_to_text(&message.properties)))
        .bind(of(|message| columns::headers_to_text(&message.headers)))
        .bind(chunk.iter().map(|(_, message)| &message.body[..]).collect::<Vec<&[u8]>>())
        .bind(chunk.iter().map(|(ready, _)| ready.allow_unrouted).collect::<Vec<bool>>())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) key: Option<String>,
    pub(super) topic: String,
    pub(super) allow_unrouted: bool,
    /// As it is to be sent, or why it can't be.
    pub(super) message: Result<Message, String>,
}

/// Whole rows, by their ids, in their order.
///
/// # Errors
/// [`DatabaseError`].
pub(super) async fn fetch(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Row>, DatabaseError> {
    let rows = sqlx::query(
        "SELECT id, ordering_key, topic, exchange, routing_key, properties::text AS properties, headers::text AS headers,
                body, allow_unrouted, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
         FROM celerysalt_outbox WHERE id = ANY($1) ORDER BY id",
    )
    .bind(ids)
    .persistent(false)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?)
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let properties: String = row.try_get("properties")?;
    let headers: String = row.try_get("headers")?;
    let message = columns::properties_from_text(&properties).and_then(|mut properties| {
        let age = Duration::try_from_secs_f64(row.try_get("age").unwrap_or_default()).unwrap_or_default();
        // The time that it is worth delivering began when it was written. What is over time is the broker's to expire: it
        // may keep a dead letter.
        let left = |after: Duration| after.saturating_sub(age).max(Duration::from_millis(1));
        properties.expiration = properties.expiration.map(left);
        let headers = columns::headers_from_text(&headers)?;
        let text = |column: &str| row.try_get::<String, _>(column).map_err(|error| error.to_string());
        let body: Vec<u8> = row.try_get("body").map_err(|error| error.to_string())?;
        Ok(Message {
            exchange: text("exchange")?,
            routing_key: text("routing_key")?,
            properties,
            headers,
            body: body.into(),
        })
    });
    Ok(Row {
        id: row.try_get("id")?,
        key: row.try_get("ordering_key")?,
        topic: row.try_get("topic")?,
        allow_unrouted: row.try_get("allow_unrouted")?,
        message,
    })
}
